"""`rewardsmith export`: the best program as a file that does not need rewardsmith."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_line
from rewardsmith.cli.options import RunArgument

if TYPE_CHECKING:
    from rewardsmith.contract.records import Candidate
    from rewardsmith.report.export.exporter import ExportOrigin
    from rewardsmith.search.storage import Run


def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="The Python file to write.")] = Path("reward.py"),
    candidate: Annotated[str | None, typer.Option(help="A candidate's id. [default: the best]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Write the program even if it does more than compute on arrays.")
    ] = False,
) -> None:
    """Write RUN's best program with a Gymnasium wrapper, importable without rewardsmith.

    The seal ends with the file: the program runs with the rights of whoever runs it.
    """
    from rewardsmith.cli.show import open_run
    from rewardsmith.contract.errors import RunError
    from rewardsmith.report.export.exporter import describe_rights, export_program, spell_make_call

    opened = open_run(run)
    chosen = _choose_candidate(opened, candidate)
    if out.exists() and not force:
        raise RunError(f"{out} exists; --force overwrites it, --out names another file")
    probe = opened.read_probe()
    if probe is None:
        raise RunError(f"{run} has not probed its environment yet; resume it with: rewardsmith resume {run}")

    origin = _describe_origin(opened, chosen)
    out.write_text(export_program(chosen.program, probe.signals, opened.task.env, origin, unsafe), encoding="utf-8")
    print_line(f"{out}: candidate {chosen.id}, fitness {origin.fitness}")
    print_line(
        f"use it with: from {out.stem} import RewardWrapper; env = RewardWrapper({spell_make_call(opened.task.env)})"
    )
    print_line(describe_rights(unsafe))


def _describe_origin(run: Run, candidate: Candidate) -> ExportOrigin:
    """Return what a run knows about the test of one of its candidates."""
    from rewardsmith.report.export.exporter import ExportOrigin
    from rewardsmith.report.tables import describe_fitness

    provenance = run.read_provenance()
    return ExportOrigin(
        task=run.task.text,
        candidate=candidate.id,
        fitness=describe_fitness(candidate, run.read_result()),
        expression=run.task.fitness,
        version=provenance.versions.get("rewardsmith"),
        seal=provenance.sandbox,
    )


def _choose_candidate(run: Run, id: str | None) -> Candidate:
    """Return the named candidate of a run; without a name the best one, of the result or so far.

    Raises:
        RunError: if there is no such candidate.
    """
    from rewardsmith.contract.errors import RunError
    from rewardsmith.search.steps.evolution import find_incumbent

    result = run.read_result()
    candidates = {candidate.id: candidate for candidate in run.read_candidates()}
    if result is not None:
        candidates.setdefault(result.best.id, result.best)

    if id is not None:
        chosen = candidates.get(id)
    elif result is not None:
        chosen = result.best
    else:
        chosen = find_incumbent(list(candidates.values()), run.config.evolution)
    if chosen is None:
        missing = f"candidate {id!r}" if id is not None else "scored candidate"
        raise RunError(f"{run.path} has no {missing}; it has: {', '.join(candidates) or 'none yet'}")
    return chosen
