"""Signals that an environment offers: those of its card first, then those read from the environment itself.

A MuJoCo model names its bodies, joints, sites, sensors and actuators. Of other environments there are the observation
(with names where the family is known, or by the keys of a dict) and the numbers that `info` reports. What the
environment pays or counts as success is never a signal for programs, be it reported in `info` or in the observation:
it is a privileged signal, which only a fitness expression may name.

survey_environment   signals, privileged signals, and how each entry of `info` is used
"""

from __future__ import annotations

import inspect
import keyword
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import gymnasium
import numpy as np

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.fitness import RESERVED
from rewardsmith.contract.records import EnvSpec, InfoEntry, Signal
from rewardsmith.contract.robots import ROBOT_NAMESPACE, is_robot
from rewardsmith.contract.signal_source import FieldReference, may_leak_reward, parse, quote_info_key
from rewardsmith.worker.envs import observation_signals
from rewardsmith.worker.envs.declared_names import find_action_names, find_feature_names
from rewardsmith.worker.envs.env_faults import SEE_DOCS, find_fault
from rewardsmith.worker.envs.flat_observation import FlatObservation
from rewardsmith.worker.envs.mujoco_catalogue import list_model_signals
from rewardsmith.worker.envs.mujoco_env import find_rules
from rewardsmith.worker.envs.mujoco_fields import get_model
from rewardsmith.worker.envs.open_env import open_env, read_actions, read_image, sample_info

ENVIRONMENT_REWARD = Signal(
    "environment_reward", (), "1", "the environment's own reward of the step; 0 at the start", "environment_reward"
)

MAX_INFO_NUMBERS = 4_096
"""Most numbers of an entry of `info` that is a signal: each is recorded at every step."""
ABOUT_CHARS = 6_000
"""Longest docstring of a class that is taken over."""


@dataclass(frozen=True)
class EnvironmentSurvey:
    """Signals, entries of `info` and spaces of an environment."""

    signals: tuple[Signal, ...]
    """For programs, prompts and fitness: the card's first."""
    privileged_signals: tuple[Signal, ...]
    """For fitness alone: the card's first."""
    info: tuple[InfoEntry, ...]
    """Entries that were found in `info`, in its order."""
    observation_space: str
    """As Gymnasium writes it."""
    action_space: str
    about: str = ""
    """Docstring of the environment's class."""
    action_names: tuple[str, ...] = ()
    """The environment's own names of its choices, or of the numbers of an action; empty where it has none."""
    reported: tuple[str, ...] = ()
    """Names of the signals that may copy the reward: entries of `info`, and single numbers of a dict observation."""
    space: Any = None
    """The observation space."""
    remarks: tuple[str, ...] = ()
    """Remarks for the user, a line each."""


def survey_environment(spec: EnvSpec) -> EnvironmentSurvey:
    """Return the card's signals and privileged ones, then the derived ones whose names and sources are not taken.

    Raises:
        TaskError: if the environment cannot be built, its spaces cannot be used, it fails in its first steps, or a
            source of the card cannot be parsed, or reads what no program may.
    """
    # Derive what the observation, the model and `info` offer.
    env = open_env(spec)
    try:
        read_actions(spec.env_id, env.action_space)
        is_image = read_image(env.observation_space) is not None
        FlatObservation(env.observation_space).check_size(spec.env_id, is_image)
        observation_signals.check_observation_sources(spec.signals, env.observation_space)
        observed, withheld = observation_signals.derive_observation_signals(env, bool(spec.wrappers))
        # A robot's own list names its model's elements, and what a task needs of its posture and contacts.
        simulated = env.unwrapped.list_signals() if is_robot(spec) else list_model_signals(get_model(env))
        derived = [*simulated, *observed] if is_robot(spec) else [*observed, *simulated]
        sample = sample_info(env, spec.env_id)
        batched = not spec.wrappers and find_rules(env) is not None
        entries = classify_info(sample.values, batched, sample.faults)
        observation_space, action_space = str(env.observation_space), str(env.action_space)
        about, space = read_class_docstring(env), env.observation_space
        action_names = find_action_names(env, read_actions(spec.env_id, env.action_space).count)
        robot_remarks = env.unwrapped.remarks if is_robot(spec) else ()
    finally:
        env.close()
    derived += [_make_info_signal(entry, sample.names) for entry in entries if entry.decision == "signal"]
    privileged = [ENVIRONMENT_REWARD, *withheld]
    privileged += [_make_info_signal(entry, sample.names) for entry in entries if entry.decision == "privileged"]

    # What others than the simulation say, which the reward may be hidden in.
    single = [signal for signal in observed if len(observation_signals.find_columns_read(signal, space)) == 1]
    reported_sources = {signal.source for signal in single if observation_signals.has_entries(space)}
    reported_sources |= {signal.source for signal in derived if signal.source.startswith("info[")}

    # Leave out what the card names already, under whichever name.
    of_card = (*spec.signals, *spec.privileged_signals)
    taken_names = {signal.name for signal in of_card}
    taken_sources = {_normalize_source(signal) for signal in of_card}
    derived = [signal for signal in derived if _normalize_source(signal) not in taken_sources]
    privileged = [signal for signal in privileged if _normalize_source(signal) not in taken_sources]

    learned = _list_new_learned(spec, (*derived, *privileged))
    taken_names |= {signal.name for signal in learned}
    signals = (*spec.signals, *learned, *rename_distinct(derived, taken_names))
    return EnvironmentSurvey(
        signals=signals,
        privileged_signals=(*spec.privileged_signals, *rename_distinct(privileged, taken_names)),
        info=entries,
        observation_space=observation_space,
        action_space=action_space,
        about=about,
        action_names=action_names,
        reported=tuple(signal.name for signal in signals if signal.source in reported_sources),
        space=space,
        remarks=(*_list_remarks(entries, sample.faults, FlatObservation(space)), *robot_remarks),
    )


def _list_new_learned(spec: EnvSpec, derived: Iterable[Signal]) -> list[Signal]:
    """Return the learned signals that the spec's catalogue does not list yet.

    Raises:
        TaskError: if one has the name of a derived signal.
    """
    listed = {signal.name for signal in spec.signals}
    learned = [signal for signal in spec.list_learned() if signal.name not in listed]
    names = {make_identifier(signal.name) for signal in derived}
    for signal in learned:
        if signal.name in names:
            raise TaskError(
                f"learned signal {signal.name!r}: {spec.env_id!r} has a signal of this name; give it another"
            )
    return learned


def withhold_signals(survey: EnvironmentSurvey, reasons: Mapping[str, str], drop: bool = False) -> EnvironmentSurvey:
    """Return the survey in which signals are privileged, with all others that read the same part of the observation.

    Args:
        survey: where they are signals.
        reasons: name of each signal to the reason for it, in which its entry of `info` says so.
        drop: whether they are no privileged signals either.
    """
    withheld = {signal.name: signal for signal in survey.signals if signal.name in reasons}
    columns = frozenset[int]().union(
        *(observation_signals.find_columns_read(signal, survey.space) for signal in withheld.values())
    )
    withheld |= {
        signal.name: signal
        for signal in survey.signals
        if observation_signals.find_columns_read(signal, survey.space) & columns
    }
    reason_by_key = {read_info_key(withheld[name]): reason for name, reason in reasons.items() if name in withheld}
    decision: Literal["privileged", "left out"] = "left out" if drop else "privileged"
    return replace(
        survey,
        signals=tuple(signal for signal in survey.signals if signal.name not in withheld),
        privileged_signals=survey.privileged_signals if drop else (*survey.privileged_signals, *withheld.values()),
        info=tuple(
            replace(entry, decision=decision, reason=reason_by_key[entry.key]) if entry.key in reason_by_key else entry
            for entry in survey.info
        ),
    )


def read_info_key(signal: Signal) -> str | None:
    """Return the key of the entry of `info` that a signal is; None for every other signal."""
    node = parse(signal.source)
    if isinstance(node, FieldReference) and node.field == "info":
        return ".".join(map(str, node.indices))
    return None


def _list_remarks(
    entries: Iterable[InfoEntry], faults: Mapping[Any, str], observation: FlatObservation
) -> Iterator[str]:
    """Yield a line for each part of the observation without numbers, and each unreliable entry of `info`."""
    for part in observation.parts:
        if not part.size:
            name = ".".join(map(str, part.path))
            yield f"the observation's entry {name!r} ({type(part.space).__name__}) holds no numbers and is left out"
        elif part.path and read_image(part.space) is not None:
            yield (
                f"the observation's entry {'.'.join(map(str, part.path))!r} is an image {part.space.shape}; a policy of"
                " PPO reads it by convolutions beside the other entries. training.observation names the signals that it"
                f" is to see instead, and a wrapper observes the image alone {SEE_DOCS}"
            )
    for entry in entries:
        if entry.key in faults and entry.decision == "left out":
            yield f"info[{entry.key!r}] is left out: {entry.reason}"


def classify_info(
    info: Mapping[Any, Any], batched: bool = False, faults: Mapping[Any, str] | None = None
) -> tuple[InfoEntry, ...]:
    """Decide about each entry of `info`.

    Args:
        info: one or several steps' entries.
        batched: the environment is stepped by rules over batched physics, which report no `info`.
        faults: key to what an entry was in a step in which it was no number.

    >>> [entry.decision for entry in classify_info({"x": 1.0, "is_success": True, "name": "a", "reward_x": 0.5})]
    ['signal', 'privileged', 'left out', 'privileged']
    """
    faults = faults or {}
    return tuple(_classify_entry(key, value, batched, faults.get(key)) for key, value in info.items())


def _classify_entry(key: Any, value: Any, batched: bool, fault: str | None) -> InfoEntry:
    shape = np.shape(value) if find_fault(value) is None else ()

    # What cannot be a signal.
    if not isinstance(key, str):
        return InfoEntry(str(key), shape, "left out", f"its key is no text: {type(key).__name__}")
    reason = _find_obstacle(key, value, fault)
    if reason:
        return InfoEntry(key, shape, "left out", reason)

    # What no program may know, and what the simulation says itself.
    if may_leak_reward(key):
        return InfoEntry(
            key, shape, "privileged", "tells the environment's reward or the success: only a fitness may name it"
        )
    if batched:
        return InfoEntry(key, shape, "left out", "the simulation's own signals say it, and are gathered faster")
    return InfoEntry(key, shape, "signal", "a number that tells no reward")


def _find_obstacle(key: str, value: Any, fault: str | None) -> str | None:
    """Return why an entry of `info` is of no use as a signal; None where it is."""
    if key.startswith("timestep."):
        return "bookkeeping of dm_control's interface, no quantity of the task"
    never = find_fault(value)
    if never is not None:
        return f"no number: {type(value).__name__}" if never not in ("nan", "inf", "-inf") else f"no number: {never}"
    if fault is not None:
        return describe_unreliable(fault)
    if np.size(value) == 0:
        return "an array without numbers"
    if np.size(value) > MAX_INFO_NUMBERS:
        return (
            f"an array of {np.size(value):,} numbers, such as a picture; at most {MAX_INFO_NUMBERS:,} can be a signal"
        )
    return None if quote_info_key(key) else "its key holds both kinds of quotes"


def describe_unreliable(fault: str) -> str:
    """Return the reason for which an entry of `info` that is not a number in every step is left out."""
    return f"not always a number: in some steps it is {fault}"


def read_class_docstring(env: Any) -> str:
    """Return the docstring of an environment's class, or a robot's description; "" where it has none of its own."""
    if env.spec is not None and str(env.spec.id).startswith(ROBOT_NAMESPACE):
        return str(env.unwrapped.about)
    texts = [_read_docstring(type(env.unwrapped))]
    # The class of its observation says more about the numbers, where it has one.
    _, holder = find_feature_names(env, getattr(env.observation_space, "shape", None) or ())
    if holder is not None and holder is not env.unwrapped:
        about = _read_docstring(type(holder))
        texts += [f"Its observation, {type(holder).__name__}: {about}"] if about else []
    return "\n\n".join(filter(None, texts))[:ABOUT_CHARS].strip()


def _read_docstring(kind: type) -> str:
    text = kind.__doc__ if kind.__doc__ != gymnasium.Env.__doc__ else ""
    return inspect.cleandoc(text or "").strip()


def _normalize_source(signal: Signal) -> str:
    """Return what a signal reads, however its source is spelled."""
    return repr(parse(signal.source))


def make_identifier(text: str) -> str:
    """Return the nearest name that a program can use.

    >>> make_identifier("robot0:slide-1"), make_identifier("2nd"), make_identifier("class")
    ('robot0_slide_1', '_2nd', 'class_')
    """
    # Python normalises the names in a program: a name is written as it reads it.
    letters = unicodedata.normalize("NFKC", text)
    name = "".join(letter if f"_{letter}".isidentifier() else " " for letter in letters)
    name = re.sub(r" +", "_", name) or "_"
    name = name if name.isidentifier() or keyword.iskeyword(name) else f"_{name}"
    return f"{name}_" if keyword.iskeyword(name) or name in RESERVED else name


def rename_distinct(signals: Iterable[Signal], taken: set[str]) -> Iterator[Signal]:
    """Yield the signals under valid names that do not repeat."""
    for signal in signals:
        base = name = make_identifier(signal.name)
        repeats = 1
        while name in taken:
            repeats += 1
            name = f"{base}_{repeats}"
        taken.add(name)
        yield replace(signal, name=name)


def _make_info_signal(entry: InfoEntry, names: Mapping[Any, str]) -> Signal:
    values = f" ({names[entry.key]})" if entry.key in names else ""
    meaning = f"reported by the environment as info[{entry.key!r}]{values}; 0 until an episode first reports it"
    return Signal(entry.key, entry.shape, "1", meaning, quote_info_key(entry.key) or "")
