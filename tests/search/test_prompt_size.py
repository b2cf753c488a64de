"""Length of later prompts, and the part that siblings share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rewardsmith.contract.fitness import Rollout
from rewardsmith.contract.records import (
    Brief,
    Candidate,
    CurvePoint,
    Episode,
    Evaluation,
    ProbeJob,
    Proposal,
    Training,
)
from rewardsmith.llm.messages import estimate_tokens
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search.probe import measure_signals
from rewardsmith.search.steps.analyzer import ReflectionContext, write_reflection
from rewardsmith.search.steps.designer.prompt_builder import PromptOptions, build_messages
from rewardsmith.search.training_facts import describe_training
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import probe as probe_job

LONGEST = 4_100
"""Tokens of the longest later prompt."""
SHARED = 0.75
"""Part of a prompt that its siblings share, at least."""
IDEA = "Forward speed as the goal, held by a smooth preference for an upright torso, with a small price on effort."
PROGRAM = """WEIGHTS = {{"speed": 1.0, "level": 0.5, "alive": 0.2, "effort": 0.0{slot}}}


def reward(before, action, after):
    # the goal itself, bounded so that the other terms keep their share
    speed = np.tanh(after.x_velocity / 2.0)
    level = shaping.tolerance(after.torso_height, bounds=(0.4, 1.4), margin=0.3)
    alive = np.where(after.torso_height > 0.3, 1.0, 0.0)
    effort = -np.mean(action**2, axis=1)
    return {{"speed": speed, "level": level, "alive": alive, "effort": effort}}
"""


def make_candidate(id: str, parents: tuple[str, ...], folder: Path, task, found) -> Candidate:
    """Return a trained candidate whose episodes swing and fall in all of the card's signals."""
    slot = int(id[3:])
    rng = np.random.default_rng(slot)
    names = ("speed", "level", "alive", "effort")
    points = tuple(
        CurvePoint(20_000 * at, 20, 12.3 * at, 100.0 + at, 0.3 * at, dict(zip(names, rng.normal(size=4), strict=True)))
        for at in range(1, 11)
    )
    episodes = tuple(Episode(seed, 3.0 + seed, 400 + seed, seed % 2 == 0) for seed in range(10))
    rollouts = []
    for episode in episodes:
        signals = {one.name: rng.normal(size=(episode.length, *one.shape)) for one in task.env.signals}
        start = {one.name: np.zeros(one.shape) for one in task.env.signals}
        actions = rng.uniform(-1.0, 1.0, (episode.length, len(found.action_low)))
        rollouts.append(Rollout(signals, start, actions, episode.terminated))
    folder.mkdir()
    EpisodeFile.in_folder(folder).write(rollouts)
    candidate = Candidate(
        id,
        int(id[1]),
        slot,
        Proposal(PROGRAM.format(slot=slot + 1), "llm:small", parents, IDEA, idea=IDEA),
        "ok",
        trainings=(Training("ok", 0, 200_000, points, 1.0, 1.0, 0.1),),
        evaluations=(Evaluation("ok", episodes, 7.5, 1.0),),
        fitness=7.5 + slot,
    )
    context = ReflectionContext(tuple(one.name for one in task.env.signals), found)
    return replace(candidate, reflection=write_reflection(candidate, [folder], None, context))


@pytest.mark.parametrize("env", ["Hopper-v5", "HalfCheetah-v5", "Ant-v5"])
def test_a_later_prompt_is_not_long_and_begins_with_what_its_siblings_share(env: str, tmp_path: Path) -> None:
    task = load_task(None, env)
    found = probe_job.run(ProbeJob(task.env, 0, 1024), tmp_path)
    ids = [f"g{generation}c0{slot}" for generation in range(2) for slot in range(4)]
    history = tuple(make_candidate(id, () if id[1] == "0" else ("g0c00",), tmp_path / id, task, found) for id in ids)
    brief = Brief(
        task.text,
        env,
        task.env_about,
        found.signals,
        task.action,
        2,
        4,
        0,
        parents=history[-3:],
        history=history,
        card_signal_count=len(task.env.signals),
        incumbent=history[-1].id,
        training=describe_training(resolve_config({})),
        scale="Fitness is in m; for comparison: random actions 0.01, policies on the environment's own reward 6.3.",
        noise=1.2,
        ties=tuple(ids[:3]),
        unobserved=found.unobserved,
        signal_facts=measure_signals(SimpleNamespace(transitions=tmp_path / "transitions.npz"), found),  # type: ignore[arg-type]
    )
    texts = ["".join(one.content for one in build_messages(PromptOptions(), brief, slot)) for slot in range(4)]
    shared = next(place for place, letters in enumerate(zip(*texts, strict=False)) if len(set(letters)) > 1)
    assert max(map(estimate_tokens, texts)) <= LONGEST
    assert shared >= SHARED * max(map(len, texts))
