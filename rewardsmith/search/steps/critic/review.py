"""The checks: what a program's text and a dry run show; every program passes them before anything else is asked."""

from __future__ import annotations

from pathlib import Path

from rewardsmith.contract.records import Limits, Probe, Verdict
from rewardsmith.search.steps.critic.dry_run import dry_run
from rewardsmith.search.steps.critic.static_checks import read


def review(source: str, probe: Probe, transitions: Path, limits: Limits) -> Verdict:
    """Judge a program; the same inputs give the same verdict, but for the measured time.

    Args:
        source: the program's text.
        probe: what the environment offers.
        transitions: the .npz that the probe recorded; its layout stands at `Probe`.
        limits: of the reward process.

    Raises:
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
        WorkerFailed: if the reward process fails for another reason than the program.
        OSError: if the transitions cannot be read.
    """
    program, findings = read(source, probe.signals)
    if program is None or any(finding.severity == "error" for finding in findings):
        return Verdict(False, tuple(findings))
    run, observed = dry_run(program, probe, transitions, limits)
    findings = [*findings, *observed]
    return Verdict(all(finding.severity != "error" for finding in findings), tuple(findings), run)
