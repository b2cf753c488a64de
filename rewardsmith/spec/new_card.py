"""New task cards: a card for an environment, to be filled in.

A card that `render_card` writes can be run as it is, with a remark: its fitness is the environment's own verdict, which
the author replaces. It names the signals that a task most often needs; a worker derives the others in any case.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, LearnedSignal, Probe, Signal
from rewardsmith.contract.signal_source import ENVIRONMENT_REWARD
from rewardsmith.contract.text import pluralize
from rewardsmith.spec.class_docs import describe_class
from rewardsmith.spec.task_cards import UNFILLED

CARD_SIGNALS = 40
"""Largest number of signals in a new card."""
LISTED_ENDINGS = (
    "_position",
    "_velocity",
    "_angle",
    "_offset",
    "_rate",
    "_pose",
    "_length",
    "_sensor",
    "_centre_of_mass",
)
"""Endings of the derived signals that tasks name most often; signals that are one of their kind are listed too."""
OMITTED_ENDINGS = ("_angular_velocity", "_contact_force", "_orientation", "_actuator_force", "_length_rate")

CARD = """\
# A task card for {env_id}. Fill in the lines that say so; every other line can stay, change or go.
# Use it with: rewardsmith design "..." --env THIS_FILE.toml
env_id = "{env_id}"
{kwargs}
{pass_env}
{imports}
{wrappers}
# max_episode_steps = {limit}
text = "FILL IN: what the agent should do, in a sentence."
about = \"\"\"
The Gymnasium environment {env_id}. FILL IN: what it is, for a reader who has never seen it: the body, the
surroundings, how an episode starts and ends, which way is forward, how long a step is.
{docstring}\"\"\"
action = {action}
# FILL IN one number for an episode, which no program sees. {fitness_says}
fitness = {fitness}

# Metrics: further numbers for an episode, which are reported next to the fitness and never used for selection:
# [metrics]
# fell = {{ expression = "1 - survived", meaning = "share of episodes that the environment ended" }}

# FILL IN names that say what they are, the signals that matter for the task first: a prompt lists all of these.
# The others are derived; see: rewardsmith envs describe {env_id}
[signals]
{signals}

# For the fitness alone, never for a program: what tells the environment's reward or success.
[privileged_signals]
{privileged_signals}

# Settings that suit the task:
# [search]
# env_steps = 200_000
# [training]
# gamma = 0.99
"""


def render_card(env: EnvSpec, probe: Probe) -> str:
    """Return a card to fill in, as TOML.

    Args:
        env: the environment.
        probe: what was found in it.
    """
    fitness, says = _suggest_fitness(probe)
    return CARD.format(
        env_id=env.env_id,
        kwargs=f"kwargs = {_render_value(env.kwargs)}" if env.kwargs else "# kwargs = {}    for gymnasium.make",
        pass_env=f"pass_env = {_render_value(env.pass_env)}" if env.pass_env else '# pass_env = ["NAME"]    variables',
        imports=f"imports = {_render_value(env.imports)}" if env.imports else '# imports = ["package:register"]',
        wrappers=_render_wrappers(env),
        docstring=_render_docstring(probe.about),
        limit=probe.max_episode_steps or "1_000    (it has no limit of its own)",
        action=json.dumps(_describe_action(probe)),
        fitness_says=says,
        fitness=json.dumps(fitness),
        signals="\n".join(
            [*map(render_signal, select_card_signals(probe.signals)), *map(_render_learned, env.learned_signals)]
        ),
        privileged_signals="\n".join(map(render_signal, probe.privileged_signals)),
    )


def adapt_card(text: str, name: str) -> str:
    """Return the text of a card as the beginning of another one for the same environment.

    Args:
        text: of the card's file.
        name: of the card.
    """
    without_anchors = re.sub(r"\n*^\[\[anchors\]\]\n(?:(?!\[).*\n?)*", "\n", text, flags=re.MULTILINE)
    without_main = re.sub(r"^main = .*\n", "", without_anchors, flags=re.MULTILINE)
    head = (
        f"# A task card made from {name!r}. Change its text and its fitness, and what your task needs; the measured\n"
        "# results to compare with, which belong to the fitness, are left out.\n"
    )
    return head + without_main.rstrip("\n") + "\n"


def select_card_signals(signals: Iterable[Signal]) -> tuple[Signal, ...]:
    """Return the signals of a catalogue that a new card names."""
    listed = [
        signal
        for signal in signals
        if not signal.name.endswith(OMITTED_ENDINGS)
        and not signal.is_learned
        and (signal.name.endswith(LISTED_ENDINGS) or not _is_derived(signal))
    ]
    return tuple(listed[:CARD_SIGNALS])


def write_card(text: str, path: Path) -> None:
    """Write a new card.

    Raises:
        TaskError: if there is such a file already, or it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise TaskError(f"{str(path)!r} exists; choose another file with --out") from error
    except OSError as error:
        raise TaskError(f"cannot write the card {str(path)!r}: {error.strerror}") from error


def check_card_path(path: Path) -> None:
    """Make sure that a card can be written to a path, before time is spent on it.

    Raises:
        TaskError: if there is such a file already, or no such folder.
    """
    if path.exists():
        raise TaskError(f"{str(path)!r} exists; choose another file with --out")
    if not path.parent.is_dir():
        raise TaskError(f"there is no folder {str(path.parent)!r} for the card")


def default_card_path(env: EnvSpec) -> Path:
    """Return the default path of a new card.

    >>> default_card_path(EnvSpec("my_package:MyEnv-v0")).as_posix()
    'myenv.toml'
    """
    name = re.split(r"[:/]", env.env_id)[-1]
    return Path(re.sub(r"\W+", "_", re.sub(r"-v\d+$", "", name)).lower() + ".toml")


def _is_derived(signal: Signal) -> bool:
    """Tell whether a signal is one of many of its kind, read from a model's element."""
    return bool(re.search(r"(body|joint|site|tendon|sensor|actuator) '", signal.meaning))


def _suggest_fitness(probe: Probe) -> tuple[str, str]:
    """Return the environment's own success or return as an expression, and a sentence about it."""
    flags = [signal.name for signal in probe.privileged_signals if "success" in signal.name and not signal.shape]
    if flags:
        return f"any({flags[0]})", "Now: whether the environment ever reported success."
    reward = next(signal.name for signal in probe.privileged_signals if signal.source == ENVIRONMENT_REWARD)
    return f"sum({reward})", "Now: the environment's own return."


def _describe_action(probe: Probe) -> str:
    if probe.discrete_actions is not None:
        choices = f"one of {probe.discrete_actions} choices, numbered from 0"
        return f"{choices}{_list_actions(probe)}. {UNFILLED}: what each does"
    low, high = sorted(set(probe.action_low)), sorted(set(probe.action_high))
    bounds = f"in [{low[0]:g}, {high[0]:g}]" if len(low) == len(high) == 1 else "each in bounds of its own"
    bounds = "without bounds" if (low, high) == ([-math.inf], [math.inf]) else bounds
    return f"{pluralize(len(probe.action_low), 'number')} {bounds}{_list_actions(probe)}. {UNFILLED}: what each does"


def _list_actions(probe: Probe) -> str:
    names = [f"{place} {name}" for place, name in enumerate(probe.action_names)]
    return f": {', '.join(names)}" if names else ""


def _render_docstring(about: str) -> str:
    """Return the docstring of an environment's class, to be edited; see `describe_class`."""
    text = describe_class(about)
    if not text:
        return ""
    # Quotes and backslashes as TOML's strings of several lines have them; it takes no control characters.
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f"\n{UNFILLED}, from what its class says (edit it, or delete it):\n\n{text}\n"


def _render_value(value: Any) -> str:
    """Return a JSON value as TOML; null, which TOML has not, is left out of tables and lists.

    >>> _render_value({"a b": [1, 2.5, None], "c": {"d": True}})
    '{ "a b" = [1, 2.5], c = { d = true } }'
    """
    if isinstance(value, dict):
        entries = (f"{_render_key(key)} = {_render_value(entry)}" for key, entry in value.items() if entry is not None)
        return f"{{ {', '.join(entries)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_render_value(entry) for entry in value if entry is not None)}]"
    return json.dumps(value, ensure_ascii=False)


def _render_wrappers(env: EnvSpec) -> str:
    entries = [{"name": wrapper.name, "kwargs": wrapper.kwargs} for wrapper in env.wrappers]
    return f"wrappers = {_render_value(entries)}" if entries else '# wrappers = ["package.module:Class"]'


def _render_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quote_text(key)


def render_signal(signal: Signal) -> str:
    """Return the line of a signal, as TOML."""
    shape = f"shape = {list(signal.shape)}, " if signal.shape else ""
    fields = f"unit = {quote_text(signal.unit)}, meaning = {quote_text(signal.meaning)}"
    return f"{signal.name} = {{ source = {quote_text(signal.source)}, {shape}{fields} }}"


def _render_learned(signal: LearnedSignal) -> str:
    keys = {"provider": signal.provider, **signal.options, "unit": signal.unit, "meaning": signal.meaning}
    return f"{signal.name} = {_render_value(keys)}"


def quote_text(text: str) -> str:
    """Return a TOML string."""
    return json.dumps(text, ensure_ascii=False)
