"""A search with fake trainings: a program's weight is its fitness."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from rewardsmith.contract.records import (
    CurvePoint,
    EnvSpec,
    Episode,
    Evaluation,
    Probe,
    ProbeJob,
    Proposal,
    Signal,
    Training,
    TrainJob,
)
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.loop import Search
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task

SIGNAL = Signal("height", (), "m", "Height of the thing.", "obs[0]")
TASK = Task(
    name="thing",
    text="Rise",
    env=EnvSpec("Thing-v0", signals=(SIGNAL,)),
    env_about="A thing.",
    action="One number.",
    fitness="height[-1]",
)
PROGRAM = "WEIGHTS = {{'up': {worth}}}\n\ndef reward(after):\n    return {{'up': after.height}}\n"
BROKEN = "def reward(after):\n    return {'up': after.hight}\n"


class PlayedExecutor:
    """Trains nothing: a program's weight is its fitness, unless `outcomes` says how its training ends."""

    slots = 2

    def __init__(self, outcomes: dict[float, str] | None = None) -> None:
        self.outcomes, self.jobs, self.lock = outcomes or {}, [], threading.Lock()
        self.worth: dict[str, float] = {}

    def run(self, job, out: Path, on_event=None, decide=None):
        out.mkdir(parents=True, exist_ok=True)
        with self.lock:
            self.jobs.append(job)
        if isinstance(job, ProbeJob):
            return self.probe(out)
        if isinstance(job, TrainJob):
            return self.train(job, out)
        worth = 0.0 if job.policy is None else self.worth[job.policy]
        episodes = tuple(Episode(seed, worth, 10, False) for seed in job.seeds)
        return Evaluation("ok", episodes, worth, 0.1)

    def probe(self, out: Path) -> Probe:
        rng = np.random.default_rng(0)
        heights = rng.standard_normal(64)
        arrays = {"before/height": heights, "after/height": heights + 0.1, "start/height": np.zeros(64)}
        np.savez(out / "transitions.npz", action=rng.standard_normal((64, 1)), step=np.arange(64) % 32, **arrays)
        return Probe((SIGNAL,), (1,), (-1.0,), (1.0,), None, (1,), 32, 64)

    def train(self, job: TrainJob, out: Path) -> Training:
        worth = 5.0 if job.program is None else float(job.program.split("'up': ")[1].split("}")[0])
        self.worth[str(out)] = worth + 0.001 * (job.seed % 10)
        status = self.outcomes.get(worth, "ok")
        point = CurvePoint(job.env_steps, 3, worth, 10.0, worth, {"up": worth})
        cause = None if status == "ok" else f"it {status}"
        return Training(status, job.seed, job.env_steps, (point,), 0.1, 0.1, 0.0, cause)

    def close(self) -> None:
        pass


class ScriptedDesigner:
    """Proposes the given programs, and records its briefs."""

    def __init__(self, worths: list[float | BaseException | str], repaired: str | None = None) -> None:
        self.worths, self.repaired, self.briefs, self.repairs = worths, repaired, [], []

    def propose(self, brief, slot):
        self.briefs.append(brief)
        worth = self.worths[brief.generation * brief.population + slot]
        if isinstance(worth, BaseException):
            raise worth
        source = worth if isinstance(worth, str) else PROGRAM.format(worth=worth)
        return Proposal(source, "test", tuple(parent.id for parent in brief.parents))

    def repair(self, brief, proposal, findings, round):
        self.repairs.append((round, findings))
        return replace(proposal, source=self.repaired or proposal.source)


def search(tmp_path, designer, executor=None, sets=(), callback=None):
    config = resolve_config(
        {
            "search": {"population": 2, "generations": 2, "final_seeds": 2, "env_steps": 100, "designer": "symbolic"},
        },
        *sets,
    )
    path = tmp_path / "run"
    run = Run.open(path) if path.exists() else Run.create(path, TASK, config)
    journal = run.open_journal()
    try:
        return Search(run, journal, designer, executor or PlayedExecutor(), callback or NullCallback()).run_search()
    finally:
        journal.close()
