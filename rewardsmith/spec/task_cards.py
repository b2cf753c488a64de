"""Tasks: what to search for. A card describes one; a registered Gymnasium id without a card works with a fitness.

A card is `envs/<family>/<name>.toml`:

    env_id = "Hopper-v5"            kwargs = { ... }      max_episode_steps = 1000      for `gymnasium.make`
    main = true                     the card that stands for its environment's id, where several share it
    text, about, action, fitness    the task's sentence; what the environment and an action are; the measure
    [signals]                       name = { source, shape, unit, meaning }
    [measures]                      the same, for the fitness alone: no program or prompt gets them (success flags)
    [figures]                       name = { expression, meaning }: measured beside the fitness, never selected by
    [training], [search], [evaluation]    settings that suit the task, as in a configuration file
    [[anchors]]                     measured fitness to compare with, with the versions it was measured with
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rewardsmith.contract.errors import FitnessError, TaskError
from rewardsmith.contract.package_data import folder
from rewardsmith.contract.records import EnvSpec, Figure, Scalar, Signal
from rewardsmith.spec import toml_files

Setting = Scalar | tuple[Scalar, ...]

UNFILLED = "FILL IN"
"""What `rewardsmith envs new` writes where the author of a card has to say something."""

_ENV_ID = re.compile(r"(?:[\w.]+:)?(?:[\w.-]+/)?[\w.-]+-v\d+|[\w.]+:[\w./-]+")
"""What may be registered with Gymnasium: a name with a version, or any name of a given package."""


@dataclass(frozen=True)
class Anchor:
    """A measured fitness to compare with."""

    policy: Literal["random", "own-reward"]
    """own-reward: trained on the environment's own reward."""
    fitness: float
    """Mean over the seeds."""
    std: float | None = None
    """Standard deviation over the seeds."""
    env_steps: int = 0
    """Budget of each training; 0 for the random policy."""
    seeds: int = 1
    """Training seeds; episodes, for the random policy."""
    versions: str = ""
    """What it was measured with."""


@dataclass(frozen=True)
class Task:
    """What to search for: a sentence, an environment and a measure."""

    name: str
    """Of its card; the environment's id where it has none."""
    text: str
    """What the agent should do, in a sentence."""
    env: EnvSpec
    env_about: str
    """What the environment is, in a few lines."""
    action: str
    """What an action is: its shape, bounds and meaning; empty where no card says it."""
    fitness: str
    """Expression over the episode's signals."""
    settings: dict[str, dict[str, Setting]] = field(default_factory=dict)
    """Section to key to value: the layer of configuration that suits the task."""
    anchors: tuple[Anchor, ...] = ()
    figures: tuple[Figure, ...] = ()
    """Measured in every evaluation beside the fitness; nothing is selected by them."""

    @property
    def expressions(self) -> dict[str, str]:
        """The figures' expressions by name."""
        return {figure.name: figure.expression for figure in self.figures}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _SignalEntry(_Model):
    source: str
    unit: str
    meaning: str
    shape: tuple[int, ...] = ()


class _FigureEntry(_Model):
    expression: str
    meaning: str


class _AnchorEntry(_Model):
    policy: Literal["random", "own-reward"]
    fitness: float
    versions: str
    std: float | None = None
    env_steps: int = 0
    seeds: int = 1


class _Card(_Model):
    env_id: str
    text: str
    about: str
    action: str
    fitness: str
    signals: dict[str, _SignalEntry]
    measures: dict[str, _SignalEntry] = {}
    figures: dict[str, _FigureEntry] = {}
    kwargs: dict[str, Scalar] = {}
    max_episode_steps: int | None = None
    main: bool = True
    training: dict[str, Setting] = {}
    search: dict[str, Setting] = {}
    evaluation: dict[str, Setting] = {}
    anchors: tuple[_AnchorEntry, ...] = ()


def load_task(text: str | None, env: str, fitness: str | None = None) -> Task:
    """Return the task for an environment.

    Args:
        text: what the agent should do; None takes the card's sentence.
        env: a task's name, the id of a Gymnasium environment, or the path of a card (`*.toml`).
        fitness: an expression over the episode's signals; None takes the card's.

    Raises:
        TaskError: if nothing of that name can exist, or there is no card to take a sentence or a fitness from.
        FitnessError: if the fitness expression does not parse.
    """
    from rewardsmith.contract.fitness.expression import Fitness

    card = _find(env)
    task = _without_card(text, env, fitness) if card is None else _adjusted(card, text, fitness)
    Fitness.parse(task.fitness)
    return task


def find_env(env: str) -> tuple[EnvSpec, Task | None]:
    """Return the environment that a user names, and its card where it has one.

    Args:
        env: as `load_task` takes it.

    Raises:
        TaskError: if nothing of that name can exist, or a card's file is wrong.
    """
    card = _find(env)
    if card is None and not _ENV_ID.fullmatch(env):
        raise _unknown(env)
    return (EnvSpec(env), None) if card is None else (card.env, card)


def card_file(env: str) -> Path | None:
    """Return the file of the card that a user names as `load_task` takes it; None where there is none.

    Raises:
        TaskError: if a card's file is wrong.
    """
    card = _find(env)
    if card is None or env.endswith(".toml"):
        return Path(env) if card else None
    return next(path for path in folder("envs").glob("*/*.toml") if path.stem == card.name)


def unnamed(signals: Iterable[Signal]) -> str | None:
    """Return a remark on an environment in which nothing has a name but the observation as a whole; else None."""
    known = list(signals)
    if not known:
        return (
            "this environment has no signals: its observation is an image, and its info holds no numbers; a program"
            " sees the action alone; wrap the environment so that its `info` holds what a reward needs"
        )
    if [signal.name for signal in known] != ["obs"]:
        return None
    return (
        f"nothing in this environment has a name: programs see the observation alone, `obs`, {known[0].shape[0]}"
        " numbers; a task card can name its parts (`rewardsmith envs new ID`)"
    )


@cache
def cards() -> tuple[Task, ...]:
    """Return the tasks that come with a card, by name.

    Raises:
        TaskError: if a card is malformed.
    """
    return tuple(task for _, task in _loaded())


def load_card(path: Path) -> Task:
    """Read a card.

    Raises:
        TaskError: if it cannot be read, or a key or a value is wrong: names the file, the line and the nearest key.
    """
    card = _parsed(path)
    _check_names(path, card)
    _check_figures(path, card)
    return Task(
        name=path.stem,
        text=card.text,
        env=EnvSpec(
            card.env_id, dict(card.kwargs), _signals(card.signals), card.max_episode_steps, _signals(card.measures)
        ),
        env_about=card.about.strip(),
        action=card.action.strip(),
        fitness=card.fitness,
        settings={
            key: dict(section) for key in ("training", "search", "evaluation") if (section := getattr(card, key))
        },
        anchors=tuple(Anchor(**entry.model_dump()) for entry in card.anchors),
        figures=tuple(Figure(name, entry.expression, entry.meaning) for name, entry in card.figures.items()),
    )


def _signals(entries: Mapping[str, _SignalEntry]) -> tuple[Signal, ...]:
    return tuple(Signal(name, entry.shape, entry.unit, entry.meaning, entry.source) for name, entry in entries.items())


def _check_names(path: Path, card: _Card) -> None:
    """Refuse names that no program can say, and signals that tell what no program may know."""
    from rewardsmith.contract.signal_source import leak

    for name in (*card.signals, *card.measures):
        if not name.isidentifier():
            raise TaskError(f"{path}: signal {name!r} is no valid Python name")
    for name, entry in card.signals.items():
        told = leak(entry.source)
        if told:
            raise TaskError(f"{path}: signal {name!r} reads {told}, which no program may know; move it to [measures]")
        if name in card.measures:
            raise TaskError(f"{path}: {name!r} is a signal and a measure; a program reads signals, the fitness both")


def _check_figures(path: Path, card: _Card) -> None:
    """Refuse figures without a usable name, and expressions that do not parse; the line is named."""
    if not card.figures:
        return
    from rewardsmith.contract.fitness.metrics import Figures

    text = path.read_text(encoding="utf-8")
    for name, entry in card.figures.items():
        where = toml_files.place(path, text, ("figures", name))
        if not name.isidentifier() or name == "fitness":
            raise TaskError(f"{where}: a figure cannot be called {name!r}; a name of letters, digits and _ can")
        try:
            Figures.parse({name: entry.expression})
        except FitnessError as error:
            raise TaskError(f"{where}: {error}") from error


@cache
def _loaded() -> tuple[tuple[bool, Task], ...]:
    paths = sorted(folder("envs").glob("*/*.toml"), key=lambda path: path.stem)
    return tuple((_parsed(path).main, load_card(path)) for path in paths)


def _find(env: str) -> Task | None:
    if env.endswith(".toml"):
        return load_card(Path(env))
    loaded = _loaded()
    named = [task for _, task in loaded if task.name == env]
    main = [task for is_main, task in loaded if is_main and task.env.env_id == env]
    return next(iter(named + main), None)


def _adjusted(card: Task, text: str | None, fitness: str | None) -> Task:
    # Anchors were measured with the card's own fitness.
    anchors = card.anchors if fitness is None or fitness == card.fitness else ()
    return replace(card, text=text or card.text, fitness=fitness or card.fitness, anchors=anchors)


def _without_card(text: str | None, env: str, fitness: str | None) -> Task:
    hint = _near(env)
    if not _ENV_ID.fullmatch(env):
        raise _unknown(env)
    if fitness is None:
        raise TaskError(
            f"{env!r} has no task card{hint}; say how to measure success with --fitness 'EXPRESSION', or choose one of"
            " `rewardsmith envs`"
        )
    if text is None:
        raise TaskError(f"{env!r} has no task card{hint}; say in a sentence what the agent should do")
    about = f"The Gymnasium environment {env}. It has no task card: its signals are read from the environment itself."
    return Task(env, text, EnvSpec(env), about, "", fitness)


def _unknown(env: str) -> TaskError:
    return TaskError(f"there is no task or environment {env!r}{_near(env)}; `rewardsmith envs` lists the tasks")


def _near(env: str) -> str:
    names = {name.lower(): name for task in cards() for name in (task.name, task.env.env_id)}
    near = difflib.get_close_matches(env.lower(), names, n=3, cutoff=0.5)
    return f" (near it: {', '.join(names[name] for name in near)})" if near else ""


def _parsed(path: Path) -> _Card:
    nested: dict[str, type[BaseModel]] = {"signals": _SignalEntry, "measures": _SignalEntry, "anchors": _AnchorEntry}
    nested["figures"] = _FigureEntry
    return toml_files.load(path, "task card", _Card, TaskError, nested)
