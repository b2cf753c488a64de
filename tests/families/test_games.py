"""Crafter, MiniHack and ManiSkill: the promises of their cards, and games equal to the packages' own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from fakes.families import needs, tasks
from fakes.paths import CHECKOUT

from rewardsmith.contract.env_families import FAMILIES, is_family_installed
from rewardsmith.contract.records import EnvSpec, EvaluateJob, ProbeJob
from rewardsmith.worker import evaluate, probe
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.open_env import open_env

# ManiSkill hands tensors to NumPy in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CARDS = tasks("crafter", "minihack", "maniskill")
CRAFTER = "rewardsmith/Crafter-v1"
RIVER = "rewardsmith/MiniHack-River-v0"
LAVA = "rewardsmith/MiniHack-LavaCross-Levitate-Ring-Inv-Restricted-v0"
PICK = "rewardsmith/ManiSkill-PickCube-v1"
LIKELY_TO_MOVE = {"position", "view", "explored", "gripper_position", "joint_positions", "turns"}
"""Signals that change in any short random episode; of the others some wait for an event."""


@pytest.mark.parametrize("task", CARDS)
def test_signals_have_the_stated_shapes_and_are_finite(task, tmp_path):
    probe.run(ProbeJob(task.env, seed=0, transitions=40), tmp_path)
    with np.load(tmp_path / "transitions.npz") as arrays:
        for signal in task.env.signals:
            values = arrays[f"after/{signal.name}"]
            assert values.shape == (40, *signal.shape)
            assert np.isfinite(values).all()
            assert np.ptp(values) > 0 or signal.name not in LIKELY_TO_MOVE, signal.name


@pytest.mark.parametrize("task", CARDS)
def test_the_same_seeds_give_the_same_finite_fitness(task, tmp_path):
    job = EvaluateJob(replace(task.env, max_episode_steps=15), None, task.fitness, (500, 501))
    first = evaluate.run(job, tmp_path)
    assert first.status == "ok"
    assert evaluate.run(job, tmp_path).episodes == first.episodes


@pytest.mark.parametrize("task", CARDS)
def test_the_random_policy_scores_low(task):
    [anchor] = [anchor for anchor in task.anchors if anchor.policy == "random"]
    assert anchor.fitness < 0.2


@pytest.mark.parametrize("task", CARDS)
def test_neither_reward_nor_success_is_a_signal(task):
    found = survey_environment(task.env)
    telling = ("reward", "success", "placed", "cubeA_on_cubeB", "discount", "status")
    assert not [signal.source for signal in found.signals if any(word in signal.source for word in telling)]
    assert "environment_reward" in {measure.name for measure in found.privileged_signals}


@needs(CRAFTER)
def test_crafter_plays_the_games_own_episode():
    import crafter

    from rewardsmith.worker.envs.adapters.crafter import _World

    env, game = make_envs(EnvSpec(CRAFTER), 1), crafter.Env(seed=5, length=None)
    game._world.__class__ = _World  # the order of creatures, which the game leaves to memory addresses
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(env.reset((5,))[0], game.reset().ravel())
    for _ in range(200):
        action = int(rng.integers(17))
        step, (obs, reward, over, _) = env.step(np.array([[float(action)]])), game.step(action)
        np.testing.assert_array_equal(step.final_obs[0], obs.ravel())
        assert (step.environment_reward[0], step.terminated[0]) == (reward, bool(over))
        if over:
            np.testing.assert_array_equal(step.obs[0], game.reset().ravel())


@needs(CRAFTER)
def test_crafter_tells_what_stands_around_the_player():
    env = open_env(EnvSpec(CRAFTER))
    _, info = env.reset(seed=3)
    game = env.unwrapped._game
    x, y = game._player.pos
    whole = game._sem_view()
    np.testing.assert_array_equal(info["view"], whole[x - 4 : x + 5, y - 3 : y + 4].T)
    trees = np.argwhere(whole[x - 4 : x + 5, y - 3 : y + 4] == game._world._mat_ids["tree"]) - (4, 3)
    assert info["tree_distance"] == (np.abs(trees).sum(axis=1).min() if len(trees) else 16)
    if len(trees):
        assert info["tree_offset"].tolist() in trees.tolist()


@needs(CRAFTER)
def test_crafter_reports_death_in_lava():
    env = open_env(EnvSpec(CRAFTER))
    env.reset(seed=3)
    game = env.unwrapped._game
    game._world[game._player.pos + np.array((1, 0))] = "lava"
    for obj in game._world.objects[1:]:
        game._world.remove(obj)
    _, _, terminated, truncated, info = env.step(2)
    assert (terminated, truncated, info["in_lava"], info["health"]) == (True, False, 1.0, 0.0)


@needs(CRAFTER)
def test_crafter_can_start_equipped_near_a_diamond():
    env = open_env(EnvSpec(CRAFTER, {"equipped": True, "start_near": "diamond", "start_distance": 4}))
    distances = [env.reset(seed=seed)[1] for seed in range(3)]
    assert all(info["has_iron_pickaxe"] == 1 for info in distances)
    assert any(4 <= info["diamond_distance"] <= 7 for info in distances)


HASH = """
import sys, zlib, numpy as np
from rewardsmith.contract.records import EnvSpec
from rewardsmith.worker.envs.make import make_envs
env, seen = make_envs(EnvSpec(sys.argv[1]), 1), 0
env.reset((11,))
rng = np.random.default_rng(1)
for _ in range(60):
    seen = zlib.crc32(env.step(np.array([env.actions.sample(rng)])).obs.tobytes(), seen)
print(seen)
"""


@pytest.mark.parametrize("env_id", [pytest.param(name, marks=needs(name)) for name in (CRAFTER, RIVER, LAVA, PICK)])
def test_a_seed_gives_the_same_episode_in_every_process(env_id):
    found = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", HASH, env_id],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(found) == 1


@needs(RIVER)
@pytest.mark.parametrize("env_id", [RIVER, LAVA])
def test_minihack_plays_the_games_own_episode(env_id):
    from rewardsmith.worker.envs.adapters.minihack import KEYS, SEED_RANGE

    env = open_env(EnvSpec(env_id))
    game = gymnasium.make(
        env_id.partition("/")[2], disable_env_checker=True, observation_keys=KEYS, fix_moon_phase=True
    ).unwrapped
    env.reset(seed=4)
    core, display = np.random.default_rng(4).integers(SEED_RANGE, size=2).tolist()
    game.seed(core=core, disp=display, reseed=False)
    game.reset()
    rng = np.random.default_rng(0)
    for _ in range(200):
        action = int(rng.integers(env.action_space.n))
        _, reward, terminated, truncated, info = env.step(action)
        seen, own, *_ = game.step(action)
        assert reward == own
        if terminated or truncated:
            break
        assert info["position"].tolist() == seen["blstats"][:2].tolist()
        assert env.render().split("\n") == [bytes(row).decode("latin-1").rstrip() for row in seen["chars"]]


@needs(LAVA)
def test_minihack_keeps_the_last_state_of_an_episode_and_tells_success_from_death():
    env, rng, ends = open_env(EnvSpec(LAVA)), np.random.default_rng(0), []
    env.reset(seed=1)
    while len(ends) < 3:
        *_, terminated, truncated, info = env.step(int(rng.integers(env.action_space.n)))
        if terminated or truncated:
            ends.append((terminated, truncated, info))
            env.reset()
    for terminated, truncated, info in ends:
        assert info["position"].any() and info["max_hit_points"] > 0
        assert terminated == bool(info["success"] or info["died"])
        assert terminated != truncated
        assert (info["stairs_down_distance"] == 0) == bool(info["success"])
        assert (info["hit_points"] == 0) == bool(info["died"])


@needs(LAVA)
def test_minihack_shows_what_the_game_waits_for():
    env = open_env(EnvSpec(LAVA))
    env.reset(seed=0)
    put_on, letter_of_the_ring, right_hand = 9, 10, 11
    steps = [env.step(action) for action in (put_on, letter_of_the_ring, right_hand)]
    assert [info["question"] for *_, info in steps] == [1.0, 2.0, 0.0]
    assert [obs[-3:].tolist() for obs, *_ in steps] == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert steps[-1][-1]["levitating"] == 1


@needs(RIVER)
def test_minihack_ends_at_its_own_limit_as_cut_off():
    env = open_env(EnvSpec(RIVER))
    env.reset(seed=0)
    for _ in range(350):
        *_, terminated, truncated, _ = env.step(0)
        if terminated or truncated:
            break
    assert (terminated, truncated) == (False, True)


@needs(PICK)
def test_maniskill_steps_the_tasks_own_physics():
    from rewardsmith.worker.envs.adapters.maniskill import CONTROL, SEED_RANGE

    env = open_env(EnvSpec(PICK))
    task = gymnasium.make("PickCube-v1", obs_mode="state", control_mode=CONTROL, sim_backend="physx_cpu",
                          render_backend="none").unwrapped  # fmt: skip
    obs, _ = env.reset(seed=4)
    seed = int(np.random.default_rng(4).integers(SEED_RANGE))
    np.testing.assert_array_equal(obs, task.reset(seed=seed)[0][0])
    for action in np.random.default_rng(0).uniform(-1, 1, (200, *env.action_space.shape)).astype(np.float32):
        obs, reward, *_ = env.step(action)
        seen, own, *_ = task.step(action)
        np.testing.assert_array_equal(obs, seen[0])
        assert reward == float(own)


@needs(PICK)
def test_maniskill_without_a_vulkan_device_says_what_to_install():
    from rewardsmith.worker.envs.adapters.maniskill import explain_missing_vulkan

    assert "Mesa's software driver from 24.3 on" in str(
        explain_missing_vulkan(RuntimeError("failed to find a rendering device"))
    )
    other = RuntimeError("the cube is broken")
    assert explain_missing_vulkan(other) is other


@pytest.mark.parametrize("env_id", [CRAFTER, RIVER, PICK])
def test_a_missing_family_is_told_with_its_install_line(env_id, monkeypatch):
    from importlib import metadata

    from rewardsmith.contract import env_families
    from rewardsmith.contract.errors import TaskError

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    extra = env_families.find_family(env_id).extra
    with pytest.raises(TaskError, match=rf"is not installed.*pip install 'rewardsmith\[{extra}\]'"):
        env_families.require_packages(env_id)
    assert not is_family_installed(env_id)


def test_every_extra_of_a_family_is_one_of_the_package():
    import tomllib

    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {family.extra for family in FAMILIES} <= set(declared["project"]["optional-dependencies"])
