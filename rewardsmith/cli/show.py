"""`rewardsmith show`: the runs, one run's candidates and result, or one candidate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_error, print_json, print_line
from rewardsmith.cli.options import JsonOption, complete_run
from rewardsmith.cli.runs import open_run

if TYPE_CHECKING:
    from rewardsmith.contract.records import Result
    from rewardsmith.report.unfinished import UnfinishedCandidate
    from rewardsmith.search.storage import Run


def show(
    run: Annotated[
        Path | None,
        typer.Argument(help="The run directory. [default: a list of the runs]", autocompletion=complete_run),
    ] = None,
    candidate: Annotated[str | None, typer.Option(help="A candidate's id, such as g1c03.")] = None,
    prompt: Annotated[
        bool, typer.Option("--prompt", help="With --candidate: the prompt for its program, and the model's answer.")
    ] = False,
    svg: Annotated[Path | None, typer.Option(help="Write the RUN's result as a picture to this file.")] = None,
    json_: JsonOption = False,
) -> None:
    """Show the runs below runs/, one RUN's candidates, or one candidate."""
    check_options(run, candidate, prompt, svg)
    if run is None:
        list_runs(json_)
        return
    opened = open_run(run)
    if svg is not None:
        write_svg(opened, svg)
    elif candidate is None:
        show_run(opened, json_)
    elif prompt:
        show_prompt(opened, candidate)
    else:
        show_candidate(opened, candidate, json_)


def check_options(run: Path | None, candidate: str | None, prompt: bool, svg: Path | None) -> None:
    """Refuse options that would have no effect.

    Raises:
        ConfigError: if an option needs another one, or two exclude each other.
    """
    from rewardsmith.contract.errors import ConfigError

    if run is None:
        for option, value in (("--candidate", candidate), ("--prompt", prompt), ("--svg", svg)):
            if value:
                raise ConfigError(
                    f"{option} needs a run: rewardsmith show RUN {option}; without RUN, `show` lists them"
                )
    if prompt and candidate is None:
        raise ConfigError("--prompt needs a candidate: --candidate ID --prompt; without them, `show RUN` lists the ids")
    if svg and candidate is not None:
        raise ConfigError("--svg draws a run's result; leave --candidate out")


# ---------------------------------------------------------------- a list of runs


def list_runs(json_: bool) -> None:
    """List the runs and the sweeps below `runs/`."""
    from rewardsmith.api.searches import RUNS
    from rewardsmith.api.sweep.store import is_sweep
    from rewardsmith.report.tables import TableColumn, make_console, print_table
    from rewardsmith.search.storage import RunLayout

    folders = sorted(RUNS.glob("*"))
    runs = _read_results([folder for folder in folders if RunLayout(folder).provenance.is_file()])
    sweeps = [folder for folder in folders if is_sweep(folder)]
    if json_:
        for run, result in runs:
            about = {"run": str(run.path), "task": run.task.heading, "env": run.task.env.env_id}
            print_json(about | {"done": result is not None})
        return
    if not runs and not sweeps:
        print_line("no runs in runs/; `rewardsmith design` starts one")
        return

    rows = [_describe_run(run, result) for run, result in runs]
    rows += [(str(sweep), "a sweep", "", f"see `rewardsmith sweep status {sweep}`") for sweep in sweeps]
    if not sys.stdout.isatty():
        for row in rows:
            print_line("  ".join(cell for cell in row if cell))
        return
    columns = (
        TableColumn("run"),
        TableColumn("fitness"),
        TableColumn("environment", drop=1),
        TableColumn("task", cut=True),
    )
    print_table(columns, rows, make_console(sys.stdout))


def _describe_run(run: Run, result: Result | None) -> tuple[str, str, str, str]:
    """Return the row of a run in the list of runs: directory, fitness, environment, task."""
    from rewardsmith.report.result_lines import describe_fitness

    fitness = describe_fitness(result.best, result) if result else "not finished"
    return str(run.path), fitness, run.task.env.env_id, run.task.heading


def _read_results(folders: list[Path]) -> list[tuple[Run, Result | None]]:
    """Open runs and read their results; one that is damaged is named, and the others are listed all the same."""
    from rewardsmith.contract.errors import UserError
    from rewardsmith.search.storage import Run

    runs = []
    for folder in folders:
        try:
            run = Run.open(folder)
            runs.append((run, run.read_result()))
        except UserError as error:
            print_error(str(error))
    return runs


# ---------------------------------------------------------------- one run


def show_run(run: Run, json_: bool) -> None:
    """Show one run: its result, or its candidates so far."""
    from rewardsmith.contract import records
    from rewardsmith.report.estimates import load_estimates
    from rewardsmith.report.tables import make_console, print_result

    result = run.read_result()
    if json_:
        candidates = run.read_candidates()
        shown = records.dump(result) if result else {"candidates": [records.dump(item) for item in candidates]}
        print_json(shown | {"estimates": load_estimates(run, result.best.id if result else None).dump()})
    elif result is not None:
        print_result(result, make_console(sys.stdout), run.path)
    else:
        _show_progress(run)


def _show_progress(run: Run) -> None:
    """Show the candidates of a run without a result, those that are not finished included."""
    from rewardsmith.report.estimates import load_estimates
    from rewardsmith.report.tables import make_console, print_candidates
    from rewardsmith.report.unfinished import load_unfinished_candidates

    candidates, unfinished = run.read_candidates(), load_unfinished_candidates(run)
    if candidates:
        print_candidates(candidates, load_estimates(run), make_console(sys.stdout))
    if unfinished:
        if candidates:
            print_line("")
        _print_unfinished(run, unfinished)
    if not candidates and not unfinished:
        print_line("no candidate yet")
    print_line(f"\nnot finished; unless it is still running, resume it with: rewardsmith resume {run.path}")


def _print_unfinished(run: Run, unfinished: tuple[UnfinishedCandidate, ...]) -> None:
    from rewardsmith.report.tables import TableColumn, draw_sparkline, make_console, print_table

    rows = []
    for candidate in unfinished:
        curve = candidate.trainings[-1].curve if candidate.trainings else ()
        state = candidate.describe(run.config.search.seeds)
        rows.append((candidate.id, state, draw_sparkline([point.fitness for point in curve])))
    columns = (TableColumn("unfinished"), TableColumn("state"), TableColumn("fitness while training"))
    print_table(columns, rows, make_console(sys.stdout))


def write_svg(run: Run, svg: Path) -> None:
    """Write a finished run's result as a picture.

    Raises:
        RunError: if the run has no result.
    """
    from rewardsmith.contract.errors import RunError
    from rewardsmith.report.tables import render_svg

    result = run.read_result()
    if result is None:
        raise RunError(f"{run.path} has no result yet; resume it with: rewardsmith resume {run.path}")
    svg.write_text(render_svg(result, run.path), encoding="utf-8")
    print_line(f"{svg}: a picture of {run.path}")


# ---------------------------------------------------------------- one candidate


def show_prompt(run: Run, id: str) -> None:
    """Show the prompt for a candidate's program, and the language model's answer.

    Raises:
        RunError: if there is no such candidate, or no model wrote it.
    """
    from rewardsmith.api.exports import find_candidate
    from rewardsmith.contract.errors import RunError
    from rewardsmith.llm import Ledger

    key = find_candidate(run, id).proposal.transcript
    entry = Ledger(run.layout.ledger).find(key) if key else None
    if entry is None:
        raise RunError(f"the candidate {id!r} of {run.path} was not written by a language model")
    for message in entry.request.messages:
        pictures = "".join(f"\n[picture: {picture.label} {picture.file}]" for picture in message.pictures)
        print_line(f"===== {message.role} =====\n{message.content}{pictures}\n")
    print_line(f"===== answer =====\n{entry.answer.text}")


def show_candidate(run: Run, id: str, json_: bool) -> None:
    """Show one candidate: program, findings, curve, reflection; of an unfinished one, its state and program."""
    from rewardsmith.api.exports import find_candidate
    from rewardsmith.contract import records
    from rewardsmith.report.estimates import load_estimates
    from rewardsmith.report.result_lines import describe_updates
    from rewardsmith.report.tables import make_console, print_candidates
    from rewardsmith.report.unfinished import load_unfinished_candidates

    unfinished = {candidate.id: candidate for candidate in load_unfinished_candidates(run)}
    if id in unfinished and not json_:
        _print_unfinished(run, (unfinished[id],))
        proposal = unfinished[id].proposal
        if proposal:
            print_line(f"\n{proposal.source.strip()}")
        return

    candidate, estimates = find_candidate(run, id), load_estimates(run)
    if json_:
        print_json(records.dump(candidate) | {"estimate": estimates.dump().get(id)})
        return
    print_candidates([candidate], estimates, make_console(sys.stdout))
    if updates := describe_updates(candidate):
        print_line(updates)
    print_line(f"\n{candidate.proposal.source.strip()}\n")
    for finding in candidate.verdict.findings if candidate.verdict else ():
        place = f"line {finding.line}: " if finding.line else ""
        print_line(f"{finding.severity}: {place}{finding.message}")
    if candidate.reflection:
        print_line(f"\n{candidate.reflection.text}")
    print_line(f"\nfiles: {run.layout.candidate_dir(id)}")
