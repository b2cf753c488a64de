"""`rewardsmith doctor`: what works on this machine, and the fix for what does not."""

from __future__ import annotations

from typing import Annotated

import typer

from rewardsmith.cli.output import say, say_json
from rewardsmith.wording import counted


def doctor(
    cleanup: Annotated[bool, typer.Option("--cleanup", help="Remove what killed runs left: containers.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say what works on this machine: sealing, Docker, simulation, rendering, the model's endpoint."""
    from rewardsmith import health, records

    if cleanup:
        removed = health.cleanup()
        names = f": {', '.join(removed)}" if removed else ""
        say(f"removed {counted(len(removed), 'leftover container')}{names}")
        return
    checks = health.checks()
    if json_:
        say_json([records.dump(check) for check in checks])
    else:
        for check in checks:
            mark = "ok" if check.ok else "no" if check.needed else "without"
            say(f"{mark:<8} {check.name:<14} {check.detail}")
            if not check.ok and check.fix:
                say(f"{'':<23} fix: {check.fix}")
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(1)
