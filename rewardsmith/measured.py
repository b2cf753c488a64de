"""One program measured without a search, as `rewardsmith train` does."""

from __future__ import annotations

from rewardsmith import final
from rewardsmith.archive import Journal, Run
from rewardsmith.jobs import Executor
from rewardsmith.look import look
from rewardsmith.program import RewardProgram, refusal
from rewardsmith.records import Candidate, Proposal, Result, Spent
from rewardsmith.steps import critic
from rewardsmith.trials import Trials
from rewardsmith.watch import Watch

MEASURED = "user"
"""Id of the one program of such a run."""


def measure(run: Run, program: RewardProgram, journal: Journal, executor: Executor, watch: Watch) -> Result:
    """Measure a program as a search measures its best: trained on fresh seeds, run on held-out episodes.

    Raises:
        ProgramError: if the critic refuses it.
        TaskError: if the environment cannot be made.
        WorkerFailed: if the machinery fails; the same call goes on from there.
    """
    probe = look(run, journal, executor)
    verdict = critic.review(program.source, probe, run.transitions, run.config.sandbox)
    if not verdict.accepted:
        raise refusal(verdict.findings)
    trials = Trials(run, journal, executor, watch, probe)
    config = run.config.search
    watch.started(config.final_seeds * (1 + config.baseline), config.env_steps)
    candidate = Candidate(MEASURED, 0, 0, Proposal(program.source, "user"), "ok", verdict)
    run.save(candidate)
    result = final.report(trials, candidate, [candidate], Spent(), None)
    watch.finished(result)
    return result
