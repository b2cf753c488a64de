"""MiniGrid, highway-env, PushT and panda-gym: packages that are used as they are, by cards of ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.families import needs, tasks

from rewardsmith.api import planning, searches
from rewardsmith.contract.records import EnvSpec, EvaluateJob, ProbeJob
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import evaluate, probe
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs

# PyBullet and PyGame warn of what their own code does.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

CARDS = tasks("minigrid", "highway", "pusht", "panda")
MINIGRID, HIGHWAY, PUSHT, PANDA = "MiniGrid-DoorKey-5x5-v0", "highway-fast-v0", "gym_pusht/PushT-v0", "PandaReach-v3"
REACH = """def reward(after):
    return {"near": -10.0 * after.distance, "there": 5.0 * (after.distance < 0.05)}
"""
UNMOVED = {"open_doors", "crashed", "block", "goal", "contacts", "other_present"}
"""What short random episodes may leave as it is."""


@pytest.mark.parametrize("task", CARDS)
def test_signals_have_the_stated_shapes_and_move(task, tmp_path):
    probe.run(ProbeJob(task.env, seed=0, transitions=60), tmp_path)
    with np.load(tmp_path / "transitions.npz") as arrays:
        for signal in task.env.signals:
            values = arrays[f"after/{signal.name}"]
            assert values.shape == (60, *signal.shape)
            assert np.isfinite(values).all()
            assert np.ptp(values) > 0 or signal.name in UNMOVED, signal.name


@pytest.mark.parametrize("task", CARDS)
def test_the_same_seeds_give_the_same_finite_fitness(task, tmp_path):
    job = EvaluateJob(replace(task.env, max_episode_steps=12), None, task.fitness, (500, 501))
    first = evaluate.run(job, tmp_path)
    assert first.status == "ok"
    assert evaluate.run(job, tmp_path).episodes == first.episodes


@needs(MINIGRID)
def test_minigrid_names_its_actions_and_its_card_reports_the_level(tmp_path):
    plain = probe.run(ProbeJob(EnvSpec(MINIGRID), 0, 16), tmp_path)
    assert plain.action_names == ("left", "right", "forward", "pickup", "drop", "toggle", "done")
    assert {signal.name: signal.shape for signal in plain.signals}["image"] == (7, 7, 3)

    env = make_envs(load_task(None, "minigrid_door_key").env, 1, ("position", "ahead", "goal_distance", "key_distance"))
    env.reset((0,))
    values = {name: array[0].tolist() for name, array in env.layout.unpack_signals(env.read_signals()).items()}
    assert values == {"position": [1, 3], "ahead": 2.0, "goal_distance": 2.0, "key_distance": 1.0}


@needs(HIGHWAY)
def test_highway_names_the_columns_of_its_rows_and_hides_its_rewards():
    found = survey_environment(EnvSpec(HIGHWAY))
    assert found.action_names == ("LANE_LEFT", "IDLE", "LANE_RIGHT", "FASTER", "SLOWER")
    assert {signal.name: signal.source for signal in found.signals}["vx"] == "obs[3::5]"
    assert "rewards_collision_reward" in {signal.name for signal in found.privileged_signals}
    assert not [signal.source for signal in found.signals if "reward" in signal.source]


@needs(PUSHT)
def test_the_coverage_that_pusht_pays_is_no_signal(tmp_path):
    found = probe.run(ProbeJob(EnvSpec(PUSHT), 0, 256), tmp_path)
    assert "coverage" in {signal.name for signal in found.privileged_signals}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        pytest.param("minigrid_empty", 8_000, marks=needs(MINIGRID)),
        pytest.param("highway", 1_200, marks=needs(HIGHWAY)),
        pytest.param("pusht_approach", 6_000, marks=needs(PUSHT)),
        pytest.param("panda_reach", 7_000, marks=needs(PANDA)),
    ],
)
def test_a_search_beats_random_actions(name, steps, tmp_path):
    # An episode of panda-gym ends with its success, so that a symbolic program, paid for each step, stays away from it.
    seed_reward = tmp_path / "seed.py" if name == "panda_reach" else None
    if seed_reward is not None:
        seed_reward.write_text(REACH, encoding="utf-8")
    search = {"designer": "symbolic", "population": 2, "generations": 1, "env_steps": steps}
    search |= {"seeds": 1, "final_seeds": 1, "baseline": False}
    overrides = {"search": search, "evaluation": {"episodes": 10}}
    plan = planning.plan_search(load_task(None, name).text, name, overrides=overrides)
    result = searches.continue_run(searches.create_run(plan, tmp_path / "run", seed_reward))
    assert result.reported is not None
    assert result.baselines.random is not None
    assert result.reported.mean > 1.2 * result.baselines.random
