"""Export of a run's candidate, for the command, the Python calls and the tools of coding agents."""

from __future__ import annotations

from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import Candidate
from rewardsmith.search.steps.evolution import find_incumbent
from rewardsmith.search.storage import Run

BEST = "best"
"""Name of the best candidate of a run, whichever it is."""


def find_candidate(run: Run, id: str) -> Candidate:
    """Return a candidate of a run; BEST is that of the result, or the best so far.

    Raises:
        RunError: if there is none of this id.
    """
    result = run.read_result()
    candidates = {candidate.id: candidate for candidate in run.read_candidates()}
    if result is not None:
        candidates.setdefault(result.best.id, result.best)
    if id != BEST:
        chosen = candidates.get(id)
    else:
        chosen = result.best if result else find_incumbent(list(candidates.values()), run.config.evolution)
    if chosen is None:
        missing = f"candidate {id!r}" if id != BEST else "candidate with a fitness"
        raise RunError(f"{run.path} has no {missing}; it has: {', '.join(candidates) or 'none yet'}")
    return chosen


def export_candidate(run: Run, id: str, unsafe: bool = False) -> str:
    """Return the text of a file with a candidate's program and its wrapper.

    Args:
        run: the run.
        id: of the candidate, or BEST.
        unsafe: export also a program that does more than compute on arrays.

    Raises:
        ProgramError: if the program does more than compute on arrays.
        RunError: if there is no such candidate, or the environment was not probed yet.
    """
    from rewardsmith.report.export.exporter import describe_origin, export_program

    candidate, probe = find_candidate(run, id), run.read_probe()
    if probe is None:
        raise RunError(f"{run.path} has not probed its environment yet; resume it with: rewardsmith resume {run.path}")
    origin = describe_origin(run, candidate)
    return export_program(candidate.program, probe.signals, run.task.env, origin, unsafe)
