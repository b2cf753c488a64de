"""An executor that runs probes and evaluations in this process."""

from __future__ import annotations

from pathlib import Path

from rewardsmith.contract.records import EvaluateJob, ProbeJob
from rewardsmith.worker import evaluate, probe


class InProcessExecutor:
    """Runs probes and evaluations in this process, and remembers the jobs."""

    slots = 2

    def __init__(self) -> None:
        self.jobs: list[object] = []

    def run(self, job, out: Path, on_event=None, decide=None):
        out.mkdir(parents=True, exist_ok=True)
        self.jobs.append(job)
        runners = {ProbeJob: probe.run, EvaluateJob: evaluate.run}
        return runners[type(job)](job, out)

    def close(self) -> None:
        pass
