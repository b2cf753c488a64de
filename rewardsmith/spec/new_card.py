"""The beginning of a task card for an environment.

A card that `card_text` writes can be run as it is, with a remark: its fitness is the environment's own verdict, which
the author replaces. It names the signals that a task most often needs; a worker derives the others in any case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, Probe, Signal
from rewardsmith.contract.text import counted
from rewardsmith.spec.task_cards import UNFILLED

CARD_SIGNALS = 40
"""At most so many are written into a new card."""
TOLD = ("_position", "_velocity", "_angle", "_offset", "_rate", "_pose", "_length", "_sensor", "_centre_of_mass")
"""Endings of the derived signals that tasks name most often; beside them everything that is of its own kind."""
UNTOLD = ("_angular_velocity", "_contact_force", "_orientation", "_actuator_force", "_length_rate")

CARD = """\
# A task card for {env_id}. Fill in the lines that say so; every other line can stay, change or go.
# Use it with: rewardsmith design "..." --env THIS_FILE.toml
env_id = "{env_id}"
{kwargs}
# max_episode_steps = {limit}
text = "FILL IN: what the agent should do, in a sentence."
about = \"\"\"
The Gymnasium environment {env_id}. FILL IN: what it is, for a reader who has never seen it: the body, the
surroundings, how an episode starts and ends, which way is forward, how long a step is.
\"\"\"
action = {action}
# FILL IN one figure for an episode, which no program sees. {fitness_says}
fitness = {fitness}

# Further figures for an episode, which are measured and told beside the fitness, and by which nothing is chosen:
# [figures]
# fell = {{ expression = "1 - survived", meaning = "share of episodes that the environment ended" }}

# FILL IN names that say what they are, the signals that matter for the task first: a prompt lists all of these.
# The others are derived; see: rewardsmith envs describe {env_id}
[signals]
{signals}

# For the fitness alone, never for a program: what tells the environment's own reward or success.
[measures]
{measures}

# Settings that suit the task:
# [search]
# env_steps = 200_000
# [training]
# gamma = 0.99
"""


def card_text(env: EnvSpec, probe: Probe) -> str:
    """Return a card to fill in, as TOML.

    Args:
        env: the environment.
        probe: what was found in it.
    """
    fitness, says = _fitness(probe)
    kwargs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in env.kwargs.items())
    return CARD.format(
        env_id=env.env_id,
        kwargs=f"kwargs = {{ {kwargs} }}" if kwargs else "# kwargs = {}    for gymnasium.make",
        limit=probe.max_episode_steps or "1_000    (it has no limit of its own)",
        action=json.dumps(_action(probe)),
        fitness_says=says,
        fitness=json.dumps(fitness),
        signals="\n".join(map(_entry, card_signals(probe.signals))),
        measures="\n".join(map(_entry, probe.measures)),
    )


def card_signals(signals: Iterable[Signal]) -> tuple[Signal, ...]:
    """Return the signals of a catalogue that a new card names."""
    telling = [s for s in signals if not s.name.endswith(UNTOLD) and (s.name.endswith(TOLD) or not _derived(s))]
    return tuple(telling[:CARD_SIGNALS])


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


def check_free(path: Path) -> None:
    """Make sure that a card can be written to a path, before time is spent on it.

    Raises:
        TaskError: if there is such a file already, or no such folder.
    """
    if path.exists():
        raise TaskError(f"{str(path)!r} exists; choose another file with --out")
    if not path.parent.is_dir():
        raise TaskError(f"there is no folder {str(path.parent)!r} for the card")


def default_path(env: EnvSpec) -> Path:
    """Return where a new card goes unless the user says otherwise.

    >>> default_path(EnvSpec("my_package:MyEnv-v0")).as_posix()
    'myenv.toml'
    """
    name = re.split(r"[:/]", env.env_id)[-1]
    return Path(re.sub(r"\W+", "_", re.sub(r"-v\d+$", "", name)).lower() + ".toml")


def _derived(signal: Signal) -> bool:
    """Tell whether a signal is one of many of its kind, read from a model's element."""
    return bool(re.search(r"(body|joint|site|tendon|sensor|actuator) '", signal.meaning))


def _fitness(probe: Probe) -> tuple[str, str]:
    """Return the environment's own verdict as an expression, and what that is."""
    flags = [measure.name for measure in probe.measures if "success" in measure.name and not measure.shape]
    if flags:
        return f"any({flags[0]})", "Now: whether the environment ever reported success."
    own = next(measure.name for measure in probe.measures if measure.source == "own_reward")
    return (
        f"sum({own})",
        "Now: the environment's own return.",
    )


def _action(probe: Probe) -> str:
    if probe.discrete_actions is not None:
        return f"one of {probe.discrete_actions} choices, numbered from 0. {UNFILLED}: what each does"
    low, high = sorted(set(probe.action_low)), sorted(set(probe.action_high))
    bounds = f"in [{low[0]:g}, {high[0]:g}]" if len(low) == len(high) == 1 else "each in bounds of its own"
    return f"{counted(len(probe.action_low), 'number')} {bounds}. {UNFILLED}: what each does"


def _entry(signal: Signal) -> str:
    shape = f"shape = {list(signal.shape)}, " if signal.shape else ""
    fields = f"unit = {_text(signal.unit)}, meaning = {_text(signal.meaning)}"
    return f"{signal.name} = {{ source = {_text(signal.source)}, {shape}{fields} }}"


def _text(text: str) -> str:
    """Return a TOML string."""
    return json.dumps(text, ensure_ascii=False)
