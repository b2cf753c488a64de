"""FastPPO in the place of stable-baselines3's PPO: callbacks, saving, options that are not covered, logged values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecNormalize

from rewardsmith.worker.training.fast_ppo import FastPPO, find_supported_shape

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size of:UserWarning")

KINDS = (PPO, FastPPO)
SMALL: dict[str, Any] = {"n_steps": 150, "batch_size": 64, "n_epochs": 3, "seed": 3, "device": "cpu"}
"""150 transitions in minibatches of 64: the last one has 22."""
LOGGED_ALWAYS = {
    "train/approx_kl",
    "train/clip_fraction",
    "train/clip_range",
    "train/entropy_loss",
    "train/explained_variance",
    "train/learning_rate",
    "train/loss",
    "train/n_updates",
    "train/policy_gradient_loss",
    "train/value_loss",
}


class ToyEnv(gymnasium.Env[Any, Any]):
    """Random observations of any space; a reward for the sign of the first number of an action."""

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        observation_space.seed(0)
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self.observation_space.sample(), float(np.ravel(action)[0] > 0), False, self._steps == 40, {}


VECTOR = spaces.Box(-1.0, 1.0, (3,), np.float32)
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)
CONTINUOUS = spaces.Box(-1.0, 1.0, (2,), np.float32)


def trained(kind: type[PPO], policy: str, env: Any, steps: int = 300, **changes: Any) -> PPO:
    """Return a model that has learned for two rollouts."""
    torch.manual_seed(0)
    model = kind(policy, env, **(SMALL | changes))
    return model.learn(steps)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assert_same_parameters(theirs: PPO, ours: PPO, atol: float) -> None:
    for name, expected in theirs.policy.state_dict().items():
        np.testing.assert_allclose(ours.policy.state_dict()[name].numpy(), expected.numpy(), rtol=0, atol=atol)


@pytest.mark.parametrize("ent_coef", [0.0, 0.02])
@pytest.mark.parametrize("actions", [CONTINUOUS, spaces.Discrete(3)], ids=["box", "discrete"])
def test_logged_values_are_those_of_sb3(actions: spaces.Space[Any], ent_coef: float) -> None:
    """Both learn from the same first rollout, as neither has been updated before it."""
    # A large step makes ratios that are clipped.
    changes: dict[str, Any] = {"steps": 150, "learning_rate": 3e-3, "ent_coef": ent_coef}
    theirs, ours = (trained(kind, "MlpPolicy", ToyEnv(VECTOR, actions), **changes) for kind in KINDS)
    assert find_supported_shape(ours) is not None
    expected, logged = theirs.logger.name_to_value, ours.logger.name_to_value

    assert {name for name in logged if name.startswith("train/")} == {
        name for name in expected if name.startswith("train/")
    }
    assert set(logged) >= LOGGED_ALWAYS
    assert ("train/std" in logged) == isinstance(actions, spaces.Box)
    assert 0.0 < expected["train/clip_fraction"] < 1.0 and expected["train/approx_kl"] > 1e-3
    # A ratio at the bound may fall on either side of it: one of 450 transitions.
    assert logged["train/clip_fraction"] == pytest.approx(expected["train/clip_fraction"], abs=1 / 450)
    for name in LOGGED_ALWAYS - {"train/clip_fraction"}:
        assert logged[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-5), name


def test_log_files_have_the_columns_of_sb3(tmp_path: Path) -> None:
    for kind in KINDS:
        model = kind("MlpPolicy", ToyEnv(VECTOR, CONTINUOUS), **SMALL)
        model.set_logger(configure(str(tmp_path / kind.__name__), ["csv"]))
        model.learn(300)
        model.logger.close()

    headers = [(tmp_path / kind.__name__ / "progress.csv").read_text().splitlines()[0] for kind in KINDS]
    assert set(headers[0].split(",")) == set(headers[1].split(","))


def test_learning_rate_and_clip_range_follow_their_schedules() -> None:
    def schedule(remaining: float) -> float:
        return 1e-3 * remaining + 1e-5

    changes: dict[str, Any] = {"learning_rate": schedule, "clip_range": lambda remaining: 0.1 + 0.2 * remaining}
    theirs, ours = (trained(kind, "MlpPolicy", ToyEnv(VECTOR, CONTINUOUS), **changes) for kind in KINDS)

    assert find_supported_shape(ours) is not None
    for name in ("train/learning_rate", "train/clip_range"):
        assert ours.logger.name_to_value[name] == theirs.logger.name_to_value[name]
    assert ours.logger.name_to_value["train/learning_rate"] == pytest.approx(schedule(0.0))
    assert_same_parameters(theirs, ours, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [{"target_kl": 1e-3}, {"clip_range_vf": 0.1}, {"use_sde": True, "sde_sample_freq": 4}],
    ids=lambda changes: next(iter(changes)),
)
def test_options_that_are_not_covered_learn_exactly_as_with_sb3(changes: dict[str, Any]) -> None:
    changes = changes | {"learning_rate": 3e-3}
    theirs, ours = (trained(kind, "MlpPolicy", ToyEnv(VECTOR, CONTINUOUS), **changes) for kind in KINDS)

    assert find_supported_shape(ours) is None
    assert_same_parameters(theirs, ours, atol=0)
    timing = {"time/fps", "time/time_elapsed"}
    assert {name: value for name, value in ours.logger.name_to_value.items() if name not in timing} == {
        name: value for name, value in theirs.logger.name_to_value.items() if name not in timing
    }


def test_target_kl_stops_an_update_early() -> None:
    model = trained(FastPPO, "MlpPolicy", ToyEnv(VECTOR, CONTINUOUS), target_kl=1e-5, learning_rate=3e-3, n_epochs=20)
    assert model._n_updates < 40


@pytest.mark.parametrize(
    ("policy", "observations"),
    [("CnnPolicy", IMAGE), ("MultiInputPolicy", spaces.Dict({"image": IMAGE, "vector": VECTOR}))],
    ids=["image", "dict"],
)
def test_images_and_dicts_learn_exactly_as_with_sb3(policy: str, observations: spaces.Space[Any]) -> None:
    changes: dict[str, Any] = {"n_steps": 32, "batch_size": 32, "n_epochs": 1, "steps": 32}
    theirs, ours = (trained(kind, policy, ToyEnv(observations, CONTINUOUS), **changes) for kind in KINDS)

    assert find_supported_shape(ours) is None
    assert_same_parameters(theirs, ours, atol=0)


def test_several_environments_with_normalisation_learn_as_with_sb3() -> None:
    models = []
    for kind in KINDS:
        envs = make_vec_env(lambda: ToyEnv(VECTOR, spaces.Discrete(2)), 3, seed=0)
        models.append(trained(kind, "MlpPolicy", VecNormalize(envs), steps=450))

    assert_same_parameters(*models, atol=1e-5)


def test_checkpoints_evaluations_and_stops_work_and_a_saved_model_goes_on(tmp_path: Path) -> None:
    env = Monitor(ToyEnv(VECTOR, CONTINUOUS))
    callbacks = [
        CheckpointCallback(150, str(tmp_path / "checkpoints")),
        EvalCallback(
            Monitor(ToyEnv(VECTOR, CONTINUOUS)),
            eval_freq=150,
            n_eval_episodes=1,
            best_model_save_path=str(tmp_path / "best"),
            log_path=str(tmp_path / "log"),
            verbose=0,
        ),
        StopTrainingOnMaxEpisodes(max_episodes=10),
    ]
    model = FastPPO("MlpPolicy", env, **SMALL).learn(10_000, callback=callbacks)
    assert model.num_timesteps == 400  # ten episodes of 40 steps
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "rl_model_150_steps.zip",
        "rl_model_300_steps.zip",
    ]
    with np.load(tmp_path / "log" / "evaluations.npz") as evaluations:
        assert evaluations["timesteps"].tolist() == [150, 300]

    loaded = FastPPO.load(tmp_path / "best" / "best_model", env=env, device="cpu")
    obs = np.array([[0.5, 0.2, -1.0]], np.float32)
    assert loaded.predict(obs, deterministic=True)[0].shape == (1, 2)
    loaded.learn(150, reset_num_timesteps=False)
    assert loaded.logger.name_to_value["train/n_updates"] == loaded._n_updates >= 3


def test_models_of_both_classes_read_each_other_s_files(tmp_path: Path) -> None:
    env = ToyEnv(VECTOR, CONTINUOUS)
    obs = np.array([[0.5, 0.2, -1.0]], np.float32)
    for saving, loading in (KINDS, KINDS[::-1]):
        model = trained(saving, "MlpPolicy", env)
        model.save(tmp_path / "model")
        loaded = loading.load(tmp_path / "model", env=env, device="cpu")
        np.testing.assert_array_equal(
            loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0]
        )
        loaded.learn(150)
