"""Signals that a language model labels (`labelled`): what they need of an environment, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from rewardsmith.contract.captions import CAPTION_CHARS, REPORT_STEPS
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.learned_signals import LabelledOptions, read_options
from rewardsmith.contract.records import EnvSpec, EnvWrapper
from rewardsmith.spec.config import Config
from rewardsmith.spec.settings import Role

PROVIDER = "labelled"
TEXT_WRAPPER = "rewardsmith.worker.envs.wrappers:TextAsNumbers"
PROMPT_TOKENS, ANSWER_TOKENS_PER_CAPTION = 600, 8
"""Approximate tokens of a prompt without its captions, and of an answer for each of them."""
MILLION = 1_000_000


def read_labelled_options(env: EnvSpec) -> dict[str, LabelledOptions]:
    """Return the signals of an environment that a language model labels, with their options; {} for most."""
    return {
        signal.name: read_options(LabelledOptions, signal)
        for signal in env.learned_signals
        if signal.provider == PROVIDER
    }


def add_text_wrapper(env: EnvSpec) -> EnvSpec:
    """Return the environment with a wrapper that turns the texts that captions are made of into numbers."""
    keys = sorted({options.text for options in read_labelled_options(env).values() if options.text})
    others = tuple(wrapper for wrapper in env.wrappers if wrapper.name != TEXT_WRAPPER)
    return replace(env, wrappers=(*others, EnvWrapper(TEXT_WRAPPER, {"keys": keys}))) if keys else env


def list_roles(config: Config, env: EnvSpec) -> tuple[Role, ...]:
    """Return the roles that ask a language model in a search."""
    from rewardsmith.spec.subgoals import list_open_signals

    asks_for_subgoals = bool(list_open_signals(env)) and "designer" not in config.roles
    designer: tuple[Role, ...] = ("designer",) if asks_for_subgoals else ()
    labeller: tuple[Role, ...] = ("labeller",) if read_labelled_options(env) else ()
    return (*designer, *config.roles, *labeller)


def check_executor(config: Config, env: EnvSpec) -> None:
    """Refuse executors whose jobs cannot report captions.

    Raises:
        ConfigError: if there is such a signal, and jobs do not run on this machine.
    """
    for name in read_labelled_options(env):
        if config.executor.kind != "local":
            raise ConfigError(
                f"the signal {name!r} is labelled while trainings run, and executor.kind = {config.executor.kind!r}"
                " brings no captions from them; take executor.kind = 'local', or another signal"
            )


def describe_label_costs(env: EnvSpec) -> Iterator[str]:
    """Yield for each labelled signal what its labels cost at most."""
    for name, options in read_labelled_options(env).items():
        captions = options.batch * (2 if options.model == "ranking" else 1)
        tokens = PROMPT_TOKENS + math.ceil(captions * CAPTION_CHARS / 4) + options.batch * ANSWER_TOKENS_PER_CAPTION
        calls = min(options.calls, math.ceil(MILLION / REPORT_STEPS))
        yield (
            f"{name}: at most {calls:,} calls and {calls * tokens:,} tokens per million steps of a training, and"
            f" {options.calls:,} calls in the whole search"
        )
