"""A run with fake trainings: a policy does whatever its program rewards."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np

from rewardsmith.api import searches
from rewardsmith.contract import reward_program
from rewardsmith.contract.fitness import Rollout
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
    dump,
)
from rewardsmith.contract.reward_program import Transitions
from rewardsmith.llm.ledger import LedgerEntry
from rewardsmith.llm.messages import ModelAnswer, Request
from rewardsmith.sandbox.recorded import EpisodeFile, TransitionFile
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task

SIGNALS = (
    Signal("height", (), "m", "Height of the thing.", "obs[0]"),
    Signal("speed", (), "m/s", "Speed of the thing.", "obs[1]"),
)
TASK = Task(
    name="thing",
    text="Rise",
    env=EnvSpec("Thing-v0", signals=SIGNALS),
    env_about="A thing.",
    action="One number.",
    fitness="height[-1]",
)
TERMS = {"up": "after.height", "fast": "after.speed", "calm": "-np.sum(action ** 2, axis=1)"}


def write_program(**weights: float) -> str:
    """Return a program of these terms, as a model would write it."""
    items = ", ".join(f'"{name}": {weight}' for name, weight in weights.items())
    terms = ", ".join(f'"{name}": {TERMS[name]}' for name in weights)
    return f"WEIGHTS = {{{items}}}\n\n\ndef reward(action, after):\n    return {{{terms}}}\n"


class PlayedExecutor:
    """Trains nothing: the weight of `up` is the height that is reached, that of `fast` the speed."""

    slots = 2

    def __init__(self, stop_after: int | None = None) -> None:
        self.jobs: list[object] = []
        self.lock, self.stop_after = threading.Lock(), stop_after
        self.trained = 0

    def run(self, job, out: Path, on_event=None, decide=None):
        out.mkdir(parents=True, exist_ok=True)
        if isinstance(job, ProbeJob):
            return self.probe(out)
        if isinstance(job, TrainJob):
            return self.train(job, out)
        weights = {"up": 0.0} if job.policy is None else dict(np.load(Path(job.policy) / "weights.npz"))
        height, speed = float(weights.get("up", 0.0)), float(weights.get("fast", 0.0))
        signals = {"height": np.linspace(0.0, height, 8), "speed": np.full(8, speed)}
        episode = Rollout(signals, {name: np.zeros(()) for name in signals}, np.zeros((8, 1)), False)
        EpisodeFile.in_folder(out).write([episode] * len(job.seeds))
        return Evaluation("ok", tuple(Episode(seed, height, 8, False) for seed in job.seeds), height, 0.1)

    def probe(self, out: Path) -> Probe:
        rng = np.random.default_rng(0)
        before, after = ({one.name: rng.standard_normal(64) for one in SIGNALS} for _ in range(2))
        start = {one.name: np.zeros(64) for one in SIGNALS}
        transitions = Transitions(rng.standard_normal((64, 1)), before, after, start)
        TransitionFile.in_folder(out).write(transitions, step=np.arange(64) % 32)
        return Probe(SIGNALS, (1,), (-1.0,), (1.0,), None, (1,), 32, 64)

    def train(self, job: TrainJob, out: Path) -> Training:
        with self.lock:
            self.jobs.append(job)
            self.trained += 1
            if self.stop_after is not None and self.trained > self.stop_after:
                raise KeyboardInterrupt
        weights = {"up": 5.0} if job.program is None else dict(reward_program.parse_program(job.program).weights)
        np.savez(out / "weights.npz", **weights)
        (out / "policy.json").write_text("{}")
        (out / "policy.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
        point = CurvePoint(job.env_steps, 3, 1.0, 10.0, weights.get("up", 0.0), weights)
        return Training("ok", job.seed, job.env_steps, (point,), 0.1, 0.1, 0.0)

    def close(self) -> None:
        pass


def write_ledger(path: Path, programs: list[list[str]]) -> Path:
    """Write a ledger that answers, by position, slot s of generation g with programs[g][s]."""
    entries = []
    for generation in programs:
        for slot, source in enumerate(generation):
            answer = ModelAnswer(f"An idea.\n\n```python\n{source}```", "stop", 1, 1)
            request = Request("played", (), 1.0, 100)
            key = f"{len(entries):020d}.{slot}"
            entries.append(LedgerEntry(key, "designer", slot, request, answer, 0.0, 0.1, "2026-01-01T00:00:00+00:00"))
    path.write_text("".join(json.dumps(dump(entry)) + "\n" for entry in entries))
    return path


def make_run(path: Path, programs: list[list[str]] | None = None, **sections: dict[str, object]) -> Run:
    """Make a run of two programs in one generation that has not started."""
    search = {"population": 2, "generations": 1, "final_seeds": 1, "env_steps": 100, "baseline": False}
    layer = {"search": {**search, "designer": "symbolic"}}
    if programs is not None:
        answers = write_ledger(path.with_name(f"{path.name}-ledger.jsonl"), programs)
        layer["search"]["designer"] = "llm"
        layer["llm"] = {"replay": str(answers), "replay_by": "position"}
    return Run.create(path, TASK, resolve_config(layer, sections))


def make_finished_run(path: Path, programs: list[list[str]] | None = None, **sections: dict[str, object]) -> Run:
    """Make such a run and run it to its end."""
    run = make_run(path, programs, **sections)
    searches.continue_run(run, executor=PlayedExecutor())
    return run


def make_proposal(source: str) -> Proposal:
    """Return a program as somebody's proposal."""
    return Proposal(source, "test")
