"""Captions of MiniHack's messages and Crafter's achievements, for the learned signal `labelled`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.families import needs

from rewardsmith.contract.job_messages import CaptionsSeen
from rewardsmith.spec.learned_signals import add_learned_signals, parse_signal_options
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.learned_signals.base import JobUse
from rewardsmith.worker.learned_signals.env import fill_learned_columns


@pytest.mark.parametrize(
    ("card", "option", "expected"),
    [
        pytest.param(
            "key_room",
            "text = 'message', events = ['has_key']",
            "It's a wall.",
            marks=needs("rewardsmith/MiniHack-River-v0"),
        ),
        pytest.param(
            "crafter_tree", "events = ['did_*']", "did_collect_sapling rises", marks=needs("rewardsmith/Crafter-v1")
        ),
    ],
)
def test_what_a_game_tells_becomes_captions(card: str, option: str, expected: str) -> None:
    task, sent = load_task(None, card), list[CaptionsSeen]()
    signals = parse_signal_options([f"told = {{ provider = 'labelled', batch = 40, {option} }}"])
    env = add_learned_signals(task.env, signals, "--signal")
    survey = survey_environment(env)
    simulated = tuple(signal for signal in survey.signals if not signal.is_learned)
    spec = replace(env, signals=simulated, privileged_signals=survey.privileged_signals)

    envs = make_envs(spec, 2, ("told",), use=JobUse("train", sent.append))  # type: ignore[arg-type]
    rng, steps = np.random.default_rng(0), 400
    after = np.zeros((steps, 2, envs.layout.width))
    envs.reset([1, 2])
    for step in range(steps):
        after[step] = envs.step(np.stack([envs.actions.sample(rng) for _ in range(2)])).after
    fill_learned_columns(envs, after)
    envs.close()
    assert expected in sent[0].captions and not after[..., -1].any()
