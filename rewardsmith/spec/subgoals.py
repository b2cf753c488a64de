"""Subgoals that a language model is still to write: `subgoals = "auto"` of a learned signal."""

from __future__ import annotations

from dataclasses import replace

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.learned_signals import SubgoalOptions, read_options
from rewardsmith.contract.records import EnvSpec, LearnedSignal, Subgoal
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import Task

PROVIDER = "subgoals"
DEFAULT_NAME = "subgoals_reached"
"""Name of the signal of a search whose designer is `subgoals`, where the task has no such signal."""
LISTED = "subgoals = [{ text = ..., condition = ... }]"


def list_subgoal_signals(env: EnvSpec) -> tuple[LearnedSignal, ...]:
    """Return the learned signals of an environment that count subgoals."""
    return tuple(signal for signal in env.learned_signals if signal.provider == PROVIDER)


def list_open_signals(env: EnvSpec) -> tuple[LearnedSignal, ...]:
    """Return those whose subgoals are not written yet."""
    signals = list_subgoal_signals(env)
    return tuple(signal for signal in signals if read_options(SubgoalOptions, signal).subgoals == "auto")


def drop_open_signals(env: EnvSpec) -> EnvSpec:
    """Return the environment without the signals whose subgoals are not written yet."""
    still_open = list_open_signals(env)
    return replace(env, learned_signals=tuple(one for one in env.learned_signals if one not in still_open))


def write_subgoals(env: EnvSpec, name: str, subgoals: tuple[Subgoal, ...]) -> EnvSpec:
    """Return the environment in which the subgoals of a signal are written; its own default meaning lists them."""

    def write(signal: LearnedSignal) -> LearnedSignal:
        earlier = read_options(SubgoalOptions, signal)
        written = earlier.model_copy(update={"subgoals": subgoals})
        meaning = written.default_meaning if signal.meaning == earlier.default_meaning else signal.meaning
        return replace(signal, meaning=meaning, options=written.model_dump(mode="json", exclude_unset=True))

    signals = tuple(write(signal) if signal.name == name else signal for signal in env.learned_signals)
    return replace(env, learned_signals=signals)


def add_subgoal_signal(task: Task, config: Config) -> Task:
    """Return the task with a signal that counts subgoals, where the designer needs one and the task has none."""
    if config.search.designer != "subgoals" or list_subgoal_signals(task.env):
        return task
    signal = LearnedSignal(DEFAULT_NAME, PROVIDER, SubgoalOptions().default_meaning)
    return replace(task, env=replace(task.env, learned_signals=(*task.env.learned_signals, signal)))


def check_writer(task: Task, config: Config) -> None:
    """Make sure that there is a model that can write the subgoals that are open.

    Raises:
        ConfigError: if there is none.
    """
    still_open = list_open_signals(task.env)
    has_model = bool(config.llm.model or config.llm.replay or config.llm.cache)
    if still_open and (config.search.designer == "coding-agent" or not has_model):
        raise ConfigError(
            f"the subgoals of the signal {still_open[0].name!r} are for a language model to write: name one (--model"
            f" NAME), or list them yourself: {LISTED}"
        )
