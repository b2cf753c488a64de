"""`rewardsmith show`: what a run found, or what is known of one candidate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import say, say_json

if TYPE_CHECKING:
    from rewardsmith.contract.records import Candidate


def show(
    run: Annotated[Path | None, typer.Argument(help="The run directory. [default: a list of the runs]")] = None,
    candidate: Annotated[str | None, typer.Option(help="A candidate's id, such as g1c03.")] = None,
    prompt: Annotated[
        bool, typer.Option("--prompt", help="With --candidate: the prompt that its program answers, and the answer.")
    ] = False,
    svg: Annotated[Path | None, typer.Option(help="Write the RUN's result as a picture to this file.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show the runs below runs/, one RUN's candidates, or one candidate."""
    check(run, candidate, prompt, svg)
    if run is None:
        list_runs(json_)
    elif svg is not None:
        draw(run, svg)
    elif candidate is None:
        show_run(run, json_)
    elif prompt:
        show_prompt(run, candidate)
    else:
        show_candidate(run, candidate, json_)


def check(run: Path | None, candidate: str | None, prompt: bool, svg: Path | None) -> None:
    """Refuse options that would change nothing.

    Raises:
        ConfigError: if one lacks what it is about, or two exclude each other.
    """
    from rewardsmith.contract.errors import ConfigError

    if run is None:
        for option, given in (("--candidate", candidate), ("--prompt", prompt), ("--svg", svg)):
            if given:
                raise ConfigError(
                    f"{option} needs a run: rewardsmith show RUN {option}; without RUN, `show` lists them"
                )
    if prompt and candidate is None:
        raise ConfigError("--prompt needs a candidate: --candidate ID --prompt; without them, `show RUN` lists the ids")
    if svg and candidate is not None:
        raise ConfigError("--svg draws a run's result; leave --candidate out")


def list_runs(json_: bool) -> None:
    """List the run directories below `runs/`."""
    from rewardsmith.api.searches import RUNS
    from rewardsmith.report.tables import Column, console_on, print_table, worth
    from rewardsmith.search.storage import Run

    found = [Run.open(path.parent) for path in sorted(RUNS.glob("*/provenance.json"))]
    if json_:
        for run in found:
            about = {"run": str(run.path), "task": run.task.text, "env": run.task.env.env_id}
            say_json(about | {"done": run.result() is not None})
        return
    if not found:
        say("no runs in runs/; `rewardsmith design` starts one")
        return
    rows = []
    for run in found:
        result = run.result()
        figure = worth(result.best, result) if result else "not finished"
        rows.append((str(run.path), figure, run.task.env.env_id, run.task.text))
    if not sys.stdout.isatty():
        for row in rows:
            say("  ".join(row))
        return
    columns = (Column("run"), Column("fitness"), Column("environment", drop=1), Column("task", cut=True))
    print_table(columns, rows, console_on(sys.stdout))


def show_run(path: Path, json_: bool) -> None:
    """Show one run: its result, or how far it is."""
    from rewardsmith.contract import records
    from rewardsmith.report.tables import console_on, print_candidates, print_result
    from rewardsmith.search.storage import Run

    run = Run.open(path)
    result = run.result()
    if json_:
        candidates = run.candidates()
        say_json(records.dump(result) if result else {"candidates": [records.dump(one) for one in candidates]})
    elif result:
        print_result(result, console_on(sys.stdout))
    else:
        candidates = run.candidates()
        if candidates:
            print_candidates(candidates, None, console_on(sys.stdout))
        else:
            say("no candidate yet")
        say(f"\nnot finished; `rewardsmith resume {path}` goes on, unless it is still running")


def draw(path: Path, svg: Path) -> None:
    """Write a finished run's result as a picture."""
    from rewardsmith.contract.errors import RunError
    from rewardsmith.report.tables import picture
    from rewardsmith.search.storage import Run

    result = Run.open(path).result()
    if result is None:
        raise RunError(f"{path} has no result yet; `rewardsmith resume {path}` goes on")
    svg.write_text(picture(result), encoding="utf-8")
    say(f"{svg}: a picture of {path}")


def find(path: Path, id: str) -> Candidate:
    """Return a run's candidate.

    Raises:
        RunError: if there is none of that id.
    """
    from rewardsmith.contract.errors import RunError
    from rewardsmith.search.storage import Run

    known = {candidate.id: candidate for candidate in Run.open(path).candidates()}
    if id not in known:
        raise RunError(f"{path} has no candidate {id!r}; it has: {', '.join(known) or 'none yet'}")
    return known[id]


def show_prompt(path: Path, id: str) -> None:
    """Show what the language model was asked for a candidate, and what it answered."""
    from rewardsmith.contract.errors import RunError
    from rewardsmith.llm import Ledger

    key = find(path, id).proposal.transcript
    entry = Ledger(path / "llm.jsonl").find(key) if key else None
    if entry is None:
        raise RunError(f"no language model wrote the candidate {id!r} of {path}")
    for message in entry.request.messages:
        pictures = "".join(f"\n[picture: {one.label} {one.file}]" for one in message.pictures)
        say(f"===== {message.role} =====\n{message.content}{pictures}\n")
    say(f"===== answer =====\n{entry.answer.text}")


def show_candidate(path: Path, id: str, json_: bool) -> None:
    """Show one candidate: program, findings, curve, feedback."""
    from rewardsmith.contract import records
    from rewardsmith.report.tables import console_on, print_candidates

    candidate = find(path, id)
    if json_:
        say_json(records.dump(candidate))
        return
    print_candidates([candidate], None, console_on(sys.stdout))
    say(f"\n{candidate.proposal.source.strip()}\n")
    for finding in candidate.verdict.findings if candidate.verdict else ():
        say(f"{finding.severity}: {f'line {finding.line}: ' if finding.line else ''}{finding.message}")
    if candidate.feedback:
        say(f"\n{candidate.feedback.text}")
    say(f"\nfiles: {path / 'candidates' / id}")
