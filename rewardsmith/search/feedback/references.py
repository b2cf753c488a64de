"""Candidates, episodes and terms of a run that a person refers to, and the check of a program that a person writes."""

from __future__ import annotations

import re

from rewardsmith.contract.errors import ProgramError, RunError, UserError
from rewardsmith.contract.records import Candidate, Probe, Verdict
from rewardsmith.llm import prompts
from rewardsmith.search.steps import critic, evolution
from rewardsmith.search.steps.designer.term_expressions import split_terms
from rewardsmith.search.storage import Run, layout

_EPISODE = re.compile(r"(g\d{1,4}c\d{1,4})(?:/s(\d{1,9})/(\d{1,6}))?")


def check_program(run: Run, source: str) -> Verdict:
    """Check a program as the critic checks a candidate's; nothing is written.

    Raises:
        RunError: if the environment was not probed yet, or the run is damaged.
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
        WorkerFailed: if the reward process fails for another reason than the program.
    """
    return critic.check_program_of_run(run, load_probe(run), source)


def load_probe(run: Run) -> Probe:
    """Load a run's probe: the signals of its environment.

    Raises:
        RunError: if the environment was not probed yet, or the run is damaged.
    """
    probe = run.read_probe()
    if probe is None or not run.transitions.is_file():
        raise RunError(f"{run.path} has not probed its environment yet; run `rewardsmith resume {run.path}` first")
    return probe


def find_candidate(run: Run, id: str) -> Candidate:
    """Find a candidate of a run.

    Args:
        run: the run.
        id: such as "g1c03", or "g1c3" for short.

    Raises:
        UserError: if the run has no such candidate.
    """
    candidates = {candidate.id: candidate for candidate in run.read_candidates()}
    parts = layout.parse_candidate_id(id.strip())
    full_id = layout.candidate_id(*parts) if parts else None
    if full_id in candidates:
        return candidates[full_id]
    existing = ", ".join(candidates) or "none yet"
    raise UserError(f"there is no candidate {prompts.to_one_line(id, 40)!r}; there are: {existing}")


def find_comparable(run: Run, name: str) -> str:
    """Return the full name of a candidate or an episode that has something to compare.

    Args:
        run: the run.
        name: a candidate's id, or "<id>/s<training seed>/<index of the episode>".

    Raises:
        UserError: if there is no such candidate or episode, or it has no trained policy.
    """
    match = _EPISODE.fullmatch(name.strip())
    candidate = find_candidate(run, match[1] if match else name)
    if candidate.status != "ok" or not candidate.evaluations:
        raise UserError(f"{candidate.id} has no trained policy to compare ({candidate.status})")
    if not match or match[2] is None:
        return candidate.id

    # An episode: its training seed and its index must exist.
    seed, index = int(match[2]), int(match[3])
    pairs = zip(candidate.trainings, candidate.evaluations, strict=True)
    episode_counts = {training.seed: len(evaluation.episodes) for training, evaluation in pairs}
    if index >= episode_counts.get(seed, 0):
        existing = ", ".join(f"s{other}/0 to s{other}/{count - 1}" for other, count in episode_counts.items())
        raise UserError(f"{candidate.id} has no episode s{seed}/{index}; there are {existing}")
    return f"{candidate.id}/s{seed}/{index}"


def find_term_owner(run: Run, term: str, id: str | None) -> Candidate | None:
    """Return the candidate whose term is meant: the given one, else the best that has it; None without one.

    Raises:
        UserError: if there is no candidate with the given id.
    """
    if id is not None:
        candidate = find_candidate(run, id)
        return candidate if term in read_terms(candidate) else None
    candidates = run.read_candidates()
    ranked = evolution.rank_candidates(candidates, run.config.evolution.caution)
    unranked = [candidate for candidate in candidates if candidate not in ranked]
    return next((candidate for candidate in (*ranked, *unranked) if term in read_terms(candidate)), None)


def read_terms(candidate: Candidate) -> dict[str, tuple[str | None, float]]:
    """Return a program's terms: the expression, None where it cannot be extracted, and the weight."""
    try:
        parts = split_terms(candidate.proposal.source) or ()
    except ProgramError:
        return {}

    # Trial scoring names every term; the text alone gives the expressions.
    terms: dict[str, tuple[str | None, float]] = {
        name: (None, stats.weight) for name, stats in candidate.trial_terms.items()
    }
    for part in parts:
        terms[part.name] = (part.expression, part.weight)
    return terms
