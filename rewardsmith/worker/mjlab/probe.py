"""The probe job for tasks of mjlab: the signal catalogue, and transitions under random actions for trial scoring."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rewardsmith.contract.records import Probe, ProbeJob
from rewardsmith.contract.reward_program import STATES, Transitions
from rewardsmith.sandbox.recorded import TransitionFile
from rewardsmith.worker.envs.base import SignalLayout, order_by_env
from rewardsmith.worker.envs.catalogue import EnvironmentSurvey
from rewardsmith.worker.mjlab.catalogue import count_observed, survey_lab_task
from rewardsmith.worker.mjlab.fields import SignalGatherer
from rewardsmith.worker.mjlab.recorder import RewardRecorder
from rewardsmith.worker.mjlab.rollouts import DeviceRollout, HostRollout
from rewardsmith.worker.mjlab.tasks import LabTask, load_lab_task, make_lab_env, read_lab_actions
from rewardsmith.worker.observability import find_unobserved
from rewardsmith.worker.rng import make_action_generator

N_ENVS = 4
"""Number of environments."""


def run(job: ProbeJob, out: Path) -> Probe:
    """Do a probe job; writes `transitions.npz` into `out`, each environment's transitions in order of time.

    Raises:
        TaskError: if the task or a signal of its card cannot be used.
    """
    task = load_lab_task(job.env)
    env = make_lab_env(task, N_ENVS, job.seed)
    try:
        survey = survey_lab_task(task, env)
        layout = SignalLayout(survey.signals)
        host, observation = _record_random_actions(env, task, layout, job)
    finally:
        env.close()
    count = job.transitions
    signals = {
        state: layout.unpack_signals(order_by_env(packed)[:count])
        for state, packed in zip(STATES, (host.before, host.after, host.start), strict=True)
    }
    transitions = Transitions(order_by_env(host.clipped_actions)[:count], **signals, terminated=None)
    steps = order_by_env(_count_steps(host.ended))[:count]
    terminated = order_by_env(host.mark_terminations().astype(np.float64))[:count]
    TransitionFile.in_folder(out).write(transitions, steps, terminated)
    unobserved = find_unobserved(survey.signals, transitions.after, order_by_env(observation)[:count])
    return replace(_describe_task(task, env, survey, count), unobserved=unobserved)


def _record_random_actions(
    env: Any, task: LabTask, layout: SignalLayout, job: ProbeJob
) -> tuple[HostRollout, np.ndarray[Any, Any]]:
    """Act at random; return the rollout, and the observations (T, n, d) after each action."""
    gatherer = SignalGatherer(env, layout)
    recorder = RewardRecorder(env, gatherer, pays=False)
    env.reset()
    steps = math.ceil(job.transitions / N_ENVS)
    rollout = DeviceRollout(steps, env, gatherer, recorder)
    actions = read_lab_actions(env, task.learner_config.clip_actions)
    rngs = [make_action_generator(job.seed + row) for row in range(N_ENVS)]
    observation = np.zeros((steps, N_ENVS, count_observed(env)))
    with torch.no_grad():
        for step in range(steps):
            drawn = np.stack([actions.sample(rng) for rng in rngs])
            sent = torch.from_numpy(drawn).float().to(task.device)
            rollout.record_before(step, sent)
            observed, own, terminated, truncated, _ = env.step(sent)
            rollout.record_after(step, own, terminated, terminated | truncated)
            observation[step] = observed["actor"].cpu().numpy()
    return rollout.copy_to_host(), observation


def _count_steps(ended: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return (T, n): index of each transition in its episode."""
    index, elapsed = np.zeros(ended.shape), np.zeros(ended.shape[1])
    for row, is_last in zip(index, ended, strict=True):
        row[:] = elapsed
        elapsed = np.where(is_last, 0.0, elapsed + 1.0)
    return index


def _describe_task(task: LabTask, env: Any, survey: EnvironmentSurvey, transitions: int) -> Probe:
    actions = read_lab_actions(env, task.learner_config.clip_actions)
    return Probe(
        signals=survey.signals,
        action_shape=(actions.width,),
        action_low=actions.low,
        action_high=actions.high,
        discrete_actions=None,
        action_about=actions.describe(survey.action_names),
        action_names=survey.action_names,
        observation_shape=(count_observed(env),),
        max_episode_steps=task.max_episode_steps,
        transitions=transitions,
        privileged_signals=survey.privileged_signals,
        observation_space=survey.observation_space,
        action_space=survey.action_space,
        batched=True,
        about=survey.about,
        remarks=survey.remarks,
    )
