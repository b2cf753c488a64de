"""Every kind of action and observation space works from training to export, or is refused with the reason."""

from __future__ import annotations

import types
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, EvaluateJob, ProbeJob, TrainJob, TrainSettings
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.report.export.exporter import export_program
from rewardsmith.worker import evaluate, probe
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.training import train

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
ACTIONS: dict[str, Any] = {
    "box": BOX,
    "square_box": spaces.Box(-1.0, 1.0, (2, 2), np.float32),
    "discrete": spaces.Discrete(3),
    "discrete_from_five": spaces.Discrete(3, start=5),
    "multi_discrete": spaces.MultiDiscrete([2, 3]),
    "multi_discrete_from_one": spaces.MultiDiscrete([2, 3], start=[1, 1]),
    "multi_binary": spaces.MultiBinary(3),
}
OBSERVATIONS: dict[str, Any] = {
    "vector": BOX,
    "dict": spaces.Dict({"near": BOX, "mode": spaces.Discrete(3)}),
    "tuple": spaces.Tuple((BOX, spaces.Discrete(3))),
    "nested": spaces.Dict({"both": spaces.Tuple((BOX, spaces.MultiBinary(2)))}),
    "discrete": spaces.Discrete(4),
    "small_image": spaces.Box(0, 255, (4, 4, 3), np.uint8),
    "with_text": spaces.Dict({"near": BOX, "mission": spaces.Text(5)}),
    "with_sequence": spaces.Dict({"near": BOX, "all": spaces.Sequence(BOX)}),
}
REFUSED_ACTIONS: dict[str, tuple[Any, str]] = {
    "tuple": (spaces.Tuple((BOX, spaces.Discrete(2))), "Tuple actions; only Box, Discrete"),
    "dict": (spaces.Dict({"a": BOX}), "Dict actions; only Box, Discrete"),
    "too_many": (spaces.MultiDiscrete([40, 40]), r"2 choices at once, of 40, 40: 1,600 combinations"),
}
REFUSED_OBSERVATIONS: dict[str, tuple[Any, str]] = {
    "sequence": (spaces.Sequence(BOX), "observations of Sequence have no fixed length"),
    "graph": (spaces.Graph(BOX, None), "observations of Graph have no fixed length"),
    "text": (spaces.Text(5), "observations of Text have no fixed length"),
    "only_a_sequence": (spaces.Dict({"all": spaces.Sequence(BOX)}), "observations of Dict have no fixed length"),
}
SETTINGS = TrainSettings(n_envs=2, n_steps=16, batch_size=16, n_epochs=1, net_arch=(8,), checkpoints=1)
PROGRAM = """
def reward(action, after):
    return {"sent": np.sum(action**2, axis=1), "seen": -np.mean(after.obs**2, axis=1)}
"""


class Echo(gymnasium.Env[Any, Any]):
    """Shows random observations of its space, and keeps the action that it was given."""

    def __init__(self, action: str, observation: str) -> None:
        known = ACTIONS | {name: space for name, (space, _) in REFUSED_ACTIONS.items()}
        seen = OBSERVATIONS | {name: space for name, (space, _) in REFUSED_OBSERVATIONS.items()}
        self.action_space, self.observation_space = known[action], seen[observation]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        return self.observation_space.sample(), 0.0, False, False, {"given": np.ravel(action).astype(float)}


@pytest.fixture(scope="module", autouse=True)
def registered():
    gymnasium.register("Echo-v0", Echo, max_episode_steps=5)
    yield
    gymnasium.registry.pop("Echo-v0")


def echo(action: str = "box", observation: str = "vector") -> EnvSpec:
    return EnvSpec("Echo-v0", {"action": action, "observation": observation})


# Observations are flattened before a trainer sees them.
TRAINED = [(echo(action=name), trainer) for name in ACTIONS for trainer in ("fast", "sb3")]
TRAINED += [(echo(observation=name), "fast") for name in OBSERVATIONS]


@pytest.mark.parametrize(
    ("spec", "trainer"),
    [pytest.param(*case, id="-".join([*case[0].kwargs.values(), case[1]])) for case in TRAINED],
)
def test_a_space_can_be_trained_and_evaluated(spec, trainer, tmp_path):
    settings = TrainSettings(**{**SETTINGS.__dict__, "trainer": trainer})
    job = TrainJob(spec, PROGRAM, "length", seed=0, env_steps=64, settings=settings)
    assert train.run(job, tmp_path).status == "ok"
    for policy in (None, str(tmp_path)):
        assert evaluate.run(EvaluateJob(spec, policy, "length", (1, 2)), tmp_path).fitness == 5


@pytest.mark.parametrize("name", ["multi_discrete", "multi_discrete_from_one", "multi_binary", "discrete_from_five"])
def test_choices_are_numbers_and_the_environment_gets_what_they_stand_for(name):
    spec, space = echo(action=name), ACTIONS[name]
    env = make_envs(spec, 1, ("given",))
    env.reset((0,))
    given = [tuple(env.step(np.array([[float(k)]])).after[0]) for k in range(env.actions.n)]
    assert len(set(given)) == env.actions.n
    assert given == sorted(given)  # the last part changes fastest
    assert all(space.contains(np.reshape(row, space.shape).astype(space.dtype)) for row in given)


@pytest.mark.parametrize("name", ACTIONS)
def test_the_exported_file_shows_the_program_the_same_action(name):
    spec = echo(action=name)
    env = make_envs(spec, 1, ("given",))
    program = parse_program('def reward(action):\n    return {"first": action[:, 0], "last": action[:, -1]}')
    module = types.ModuleType("exported")
    exec(export_program(program, (), spec), module.__dict__)
    wrapped = module.make()
    wrapped.reset(seed=0)
    env.reset((0,))
    rng = np.random.default_rng(0)
    for _ in range(5):
        action = env.actions.sample(rng)
        given = env.step(action[None]).after[0]
        taken = np.reshape(given, env_shape(name)).astype(ACTIONS[name].dtype)
        terms = wrapped.step(int(taken) if taken.ndim == 0 else taken)[4]["reward_terms"]
        assert terms == {"first": action[0], "last": action[-1]}


def env_shape(name: str) -> tuple[int, ...]:
    return tuple(ACTIONS[name].shape)


@pytest.mark.parametrize("name", REFUSED_ACTIONS)
def test_actions_that_cannot_be_trained_say_why(name):
    with pytest.raises(TaskError, match=REFUSED_ACTIONS[name][1]):
        make_envs(echo(action=name), 1)


@pytest.mark.parametrize("name", REFUSED_OBSERVATIONS)
def test_observations_that_cannot_be_trained_say_why(name):
    with pytest.raises(TaskError, match=REFUSED_OBSERVATIONS[name][1]):
        make_envs(echo(observation=name), 1)


def test_the_parts_of_a_tuple_are_signals():
    shapes = {signal.name: signal.shape for signal in survey_environment(echo(observation="tuple")).signals}
    assert shapes["part_0"] == (2,)
    assert shapes["part_1"] == (3,)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("box", "2 numbers, each in [-1, 1]"),
        ("discrete", "one number k, a choice from 0 to 2, of shape (n, 1)"),
        (
            "multi_binary",
            "choice from 0 to 7, of shape (n, 1): 3 choices at once, (k // 4) % 2, (k // 2) % 2 and k % 2",
        ),
    ],
)
def test_a_probe_says_what_an_action_is(name, says, tmp_path):
    assert says in probe.run(ProbeJob(echo(action=name), 0, 16), tmp_path).action_about


def test_the_description_of_several_choices_undoes_their_numbering():
    parts = (2, 3, 4)
    text = ActionSpec((0.0,), (23.0,), 24, parts).describe()
    expressions = text.partition("at once, ")[2].replace(" and ", ", ").split(", ")
    for k in range(24):
        assert tuple(eval(expression, {"k": k}) for expression in expressions) == np.unravel_index(k, parts)
