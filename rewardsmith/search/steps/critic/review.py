"""The checks that every program passes before anything else is asked: its text, then a trial scoring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rewardsmith.contract.records import Limits, Probe, Verdict
from rewardsmith.search.steps.critic.observed_terms import find_unobserved_terms
from rewardsmith.search.steps.critic.static_checks import check_source
from rewardsmith.search.steps.critic.term_constraints import find_missing_limited_terms
from rewardsmith.search.steps.critic.trial_scoring import score_trial
from rewardsmith.search.storage import Run


def check_program_of_run(run: Run, probe: Probe, source: str) -> Verdict:
    """Check a program for a run, on its transitions and with its limits; see `check_program` for what it raises.

    Args:
        run: that has probed its environment.
        probe: of the run.
        source: the program's text.
    """
    config = run.config
    return check_program(source, probe, run.transitions, config.sandbox, config.training.constraints)


def check_program(
    source: str, probe: Probe, transitions: Path, limits: Limits, constraints: Sequence[str] = ()
) -> Verdict:
    """Check a program; the same inputs give the same verdict, but for the measured time.

    Args:
        source: the program's text.
        probe: what the environment offers.
        transitions: the .npz that the probe recorded; its layout stands at `Probe`.
        limits: of the reward process.
        constraints: `training.constraints`, whose terms the program must return.

    Raises:
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
        WorkerFailed: if the reward process fails for another reason than the program.
        OSError: if the transitions cannot be read.
    """
    # Errors in the text: the program is not run.
    program, findings = check_source(source, probe.signals)
    if program is None or any(finding.severity == "error" for finding in findings):
        return Verdict(False, tuple(findings))

    # Errors that show when it runs.
    trial_scoring, trial_findings = score_trial(program, probe, transitions, limits)
    findings = [*findings, *trial_findings]
    if trial_scoring is not None:
        findings += find_unobserved_terms(program, probe, trial_scoring.terms)
        findings += find_missing_limited_terms(constraints, [term.name for term in trial_scoring.terms])
    accepted = all(finding.severity != "error" for finding in findings)
    return Verdict(accepted, tuple(findings), trial_scoring)
