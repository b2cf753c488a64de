"""Privileged signals: only a fitness expression may name them."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from fakes.gym_reference import Reference

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, EvaluateJob, ProbeJob, Signal, TrainJob
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.worker import evaluate, probe
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.training import reward_scoring


class Reaching(gymnasium.Env):
    """Counts to three, reports success in every second episode, and pays the count."""

    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (1,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    episode = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        self.episode = self.episode + 1 if seed is None else seed
        return np.zeros(1), {}

    def step(self, action):
        self.steps += 1
        info = {"distance": 3.0 - self.steps, "reward_near": 0.1}
        if self.steps == 3 or self.episode == 0:
            info["success"] = self.steps == 3 and self.episode % 2 == 0
        return np.full(1, float(self.steps)), float(self.steps), self.steps == 3, False, info


@pytest.fixture
def reaching():
    gymnasium.register("Reaching-v0", Reaching)
    yield "Reaching-v0"
    gymnasium.registry.pop("Reaching-v0")


def test_what_tells_the_reward_is_privileged_and_no_signal(reaching):
    surveyed = survey_environment(EnvSpec(reaching))
    assert [signal.name for signal in surveyed.signals] == ["obs", "distance"]
    assert [signal.name for signal in surveyed.privileged_signals] == ["environment_reward", "reward_near", "success"]
    assert {entry.key: entry.decision for entry in surveyed.info} == {
        "distance": "signal",
        "reward_near": "privileged",
        "success": "privileged",
    }


def test_a_fitness_reads_success_and_the_environment_reward(reaching, tmp_path):
    job = EvaluateJob(EnvSpec(reaching), None, "any(success) + 10 * sum(environment_reward)", seeds=(2, 3))
    assert [episode.fitness for episode in evaluate.run(job, tmp_path).episodes] == [61.0, 60.0]


def test_success_does_not_carry_over_into_the_next_episode(reaching):
    env = make_envs(EnvSpec(reaching), 1, measured=("success",))
    env.reset((2,))
    steps = [env.step(np.zeros((1, 1))).after[0, 0] for _ in range(6)]
    assert steps == [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]


def test_a_program_cannot_gather_a_privileged_signal(reaching):
    for spec in (
        EnvSpec(reaching),
        EnvSpec(reaching, privileged_signals=survey_environment(EnvSpec(reaching)).privileged_signals),
    ):
        with pytest.raises(TaskError, match="no signal 'success'"):
            make_envs(spec, 1, gather=("success",), measured=("success",))


def test_the_reward_process_is_not_told_what_the_fitness_reads(reaching, monkeypatch):
    asked = []
    monkeypatch.setattr(reward_scoring.sandbox, "open_process", lambda program, layout, limits: asked.append(layout))
    env = make_envs(EnvSpec(reaching), 1, ("distance",), ("success", "environment_reward"))
    source = "def reward(after):\n    return {'d': after.distance}\n"
    job = TrainJob(EnvSpec(reaching), source, "distance[-1]", 0, 512)
    scorer = reward_scoring.ProgramReward(parse_program(source), env, job)
    scorer._process.result()
    assert list(asked[0].signals) == ["distance"]


def test_a_probe_lists_privileged_signals_and_records_none(reaching, tmp_path):
    surveyed = probe.run(ProbeJob(EnvSpec(reaching), 0, 16), tmp_path)
    assert "success" in [signal.name for signal in surveyed.privileged_signals]
    assert "success" not in [signal.name for signal in surveyed.signals]
    with np.load(tmp_path / "transitions.npz", allow_pickle=False) as file:
        assert not [name for name in file if "success" in name or "reward" in name]


def test_a_card_s_privileged_signals_come_first_under_their_own_names(reaching):
    mine = Signal("done", (), "1", "the count is three", "info[success]")
    surveyed = survey_environment(EnvSpec(reaching, privileged_signals=(mine,)))
    assert [signal.name for signal in surveyed.privileged_signals] == ["done", "environment_reward", "reward_near"]


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Pendulum-v1"])
def test_the_environment_reward_is_the_environment_s_on_every_path(env_id):
    env, reference = make_envs(EnvSpec(env_id), 2, measured=("environment_reward",)), Reference(env_id, 2)
    seeds = (3, 4)
    env.reset(seeds)
    reference.reset(seeds)
    assert not env.read_signals().any()
    rng = np.random.default_rng(0)
    for _ in range(40):
        actions = rng.uniform(-1, 1, (2, env.actions.width)).astype(np.float32)
        step, rows = env.step(actions), reference.step(actions)
        np.testing.assert_array_equal(step.after[:, 0], [row.environment_reward for row in rows])
        assert not env.read_signals()[step.ended].any()


def test_an_entry_of_info_can_be_measured_on_batched_tasks_too(tmp_path):
    fitness = "sum(environment_reward) - sum(reward_forward) - sum(reward_ctrl)"
    result = evaluate.run(EvaluateJob(EnvSpec("HalfCheetah-v5", max_episode_steps=5), None, fitness, (0,)), tmp_path)
    assert result.status == "ok"
    assert result.fitness == pytest.approx(0.0, abs=1e-6)


def test_a_failed_measurement_s_cause_does_not_quote_the_fitness(reaching, tmp_path):
    result = evaluate.run(EvaluateJob(EnvSpec(reaching), None, "1 / any(success)", (3,)), tmp_path)
    assert (result.status, result.cause) == ("failed", "fitness: the result is inf; guard a division or a root")


def test_no_catalogue_offers_what_its_environment_pays(reaching):
    assert not {"success", "environment_reward", "reward_near"} & {
        signal.name for signal in survey_environment(EnvSpec(reaching)).signals
    }


FLAG = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float64)
PLACE = gymnasium.spaces.Box(-9.0, 9.0, (2,), np.float64)


class Goals(gymnasium.Env):
    """Observes a dict as goal environments do; the dict also holds success and reward."""

    observation_space = gymnasium.spaces.Dict(
        {
            "achieved_goal": PLACE,
            "desired_goal": PLACE,
            "is_success": FLAG,
            "observation": PLACE,
            "sensors": gymnasium.spaces.Dict({"reward_near": FLAG, "touch": FLAG}),
        }
    )
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.seen(), {}

    def step(self, action):
        self.steps += 1
        return self.seen(), 0.0, self.steps == 3, False, {}

    def seen(self):
        count = np.full(2, float(self.steps))
        flag = np.array([float(self.steps == 3)])
        sensors = {"reward_near": flag + 0.5, "touch": flag}
        return {
            "achieved_goal": count,
            "desired_goal": np.full(2, 3.0),
            "is_success": flag,
            "observation": -count,
            "sensors": sensors,
        }


@pytest.fixture
def goals():
    gymnasium.register("Goals-v0", Goals)
    yield "Goals-v0"
    gymnasium.registry.pop("Goals-v0")


def test_an_entry_of_the_observation_that_tells_is_privileged_and_the_goals_stay_signals(goals):
    surveyed = survey_environment(EnvSpec(goals))
    assert [signal.name for signal in surveyed.signals] == [
        "achieved_goal",
        "desired_goal",
        "observation",
        "sensors_touch",
    ]
    # A program could read the flag out of the whole observation too, or out of the entry that holds it.
    assert [signal.name for signal in surveyed.privileged_signals] == [
        "environment_reward",
        "is_success",
        "sensors",
        "sensors_reward_near",
        "obs",
    ]


def test_no_column_that_a_program_reads_tells(goals):
    env = make_envs(EnvSpec(goals), 1, [signal.name for signal in survey_environment(EnvSpec(goals)).signals])
    env.reset((0,))
    last = [env.step(np.zeros((1, 1))).after[0].copy() for _ in range(3)][-1]
    np.testing.assert_array_equal(last, [3, 3, 3, 3, -3, -3, 1])


def test_a_fitness_reads_what_the_observation_tells(goals, tmp_path):
    job = EvaluateJob(EnvSpec(goals), None, "any(is_success) + sensors[-1, 0]", seeds=(0,))
    assert evaluate.run(job, tmp_path).fitness == 2.5


@pytest.mark.parametrize("source", ["obs[4]", "obs[3:6]", "obs[-2]", "obs", "norm(obs[4:6])", "obs[0] + obs[7]"])
def test_a_card_cannot_make_a_signal_of_it(goals, source):
    mine = Signal("mine", (), "1", "it is told", source)
    with pytest.raises(TaskError, match=r"signal 'mine' reads .*; move it to \[privileged_signals\]"):
        survey_environment(EnvSpec(goals, signals=(mine,)))
    assert "mine" in [
        signal.name for signal in survey_environment(EnvSpec(goals, privileged_signals=(mine,))).privileged_signals
    ]


def test_a_card_s_signal_beside_it_is_fine(goals):
    mine = Signal("gap", (2,), "1", "to the goal", "obs[2:4] - obs[0:2]")
    assert survey_environment(EnvSpec(goals, signals=(mine,))).signals[0] == mine
