"""Factory of n environments of a spec, on the fastest path that is exact for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.observation import find_observation_fault
from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.contract.signal_source import list_field_references, parse
from rewardsmith.worker.envs.base import BatchedEnv, SignalLayout
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.generic import GenericEnv
from rewardsmith.worker.envs.mujoco_env import PLAIN_FIELDS, MujocoEnv, find_rules
from rewardsmith.worker.envs.mujoco_fields import is_field
from rewardsmith.worker.envs.observed import SignalObservationEnv
from rewardsmith.worker.envs.open_env import open_env
from rewardsmith.worker.envs.robot_envs import RobotEnvs
from rewardsmith.worker.envs.robot_gym import FilmedRobot, find_robot, is_filmed
from rewardsmith.worker.envs.signal_reader import select_signals
from rewardsmith.worker.envs.thread_choice import ThreadChoice
from rewardsmith.worker.learned_signals.base import JobUse, ProviderContext, SignalProvider
from rewardsmith.worker.learned_signals.env import LearnedSignalEnv
from rewardsmith.worker.learned_signals.frames import FrameRecorder
from rewardsmith.worker.learned_signals.providers import open_provider

TRAINING = JobUse()


def make_envs(
    spec: EnvSpec,
    n: int,
    gather: Sequence[str] = (),
    measured: Sequence[str] = (),
    opened: Any = None,
    observation: Sequence[str] = (),
    threads: ThreadChoice | None = None,
    use: JobUse = TRAINING,
) -> BatchedEnv:
    """Build n environments that gather the named signals.

    Learned signals are the last columns; only those that are named cost something.

    Args:
        spec: the environment; its own signals are found first, then those of the derived catalogue.
        n: how many, at least 1.
        gather: names of signals; only these cost time.
        measured: names in a fitness expression: of signals, or of privileged signals, which `gather` cannot name.
        opened: an environment of this spec that is already built, to be one of the n.
        observation: names of the signals that the policy observes; none: it observes the environment's own vector.
        threads: chooses how many threads step batched physics; None takes one.
        use: of the environments, for the providers of learned signals.

    Raises:
        TaskError: if the environment cannot be built, or a signal is unknown or cannot be read.
    """
    if n < 1:
        raise TaskError(f"n must be at least 1, not {n}")
    layout, available = _choose_layout(spec, (*gather, *observation), tuple(measured))
    fault = find_observation_fault(observation, layout.signals)
    if fault:
        raise TaskError(f"the policy's observation: {fault}")
    simulated = tuple(signal for signal in available if not signal.is_learned)
    providers = _open_providers(spec, n, layout, simulated, use)
    gathered = _list_gathered(layout, simulated, providers.values())

    # Learned signals come around everything else; where one looks at pictures, the environments are drawn.
    strides = [provider.frame_stride for provider in providers.values() if provider.frame_stride is not None]
    recorder = FrameRecorder(strides) if strides else None
    if recorder is None:
        env = _build_envs(spec, n, gathered, open_env(spec) if opened is None else opened, threads)
    else:
        from rewardsmith.worker.learned_signals.drawn_envs import build_drawn_envs

        env = build_drawn_envs(spec, n, gathered, recorder, opened)
    env = SignalObservationEnv(env, observation) if observation else env
    if not providers:
        return env
    shown = [signal.name for signal in layout.signals if not signal.is_learned]
    return LearnedSignalEnv(env, shown, providers, recorder)


def _open_providers(
    spec: EnvSpec, n: int, layout: SignalLayout, simulated: tuple[Signal, ...], use: JobUse
) -> dict[Signal, SignalProvider]:
    """Return the learned signals of a layout with their providers, which may read the simulated ones; {} for most."""
    definitions = {signal.name: signal for signal in spec.learned_signals}
    return {
        signal: open_provider(ProviderContext(definitions[signal.name], spec, simulated, n, use))
        for signal in layout.signals
        if signal.is_learned
    }


def _list_gathered(
    layout: SignalLayout, simulated: tuple[Signal, ...], providers: Iterable[SignalProvider]
) -> SignalLayout:
    """Return the signals that the simulator has to give: those of the layout, then further ones that providers read."""
    shown = tuple(signal for signal in layout.signals if not signal.is_learned)
    reads = [name for provider in providers for name in provider.reads]
    return SignalLayout(tuple(dict.fromkeys((*shown, *select_signals(simulated, reads).signals))))


def _build_envs(
    spec: EnvSpec, n: int, layout: SignalLayout, first: Any, threads: ThreadChoice | None = None
) -> BatchedEnv:
    """Build the environments on the fastest path; `first` is one of them."""
    robot = None if spec.wrappers else find_robot(first)
    if robot is not None and is_filmed(first):
        return FilmedRobot(first, layout)
    if robot is not None:
        return RobotEnvs(robot.options, n, layout, first.spec.max_episode_steps, threads=threads)
    rules = None if spec.wrappers else find_rules(first)
    if rules is None or not can_batch_signals(layout):
        return GenericEnv(spec, n, layout, first)
    return MujocoEnv(first, rules, n, layout, threads)


def can_batch_signals(layout: SignalLayout) -> bool:
    """Tell whether batched physics can gather the signals: `info` and `state` come from the environment itself."""
    fields = {ref.field for signal in layout.signals for ref in list_field_references(parse(signal.source))}
    return all(is_field(field) or field in PLAIN_FIELDS for field in fields)


def _choose_layout(
    spec: EnvSpec, gather: tuple[str, ...], measured: tuple[str, ...]
) -> tuple[SignalLayout, tuple[Signal, ...]]:
    """Return the layout of what is gathered, and the signals that a program may name, as far as they are known.

    Raises:
        TaskError: if a name is unknown; the name of a privileged signal is unknown to `gather`.
    """
    # The survey builds an environment: it is made only where the spec does not name all that is asked for.
    signals, privileged = spec.signals, spec.privileged_signals
    privileged_names = {signal.name for signal in privileged}
    not_privileged = [name for name in measured if name not in privileged_names]
    if not {signal.name for signal in signals}.issuperset((*gather, *not_privileged)):
        survey = survey_environment(spec)
        signals, privileged = survey.signals, survey.privileged_signals

    select_signals(signals, gather)
    layout = select_signals((*signals, *privileged), (*gather, *measured))
    simulated = (signal for signal in layout.signals if not signal.is_learned)
    learned = (signal for signal in layout.signals if signal.is_learned)
    return SignalLayout((*simulated, *learned)), signals
