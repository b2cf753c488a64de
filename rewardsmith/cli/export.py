"""`rewardsmith export`: the best program as a file that needs no rewardsmith."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.console import say


def export(
    run: Annotated[Path, typer.Argument(help="The run directory.")],
    out: Annotated[Path, typer.Option(help="The Python file to write.")] = Path("reward.py"),
    candidate: Annotated[str | None, typer.Option(help="A candidate's id. [default: the best]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write RUN's best program with a Gymnasium wrapper, importable without rewardsmith."""
    from rewardsmith.contract import records
    from rewardsmith.contract.errors import RunError
    from rewardsmith.contract.records import Probe
    from rewardsmith.contract.reward_program import parse
    from rewardsmith.report.export import exporter as exporting
    from rewardsmith.report.tables import worth
    from rewardsmith.search.steps.evolution import incumbent
    from rewardsmith.search.storage import Run

    opened = Run.open(run)
    result = opened.result()
    known = {one.id: one for one in opened.candidates()}
    if result is not None:
        known.setdefault(result.best.id, result.best)
    if candidate is not None:
        chosen = known.get(candidate)
    elif result is not None:
        chosen = result.best
    else:
        chosen = incumbent(list(known.values()), opened.config.evolution)
    if chosen is None:
        wanted = f"candidate {candidate!r}" if candidate is not None else "scored candidate"
        raise RunError(f"{run} has no {wanted}; it has: {', '.join(known) or 'none yet'}")
    if out.exists() and not force:
        raise RunError(f"{out} exists; --force overwrites it, --out names another file")
    probe = records.read(Probe, opened.path / "probe" / "result.json")
    text = exporting.export(parse(chosen.proposal.source), probe.signals, opened.task.env)
    out.write_text(text, encoding="utf-8")
    say(f"{out}: candidate {chosen.id}, fitness {worth(chosen, result)}")
    use = f"RewardWrapper(gymnasium.make({opened.task.env.env_id!r}))"
    say(f"use it:  from {out.stem} import RewardWrapper; env = {use}")
