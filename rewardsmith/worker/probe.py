"""The probe job: an environment's signal catalogue, and transitions under random actions for trial scoring."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records import Probe, ProbeJob
from rewardsmith.contract.reward_program import STATES, Transitions
from rewardsmith.contract.signal_source import ENVIRONMENT_REWARD
from rewardsmith.sandbox.recorded import TransitionFile
from rewardsmith.worker.envs.base import MAX_STEPS, BatchedEnv, order_by_env
from rewardsmith.worker.envs.catalogue import EnvironmentSurvey, survey_environment
from rewardsmith.worker.envs.env_faults import describe_faults, explain_faults
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.mujoco_env import MujocoEnv
from rewardsmith.worker.envs.robot_envs import RobotEnvs
from rewardsmith.worker.learned_signals.base import JobUse
from rewardsmith.worker.learned_signals.env import fill_learned_columns, list_provider_remarks
from rewardsmith.worker.observability import find_unobserved
from rewardsmith.worker.rng import make_action_generator
from rewardsmith.worker.signal_judgement import judge_signals

Array = NDArray[np.float64]

N_ENVS = 4
"""Number of environments, each with a different seed: at least so many episodes are recorded."""


def run(job: ProbeJob, out: Path) -> Probe:
    """Do a probe job; writes `transitions.npz` into `out`.

    The transitions of one environment follow each other, so an episode's are together and in order of time.

    Raises:
        TaskError: if the environment or a signal of its card cannot be used.
    """
    survey = survey_environment(job.env)
    spec = replace(job.env, signals=survey.signals, privileged_signals=survey.privileged_signals)
    env = make_envs(spec, N_ENVS, [signal.name for signal in survey.signals], use=JobUse("probe"))
    try:
        with explain_faults(job.env.env_id, "fails under random actions"):
            recording = _record_transitions(env, job.seed, job.transitions)
        after, reward = recording.transitions.after, recording.environment_reward
        survey = judge_signals(survey, job.env, after, reward, env.faults)
        kept = [signal.name for signal in survey.signals]
        TransitionFile.in_folder(out).write(
            _select_signals(recording.transitions, kept), recording.step, recording.terminated
        )
        unobserved = None if env.image else find_unobserved(survey.signals, after, recording.observation)
        return replace(_describe_environment(env, survey, job.transitions), unobserved=unobserved)
    finally:
        env.close()


@dataclass(frozen=True)
class _Recording:
    """Transitions under random actions, with what no program gets."""

    transitions: Transitions
    step: Array
    """(n,): index of each in its episode."""
    terminated: Array
    environment_reward: Array
    observation: Array
    """(n, d), after each action; of images (n, 0)."""


def _select_signals(transitions: Transitions, names: Sequence[str]) -> Transitions:
    """Return the transitions with the named signals only."""
    states = {state: {name: getattr(transitions, state)[name] for name in names} for state in STATES}
    return Transitions(transitions.action, **states, terminated=None)


def _record_transitions(env: BatchedEnv, seed: int, transitions: int) -> _Recording:
    """Record transitions under random actions."""
    n, width = env.n, env.layout.width
    steps = math.ceil(transitions / n)
    before, after, start = np.zeros((3, steps, n, width))
    action, index = np.zeros((steps, n, env.actions.width)), np.zeros((steps, n))
    terminated, environment_reward = np.zeros((2, steps, n))

    # Act at random, each environment from its own generator
    rngs = [make_action_generator(seed + row) for row in range(n)]
    env.reset([seed + row for row in range(n)])
    observation = np.zeros((steps, n, 0 if env.image else env.obs_dim))
    elapsed = np.zeros(n)
    for t in range(steps):
        action[t] = [env.actions.sample(rng) for rng in rngs]
        before[t], start[t], index[t] = env.read_signals(), env.read_start_signals(), elapsed
        step = env.step(action[t])
        after[t], terminated[t], environment_reward[t] = step.after, step.terminated, step.environment_reward
        if not env.image:
            observation[t] = step.final_obs
        elapsed += 1
        elapsed[step.ended] = 0
    fill_learned_columns(env, after, before, start)

    # The last vector step may give more transitions than were asked for.
    def cut(array: Array) -> Array:
        return order_by_env(array)[:transitions]

    signals = {
        state: env.layout.unpack_signals(cut(packed))
        for state, packed in zip(STATES, (before, after, start), strict=True)
    }
    return _Recording(
        Transitions(cut(action), **signals, terminated=None),
        cut(index),
        cut(terminated),
        cut(environment_reward),
        cut(observation),
    )


def _describe_environment(env: BatchedEnv, survey: EnvironmentSurvey, transitions: int) -> Probe:
    actions = env.actions
    return Probe(
        signals=survey.signals,
        action_shape=(actions.width,),
        action_low=actions.low,
        action_high=actions.high,
        discrete_actions=actions.n,
        action_about=actions.describe(survey.action_names),
        action_names=survey.action_names,
        observation_shape=env.image.env_shape if env.image else (env.obs_dim,),
        max_episode_steps=env.max_episode_steps,
        transitions=transitions,
        privileged_signals=survey.privileged_signals,
        info=survey.info,
        observation_space=survey.observation_space,
        action_space=survey.action_space,
        batched=isinstance(env, MujocoEnv | RobotEnvs),
        about=survey.about,
        remarks=(*survey.remarks, *_list_environment_remarks(env), *list_provider_remarks(env)),
        robot_options=env.resolve_options() if isinstance(env, RobotEnvs) else {},
    )


def _list_environment_remarks(env: BatchedEnv) -> Iterator[str]:
    """Yield what a user should know about an environment's reward, time limit and actions, a line each."""
    if ENVIRONMENT_REWARD in env.faults:
        yield from describe_faults({ENVIRONMENT_REWARD: env.faults[ENVIRONMENT_REWARD]})
    if env.max_episode_steps is None:
        yield (
            "no time limit is registered for the environment: an evaluation cuts an episode that it does not end after"
            f" {MAX_STEPS:,} steps (max_episode_steps in a task card sets another limit)"
        )
    if env.actions.n is None and env.actions.is_bounded and not env.actions.is_near_unit:
        yield (
            f"an action is {env.actions.describe()}, far from the numbers near 0 with which a policy of PPO begins (SAC"
            ' and TD3 scale them): in a card, wrappers = [{ name = "gymnasium.wrappers:RescaleAction", kwargs ='
            " { min_action = -1.0, max_action = 1.0 } }] puts them into [-1, 1]"
        )
    if env.actions.n is None and not env.actions.is_bounded:
        yield (
            "the actions have no bounds: PPO (fast, sb3) samples them from a Gaussian that is not clipped there, and"
            " random actions are standard normal; SAC and TD3 cannot train it"
        )
