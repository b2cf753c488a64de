"""The evaluation job."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import gymnasium
import numpy as np
import pytest

from rewardsmith.contract import records
from rewardsmith.contract.errors import FitnessError, TaskError, WorkerFailed
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Evaluation
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import evaluate
from rewardsmith.worker.training import policy as policies
from rewardsmith.worker.training.policy import Policy, PolicySpec

HOPPER = load_task(None, "hopper")


@pytest.fixture
def policy(tmp_path):
    """A policy for Hopper that has learnt nothing."""
    rng = np.random.default_rng(0)
    sizes = (11, 16, 3)
    tensors = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        tensors[f"actor.{layer}.weight"] = rng.normal(0, 0.5, (fan_out, fan_in)).astype(np.float32)
        tensors[f"actor.{layer}.bias"] = rng.normal(0, 0.1, fan_out).astype(np.float32)
    tensors |= {"log_std": np.full(3, -0.5, np.float32), "obs_mean": np.zeros(11), "obs_var": np.ones(11)}
    policies.save(Policy(PolicySpec((16,), "box", (-1.0,) * 3, (1.0,) * 3), tensors), tmp_path / "policy")
    return str(tmp_path / "policy")


def job(policy=None, seeds=(0, 1, 2, 3, 4), fitness=HOPPER.fitness, env=HOPPER.env, **more):
    return EvaluateJob(env, policy, fitness, seeds, **more)


def episodes(tmp_path):
    with np.load(tmp_path / "episodes.npz", allow_pickle=False) as file:
        return dict(file)


def test_every_seed_has_one_episode_and_the_mean_is_theirs(tmp_path):
    result = evaluate.run(job(seeds=(5, 3, 9)), tmp_path)
    assert [episode.seed for episode in result.episodes] == [5, 3, 9]
    assert result.fitness == np.mean([episode.fitness for episode in result.episodes])
    assert all(episode.terminated and 5 < episode.length < 200 for episode in result.episodes)


def test_fitness_is_that_of_the_recorded_episode(tmp_path):
    result = evaluate.run(job(record=("torso_pitch",)), tmp_path)
    arrays = episodes(tmp_path)
    for index, episode in enumerate(result.episodes):
        x, start = arrays[f"{index}/x_position"], arrays[f"{index}/start/x_position"]
        assert episode.fitness == x[-1] - start
        assert episode.length == len(x) == len(arrays[f"{index}/torso_pitch"]) == len(arrays[f"{index}/action"])
    # The true last state is recorded, not that of the next episode: the robot has fallen.
    assert all(abs(arrays[f"{i}/torso_pitch"][-1]) > 0.2 for i in range(5))
    assert set(arrays) == {
        f"{i}/{key}"
        for i in range(5)
        for key in ("action", "x_position", "start/x_position", "torso_pitch", "start/torso_pitch")
    }


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("acts", ["policy", "random"])
def test_results_do_not_depend_on_how_many_run_side_by_side(policy, acts, deterministic, tmp_path, monkeypatch):
    results = []
    for parallel in (1, 3, 16):
        monkeypatch.setattr(evaluate, "PARALLEL", parallel)
        asked = job(policy if acts == "policy" else None, deterministic=deterministic)
        results.append(evaluate.run(asked, tmp_path).episodes)
    assert results[0] == results[1] == results[2]


def test_a_policy_acts_as_in_gymnasium_itself(policy, tmp_path):
    result = evaluate.run(job(policy, seeds=(4,)), tmp_path)
    env, acting = gymnasium.make("Hopper-v5"), policies.load(tmp_path / "policy")
    obs, _ = env.reset(seed=4)
    start, length, done = env.unwrapped.data.qpos[0], 0, False
    while not done:
        obs, _, terminated, truncated, _ = env.step(acting.act(obs[None])[0].astype(np.float32))
        length, done = length + 1, terminated or truncated
    assert result.episodes[0].fitness == env.unwrapped.data.qpos[0] - start
    assert result.episodes[0].length == length


def test_random_actions_are_not_the_environment_s_own_draws(tmp_path):
    """An environment seeded alike draws its start from the same kind of generator."""
    evaluate.run(job(seeds=(0,), env=EnvSpec("Pendulum-v1"), fitness="mean(obs[:, 0])"), tmp_path)
    drawn = episodes(tmp_path)["0/action"][:3, 0] / 2.0
    own = np.random.default_rng(0).uniform(-1, 1, 3)
    assert not np.allclose(drawn, own, atol=1e-3)


def test_a_time_limit_is_not_an_early_end(tmp_path):
    short = replace(HOPPER.env, env_id="HalfCheetah-v5", signals=(), max_episode_steps=12)
    result = evaluate.run(job(env=short, fitness="survived + length"), tmp_path)
    assert {(episode.fitness, episode.length, episode.terminated) for episode in result.episodes} == {(13.0, 12, False)}


def test_an_environment_without_a_time_limit_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "MAX_STEPS", 30)
    endless = EnvSpec("HalfCheetah-v5", max_episode_steps=-1)
    result = evaluate.run(job(env=endless, fitness="length", seeds=(0,)), tmp_path)
    assert result.fitness == 30


def test_discrete_actions_are_recorded_as_numbers(tmp_path):
    evaluate.run(job(env=EnvSpec("CartPole-v1"), fitness="length", seeds=(0, 1)), tmp_path)
    assert set(np.unique(episodes(tmp_path)["1/action"])) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("fitness", "error"), [("mean(", FitnessError), ("mean(y)", FitnessError), ("joint_velocities", FitnessError)]
)
def test_a_fitness_that_cannot_work_is_refused_before_anything_runs(fitness, error, tmp_path):
    with pytest.raises(error):
        evaluate.run(job(fitness=fitness), tmp_path)
    assert not (tmp_path / "episodes.npz").exists()


def test_a_fitness_that_is_no_number_for_an_episode_fails_with_the_cause(tmp_path):
    result = evaluate.run(job(fitness="sqrt(x_position[-1] - 100)"), tmp_path)
    assert (result.status, result.fitness) == ("failed", None)
    assert "the result is nan" in result.cause


def test_a_policy_of_another_environment_is_refused(policy, tmp_path):
    with pytest.raises(WorkerFailed, match="takes observations of 11 numbers"):
        evaluate.run(job(policy, env=EnvSpec("Pendulum-v1"), fitness="length"), tmp_path)


def test_an_unknown_signal_to_record_is_refused(tmp_path):
    with pytest.raises(TaskError, match="did you mean 'torso_height'"):
        evaluate.run(job(record=("torso_hight",)), tmp_path)


METRICS = {"lowest": "min(torso_height)", "fell": "1 - survived"}


def test_metrics_are_those_of_the_recorded_episodes(tmp_path):
    result = evaluate.run(job(seeds=(5, 3, 9), metrics=METRICS), tmp_path)
    arrays = episodes(tmp_path)
    for index, episode in enumerate(result.episodes):
        assert episode.metrics == {"lowest": arrays[f"{index}/torso_height"].min(), "fell": 1.0}
    lowest = [episode.metrics["lowest"] for episode in result.episodes]
    assert result.metrics == {"lowest": np.mean(lowest), "fell": 1.0}
    assert len(set(lowest)) == 3


def test_a_metric_changes_no_episode(policy, tmp_path):
    plain, beside = (evaluate.run(job(policy, metrics=more), tmp_path) for more in ({}, METRICS))
    assert [replace(episode, metrics={}) for episode in beside.episodes] == list(plain.episodes)
    assert beside.fitness == plain.fitness


def test_a_metric_without_a_value_for_an_episode_fails_that_metric_alone(tmp_path):
    longest = max(episode.length for episode in evaluate.run(job(), tmp_path).episodes)
    metrics = {"root": f"sqrt(length - {longest})", **METRICS}
    result = evaluate.run(job(metrics=metrics), tmp_path)
    values = [episode.metrics["root"] for episode in result.episodes]
    assert None in values
    assert 0.0 in values
    assert (result.status, result.metrics["root"], result.metrics["fell"]) == ("ok", None, 1.0)
    assert result.fitness is not None
    assert result.cause == "metric 'root': the result is nan; guard a division or a root"


@pytest.mark.parametrize(
    ("expression", "says"),
    [("mean(", "metric 'mine'"), ("mean(torso_hight)", "near it: torso_height"), ("joint_velocities", "has shape")],
)
def test_a_metric_that_cannot_work_is_refused_before_anything_runs(expression, says, tmp_path):
    with pytest.raises(FitnessError, match=says):
        evaluate.run(job(metrics={"mine": expression}), tmp_path)
    assert not (tmp_path / "episodes.npz").exists()


def test_a_metric_may_name_what_no_program_sees(tmp_path):
    env = EnvSpec("Pendulum-v1")
    metrics = {"paid": "sum(environment_reward)"}
    result = evaluate.run(job(env=env, fitness="length", metrics=metrics, seeds=(0,)), tmp_path)
    assert result.metrics["paid"] < 0.0


def test_an_evaluation_from_before_there_were_metrics_still_loads():
    old = {
        "status": "ok",
        "episodes": [{"seed": 1, "fitness": 2.0, "length": 3, "terminated": False}],
        "fitness": 2.0,
        "wall_s": 0.1,
        "cause": None,
    }
    found = records.load(Evaluation, old)
    assert (found.metrics, found.episodes[0].metrics) == ({}, {})
