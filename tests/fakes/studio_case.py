"""A run on disk without any training, and a visitor of the studio that shows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from fakes.paths import make_folder
from starlette.testclient import TestClient

from rewardsmith.contract import records
from rewardsmith.contract.records import (
    Candidate,
    CurvePoint,
    EnvSpec,
    Episode,
    Evaluation,
    Finding,
    GenerationPlan,
    Probe,
    Proposal,
    Reflection,
    Signal,
    SlotAssignment,
    TermStats,
    Training,
    TrialScoring,
    Verdict,
    Video,
)
from rewardsmith.report.video import VideoTrack
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task
from rewardsmith.studio.run_index import RunIndex
from rewardsmith.studio.security import RequestGuard
from rewardsmith.studio.server import build_application
from rewardsmith.studio.subprocesses import Subprocesses

PORT = 8787
HOST = f"127.0.0.1:{PORT}"
ORIGIN = f"http://{HOST}"
SIGNAL = Signal("height", (), "m", "Height of the thing.", "obs[0]")
TASK = Task("thing", "Rise", EnvSpec("Thing-v0", signals=(SIGNAL,)), "A thing.", "One number.", "height[-1]")
PROGRAM = "WEIGHTS = {{'up': {worth}}}\n\n\ndef reward(after):\n    return {{'up': after.height}}\n"


def make_run(path: Path, text: str = "Rise") -> Run:
    """Make a run of one generation of two candidates and one child of the first."""
    run = Run.create(
        path, replace(TASK, text=text), resolve_config({"search": {"designer": "symbolic", "population": 2}})
    )
    probe = Probe((SIGNAL,), (1,), (-1.0,), (1.0,), None, (1,), 32, 64)
    rng = np.random.default_rng(0)
    heights = rng.standard_normal(64)
    arrays = {"before/height": heights, "after/height": heights + 0.1, "start/height": np.zeros(64)}
    np.savez(
        make_folder(run.path, "probe") / "transitions.npz",
        action=rng.standard_normal((64, 1)),
        step=np.arange(64),
        **arrays,
    )
    journal = run.open_journal()
    journal.append("probe/loop", probe)
    for generation in range(2):
        journal.append(f"g{generation}/evolution/plan", GenerationPlan((SlotAssignment("new"), SlotAssignment("new"))))
        journal.append(f"g{generation}c00/designer/0", Proposal("", "symbolic"))
    journal.close()
    for id, worth, parents in (("g0c00", 1.0, ()), ("g0c01", 2.0, ()), ("g1c00", 3.0, ("g0c00",))):
        save_candidate(run, make_candidate(id, worth, parents))
    return run


def make_candidate(id: str, worth: float, parents: tuple[str, ...] = (), program: str = PROGRAM) -> Candidate:
    """Return a candidate as a finished training leaves it."""
    source = program.format(worth=worth) if program is PROGRAM else program
    curve = tuple(
        CurvePoint(1000 * step, 3, worth * step, 10.0, worth * step / 4, {"up": worth}) for step in (1, 2, 3, 4)
    )
    episodes = tuple(Episode(1_000_000_000 + seed, worth + seed, 10, False) for seed in range(3))
    dry = TrialScoring(64, 1.0, (TermStats("up", worth, 0.1, 1.0, -2.0, 2.0, 1.0),))
    return Candidate(
        id,
        int(id[1]),
        int(id[3:]),
        Proposal(source, "symbolic", parents, "It rises."),
        "ok",
        Verdict(True, (Finding("note", "rises & shines", "warning", 5),), dry),
        (Training("ok", 0, 4000, curve, 0.1, 0.1, 0.0),),
        (Evaluation("ok", episodes, worth, 0.1),),
        worth,
        Reflection("It rose.", (f"{id} may be cheating",)),
    )


def save_candidate(run: Run, one: Candidate) -> Path:
    """Write a candidate with its evaluation; return its folder."""
    run.save_candidate(one)
    folder = run.path / "candidates" / one.id
    make_folder(run.path, "candidates", one.id, "eval-s0")
    records.write(one.evaluations[0], folder / "eval-s0" / "result.json")
    return folder


def add_video(run: Run, id: str, file: str = "e0-00000000.mp4", content: bytes = b"\0" * 1000) -> Path:
    """Put a file in the place of a candidate's video of episode 0."""
    videos = make_folder(run.path, "candidates", id, "videos")
    (videos / "e0-00000000.mp4").write_bytes(content)
    video = Video(
        "ok", file, 20.0, 11, 1, 64, 64, 0, 10, 1.0, steps=tuple(range(11)), fitness_so_far=(None, *range(10))
    )
    records.write(VideoTrack(id, 0, 0, file, video), videos / "e0-00000000.json")
    return videos / file


class Visitor:
    """A browser, as far as the server can tell."""

    def __init__(self, path: Path, enter: bool = True) -> None:
        self.subprocesses = Subprocesses()
        self.guard = RequestGuard(build_application(RunIndex(path), self.subprocesses), PORT)
        self.client = TestClient(self.guard, base_url=ORIGIN, follow_redirects=False)
        if enter:
            self.get(f"/enter?token={self.guard.token}")

    def get(self, path: str, **headers: str):
        return self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, fields: dict[str, str] | None = None, **headers: str):
        given = {"origin": ORIGIN} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, data=fields or {"x": ""}, headers={k: v for k, v in given.items() if v})

    def close(self) -> None:
        self.client.close()
        self.subprocesses.close()
