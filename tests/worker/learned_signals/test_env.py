from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from fakes.learned_providers import CountingProvider

from rewardsmith.contract.errors import TaskError, WorkerFailed
from rewardsmith.contract.records import EnvSpec, LearnedSignal
from rewardsmith.worker.envs.base import BatchedEnv
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.learned_signals.env import LearnedSignalEnv, fill_learned_columns

PROVIDERS = "fakes.learned_providers"


def learned(provider: str, name: str = "told", **options: object) -> LearnedSignal:
    return LearnedSignal(name, f"{PROVIDERS}:{provider}", "a test", options=dict(options))  # type: ignore[arg-type]


CART = EnvSpec("CartPole-v1", learned_signals=(learned("CountingProvider"),))


@pytest.fixture(autouse=True)
def _reset_counts() -> Iterator[None]:
    CountingProvider.opened = CountingProvider.calls = 0
    yield


def collect(env: BatchedEnv, steps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return before, after, start (T, n, w) and ended (T, n) of random steps; the environments go on."""
    rng = np.random.default_rng(seed)
    before, after, start = np.zeros((3, steps, env.n, env.layout.width))
    ended = np.zeros((steps, env.n), np.bool_)
    for t in range(steps):
        before[t], start[t] = env.read_signals(), env.read_start_signals()
        step = env.step(np.stack([env.actions.sample(rng) for _ in range(env.n)]))
        after[t] = step.after
        ended[t, step.ended] = True
    fill_learned_columns(env, after, before, start)
    return before, after, start, ended


def test_values_follow_the_episodes_and_go_on_across_rollouts() -> None:
    env = make_envs(CART, 3, ("told",))
    env.reset([1, 2, 3])
    parts = [collect(env, steps, seed) for seed, steps in enumerate((50, 1, 40))]
    before, after, start, ended = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    assert ended.sum() > 6

    elapsed = np.zeros(3)
    for t in range(len(after)):
        assert before[t, :, -1].tolist() == elapsed.tolist()
        elapsed += 1
        assert after[t, :, -1].tolist() == elapsed.tolist()
        elapsed[ended[t]] = 0
    assert not start[..., -1].any()
    assert CountingProvider.calls == 3


def test_the_value_at_the_start_is_that_of_the_first_state_of_the_episode() -> None:
    spec = replace(CART, learned_signals=(learned("CopyingProvider", reads=["pole_angle"]),))
    env = make_envs(spec, 2, ("pole_angle", "told"))
    env.reset([1, 2])
    for _ in range(3):
        for array in collect(env, 40)[:3]:
            np.testing.assert_array_equal(array[..., 0], array[..., 1])


def test_what_a_provider_reads_is_gathered_and_not_shown() -> None:
    spec = replace(CART, learned_signals=(learned("CopyingProvider", reads=["pole_angle"]),))
    env = make_envs(spec, 2, ("cart_position", "told"))
    assert env.layout.names == ("cart_position", "told")
    env.reset([1, 2])
    plain = make_envs(EnvSpec("CartPole-v1"), 2, ("cart_position", "pole_angle"))
    plain.reset([1, 2])
    np.testing.assert_array_equal(collect(env, 60)[1], collect(plain, 60)[1])


def test_a_signal_that_nobody_names_costs_nothing() -> None:
    env = make_envs(CART, 2, ("cart_position",))
    env.reset([1, 2])
    collect(env, 20)
    assert not isinstance(env, LearnedSignalEnv)
    assert CountingProvider.opened == CountingProvider.calls == 0


def test_a_missing_value_holds_the_last_one_of_the_same_episode() -> None:
    env = make_envs(replace(CART, learned_signals=(learned("SparseProvider"),)), 2, ("told",))
    env.reset([1, 2])
    for _ in range(3):
        steps = np.concatenate([collect(env, 7)[1][..., 0] for _ in range(5)])
        assert (steps % 3 == 0).all()
        assert len(np.unique(steps)) > 3


@pytest.mark.parametrize(
    ("provider", "cause"),
    [("FailingProvider", "RuntimeError: the model is out of order"), ("InfiniteProvider", "infinity")],
)
def test_a_provider_that_fails_is_a_failure_of_the_machine(provider: str, cause: str) -> None:
    env = make_envs(replace(CART, learned_signals=(learned(provider),)), 2, ("told",))
    env.reset([1, 2])
    with pytest.raises(WorkerFailed, match=f"learned signal 'told' failed.*{cause}"):
        collect(env, 5)


def test_the_catalogue_lists_learned_signals_after_those_of_the_card() -> None:
    survey = survey_environment(CART)
    assert survey.signals[0].name == "told"
    assert survey.signals[0].is_learned
    full = replace(CART, signals=survey.signals)
    assert [signal.name for signal in survey_environment(full).signals] == [signal.name for signal in survey.signals]


def test_a_name_that_the_environment_has_is_refused() -> None:
    spec = replace(CART, learned_signals=(learned("CountingProvider", "pole_angle"),))
    with pytest.raises(TaskError, match="'pole_angle': 'CartPole-v1' has a signal of this name"):
        survey_environment(spec)


def test_a_policy_cannot_observe_a_learned_signal() -> None:
    with pytest.raises(TaskError, match="'told' is a learned signal, whose values are computed after a rollout"):
        make_envs(CART, 1, observation=("told",))


def test_a_signal_that_a_provider_cannot_read_is_named_with_the_nearest() -> None:
    spec = replace(CART, learned_signals=(learned("CopyingProvider", reads=["pole_angel"]),))
    with pytest.raises(TaskError, match="no signal 'pole_angel'; did you mean 'pole_angle'"):
        make_envs(spec, 1, ("told",))


@pytest.mark.parametrize("path", ["nowhere:Provider", "fakes.learned_providers:Nothing"])
def test_a_provider_that_cannot_be_imported_is_named(path: str) -> None:
    spec = replace(CART, learned_signals=(LearnedSignal("told", path, "a test"),))
    with pytest.raises(TaskError, match=f"the provider '{path}' cannot be imported"):
        make_envs(spec, 1, ("told",))
