"""Whole searches with every strategy and fake trainings: resuming, ensembles, budgets."""

from __future__ import annotations

import json
import re
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.journals import canonical_events

from rewardsmith.contract.records import (
    BehaviourDescriptor,
    CurvePoint,
    EnvSpec,
    Episode,
    EvaluateJob,
    Evaluation,
    GenerationPlan,
    Probe,
    ProbeJob,
    Result,
    Signal,
    Training,
    TrainJob,
)
from rewardsmith.report.result_lines import summarize_result
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.loop import Search
from rewardsmith.search.steps import analyzer
from rewardsmith.search.steps.designer.symbolic import SymbolicDesigner
from rewardsmith.search.steps.evolution import BehaviourArchive
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.journal import read_journal
from rewardsmith.search.storage.journal_keys import plan_key
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task

SIGNALS = (
    Signal("height", (), "m", "Height of the thing.", "obs[0]"),
    Signal("speed", (2,), "m/s", "Its speed.", "obs[1:3]"),
)
TASK = Task(
    name="thing",
    text="Rise",
    env=EnvSpec("Thing-v0", signals=SIGNALS),
    env_about="A thing.",
    action="One number.",
    fitness="height[-1]",
)
DESCRIPTORS = (BehaviourDescriptor("rise", "height[-1]", 0.0, 10.0, 20),)
SMALL = {"search": {"population": 3, "generations": 3, "final_seeds": 1, "env_steps": 100, "designer": "symbolic"}}


FEW = {"population": 2, "generations": 1}


class Killed(Exception):
    """What a kill looks like from inside."""


class Player:
    """An executor that trains nothing: a program's text gives its fitness; it is killed after so many trainings."""

    slots = 2

    def __init__(self, lives: int = 1000, rises: bool = True) -> None:
        self.lives, self.rises, self.lock = lives, rises, threading.Lock()
        self.programs: list[str | None] = []

    def run(self, job, out: Path, on_event=None, decide=None):
        out.mkdir(parents=True, exist_ok=True)
        if isinstance(job, ProbeJob):
            return self.probe(out)
        if isinstance(job, EvaluateJob):
            worth = 0.0 if job.policy is None else json.loads((Path(job.policy) / "worth.json").read_text())
            metrics = dict.fromkeys(job.metrics, worth)
            episodes = tuple(Episode(seed, worth, 10, False) for seed in job.seeds)
            return Evaluation("ok", episodes, worth, 0.1, metrics=metrics)
        return self.train(job, out)

    def probe(self, out: Path) -> Probe:
        rng = np.random.default_rng(0)
        arrays = {f"{state}/height": rng.standard_normal(64) for state in ("before", "after", "start")}
        arrays |= {f"{state}/speed": rng.standard_normal((64, 2)) for state in ("before", "after", "start")}
        np.savez(out / "transitions.npz", action=rng.standard_normal((64, 1)), step=np.arange(64) % 32, **arrays)
        return Probe(SIGNALS, (1,), (-1.0,), (1.0,), None, (1,), 32, 64)

    def train(self, job: TrainJob, out: Path) -> Training:
        with self.lock:
            self.lives -= 1
            if self.lives < 0:
                raise Killed
            self.programs.append(job.program)
        worth = 5.0 if job.program is None else zlib.crc32(job.program.encode()) % 1000 / 100.0
        (out / "worth.json").write_text(json.dumps(worth))
        names = re.findall(r"'(\w+)':|\"(\w+)\":", (job.program or "").split("def reward")[0])
        means = {first or second: 1.0 for first, second in names}
        points = [
            CurvePoint(25 * k, 3, float(k) if self.rises else 1.0, 10.0, 1.0, {name: 0.1 * k for name in means})
            for k in range(1, 7)
        ]
        return Training("ok", job.seed, job.env_steps, tuple(points), 0.1, 0.1, 0.0)

    def close(self) -> None: ...


class Notices(NullCallback):
    """Records the notices to the user."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_notice(self, text: str) -> None:
        self.told.append(text)


def search(path: Path, executor: Player, watch: Notices | None = None, **layers: dict) -> Result:
    config = resolve_config(SMALL, layers)
    task = replace(TASK, behaviour=DESCRIPTORS) if config.search.strategy == "map-elites" else TASK
    run = Run.open(path, layers) if path.exists() else Run.create(path, task, config)
    journal = run.open_journal()
    try:
        return Search(run, journal, SymbolicDesigner(), executor, watch or Notices()).run_search()
    finally:
        journal.close()


def journal(run: Path) -> dict[str, object]:
    """Return what happened, less the finding that depends on how busy the machine is."""
    events = {event.key: event.data for event in canonical_events(read_journal(run / "journal.jsonl"))}
    for key, data in events.items():
        if "/critic/" in key:
            data["findings"] = [finding for finding in data["findings"] if finding["code"] != "slow"]
    return events


WAYS = {
    "every way of the generations at once": {
        "search": {"ensemble": 2},
        "evolution": {"islands": 2, "migration": 1, "crossover": 1, "novelty": 0.5},
    },
    "restarts": {"evolution": {"restart_after": 1, "selection": "greedy-last"}},
    "a tree": {"search": {"strategy": "mcts"}},
    "an archive": {"search": {"strategy": "map-elites"}},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_search_ends_as_the_uninterrupted_one_which_trains_as_often_as_planned(tmp_path, way):
    player, planned = Player(), resolve_config(SMALL, WAYS[way]).search
    whole = search(tmp_path / "whole", player, **WAYS[way])
    assert len(whole.candidates) == planned.population * planned.generations
    refused = sum(one.status != "ok" for one in whole.candidates)
    assert len(player.programs) == planned.trainings - refused
    assert whole.env_steps == 100 * len(player.programs)
    for lives in (2, 3):
        with pytest.raises(Killed):
            search(tmp_path / "run", Player(lives), **WAYS[way])
    resumed = search(tmp_path / "run", Player(), **WAYS[way])
    assert journal(tmp_path / "whole") == journal(tmp_path / "run")
    assert (resumed.best.id, resumed.ensemble) == (whole.best.id, whole.ensemble)


def test_the_archive_of_a_search_is_that_of_its_candidates_and_its_parents_come_from_the_cells(tmp_path):
    watch = Notices()
    result = search(tmp_path / "run", Player(), watch, **WAYS["an archive"])
    assert result.behaviour == DESCRIPTORS
    for generation in (1, 2):
        earlier = [one for one in result.candidates if one.generation < generation]
        archive = BehaviourArchive.build(DESCRIPTORS, earlier)
        elites = {elite.candidate for elite in archive.elites.values()}
        plan = Run.open(tmp_path / "run").load_event(
            GenerationPlan,
            next(
                event for event in read_journal(tmp_path / "run" / "journal.jsonl") if event.key == plan_key(generation)
            ),
        )
        assert {parent for slot in plan.slots for parent in slot.parents} <= elites
        assert any(slot.aim.target for slot in plan.slots)
    assert any(re.fullmatch(r"g1: the archive has policies in \d of 20 cells \(\d+%\)", text) for text in watch.told)
    (line,) = [line for line in summarize_result(result) if line.startswith("archive of rise")]
    assert re.fullmatch(
        r"archive of rise: policies in \d of 20 cells \(\d+%\), QD score [\d.]+ above random actions", line
    )
    # As of one program that is trained without a search.
    unmeasured = replace(result, candidates=tuple(replace(one, evaluations=()) for one in result.candidates))
    assert not any(line.startswith("archive") for line in summarize_result(unmeasured))


def test_an_ensemble_is_trained_on_the_final_seeds_and_reported_beside_the_best(tmp_path):
    executor = Player()
    result = search(tmp_path / "run", executor, search=FEW | {"ensemble": 2})
    text = (tmp_path / "run" / "ensemble.py").read_text()
    assert executor.programs.count(text) == 1
    assert result.ensemble.members[0] == result.best.id
    assert result.ensemble.reported.mean == zlib.crc32(text.encode()) % 1000 / 100.0
    assert any(line.startswith(f"  worst of {', '.join(result.ensemble.members)}") for line in summarize_result(result))
    assert Run.open(tmp_path / "run").read_result().ensemble == result.ensemble


def test_the_joined_program_passes_the_critic(tmp_path):
    watch = Notices()
    result = search(
        tmp_path / "run", Player(), watch, search={"generations": 1, "ensemble": 3, "ensemble_rule": "cautious"}
    )
    assert len(result.ensemble.members) == 3
    assert not [text for text in watch.told if "no ensemble" in text]


def test_an_ensemble_is_offered_where_the_best_program_raised_an_alarm(tmp_path):
    watch = Notices()
    result = search(tmp_path / "run", Player(), watch, search=FEW)
    assert result.best.reflection.alarms
    (offer,) = [text for text in watch.told if "--ensemble 3" in text]
    assert offer.startswith(f"{result.best.id} raised an alarm")


def test_a_finished_search_takes_an_ensemble_up_later_and_trains_nothing_else(tmp_path):
    first = search(tmp_path / "run", Player(), search=FEW)
    executor = Player()
    later = search(tmp_path / "run", executor, search={"ensemble": 2})
    assert executor.programs == [(tmp_path / "run" / "ensemble.py").read_text()]
    assert (later.best, later.reported) == (first.best, first.reported)
    assert later.ensemble.reported is not None


def test_nothing_is_offered_without_an_alarm(tmp_path, monkeypatch):
    quiet = analyzer.write_reflection
    monkeypatch.setattr(
        analyzer, "write_reflection", lambda *given, **named: replace(quiet(*given, **named), alarms=())
    )
    watch = Notices()
    search(tmp_path / "run", Player(), watch, search=FEW)
    assert not [text for text in watch.told if "--ensemble" in text]


def test_one_program_is_no_ensemble_and_the_result_says_why(tmp_path):
    watch = Notices()

    class Half(Player):
        def train(self, job, out):
            training = super().train(job, out)
            if "c01" in str(out):
                return Training("failed", job.seed, 0, (), 0.1, 0.1, 0.0, "it failed")
            return training

    result = search(tmp_path / "run", Half(), watch, search=FEW | {"ensemble": 2})
    assert result.ensemble is None
    assert any(text.startswith("no ensemble: it takes two different programs") for text in watch.told)


def test_a_restart_is_told_to_the_user(tmp_path):
    class Falling(Player):
        def run(self, job, out, on_event=None, decide=None):
            found = super().run(job, out, on_event, decide)
            if isinstance(found, Evaluation) and job.policy and "/candidates/" in job.policy:
                worth = -float(re.search(r"/g(\d+)c", job.policy)[1])
                return Evaluation("ok", tuple(Episode(e.seed, worth, 10, False) for e in found.episodes), worth, 0.1)
            return found

    watch = Notices()
    result = search(tmp_path / "run", Falling(), watch, search={"population": 1}, evolution={"restart_after": 1})
    assert "g2: the search restarts: 1 generation without improvement" in watch.told
    assert result.best.generation == 0
