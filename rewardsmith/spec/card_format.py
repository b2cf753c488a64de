"""The file format of task cards.

A card is `envs/<family>/<name>.toml`:

    env_id = "Hopper-v5"            kwargs = { ... }      max_episode_steps = 1000      for `gymnasium.make`
    [robot], [randomisation]        in place of env_id: model = "go1/scene.xml" and options (docs/robots.md)
    pass_env = ["SUMO_HOME"]        environment variables that reach the environment; never a key
    imports = ["pkg:register"]      modules that register the id; a function of one, after a colon, is called
    wrappers = ["pkg.mod:Class", { name = "pkg.mod:Other", kwargs = { ... } }]      around it, the innermost first
    main = true                     the card that stands for its environment's id, where several share it
    text, about, action, fitness    the task's sentence; the environment and an action in words; the expression
    [signals]                       name = { source, shape, unit, meaning }; or name = { provider, ... } for one that no
                                    simulator has (docs/learned-signals.md)
    [privileged_signals]            the same, for the fitness alone: no program or prompt gets them (success flags)
    [metrics]                       name = { expression, meaning }: reported next to the fitness, never selected by;
                                    in_prompts = true lets prompts name it, better = "higher" or "lower" makes the
                                    search remark on a fitness that falls apart from it
    [behaviour]                     name = { expression, low, high, bins }, one or two: for --search map-elites
    [training], [search], [evaluation]    settings that suit the task, as in a configuration file
    [[stages]]                      text, fitness, env_steps: what is learned before the task itself, in this order
    [[anchors]]                     measured fitness to compare with, with the versions it was measured with

Cards of earlier versions call two sections `[measures]` and `[figures]`; both are still read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Scalar
from rewardsmith.contract.records.behaviour import DEFAULT_BINS
from rewardsmith.spec import toml_files

Setting = Scalar | tuple[Scalar, ...]
_WITH_PROVIDER = "signals with a provider"
"""Key of the learned signals in a card as it is validated; no file has it."""

OLD_SECTIONS: Mapping[str, str] = {"measures": "privileged_signals", "figures": "metrics"}
"""Sections of a card as earlier versions called them, to their names now."""


def current_policy(policy: str) -> str:
    """Return the name of an anchor's policy; the spelling of earlier versions is translated.

    >>> current_policy("own-reward"), current_policy("random")
    ('environment-reward', 'random')
    """
    return "environment-reward" if policy == "own-reward" else policy


AnchorPolicy = Annotated[Literal["random", "environment-reward", "reference"], BeforeValidator(current_policy)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SignalEntry(_Model):
    """An entry of [signals] or [privileged_signals]."""

    source: str
    unit: str
    meaning: str
    shape: tuple[int, ...] = ()


class _MetricEntry(_Model):
    expression: str
    meaning: str
    in_prompts: bool = False
    better: Literal["higher", "lower"] | None = None


class _BehaviourEntry(_Model):
    expression: str
    low: float
    high: float
    bins: int = DEFAULT_BINS


class WrapperEntry(_Model):
    """A wrapper with keyword arguments."""

    name: str
    kwargs: dict[str, Any] = {}


class _AnchorEntry(_Model):
    policy: AnchorPolicy
    fitness: float
    versions: str
    std: float | None = None
    env_steps: int = 0
    seeds: int = 1


class _RobotEntry(_Model):
    model: str
    model_config = ConfigDict(extra="allow", frozen=True)


class _StageEntry(_Model):
    text: str
    fitness: str
    env_steps: int


class CardFile(_Model):
    """A card as its file has it."""

    env_id: str = ""
    text: str
    about: str
    action: str
    fitness: str
    signals: dict[str, SignalEntry]
    privileged_signals: dict[str, SignalEntry] = {}
    metrics: dict[str, _MetricEntry] = {}
    behaviour: dict[str, _BehaviourEntry] = {}
    kwargs: dict[str, Any] = {}
    pass_env: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    wrappers: tuple[str | WrapperEntry, ...] = ()
    max_episode_steps: int | None = None
    robot: _RobotEntry | None = None
    randomisation: dict[str, Any] = {}
    main: bool = True
    training: dict[str, Setting] = {}
    search: dict[str, Setting] = {}
    evaluation: dict[str, Setting] = {}
    stages: tuple[_StageEntry, ...] = ()
    anchors: tuple[_AnchorEntry, ...] = ()
    learned_signals: dict[str, dict[str, Any]] = Field(default={}, alias="signals with a provider")

    @model_validator(mode="before")
    @classmethod
    def _separate_learned_signals(cls, document: Any) -> Any:
        """Move the entries of [signals] that name a provider into a field of their own."""
        signals = document.get("signals") if isinstance(document, dict) else None
        if not isinstance(signals, dict):
            return document
        learned = {name: entry for name, entry in signals.items() if isinstance(entry, dict) and "provider" in entry}
        simulated = {name: entry for name, entry in signals.items() if name not in learned}
        return {**document, "signals": simulated, _WITH_PROVIDER: learned}


def add_next_step(path: Path, message: str) -> str:
    """Return what is wrong with a card, with the next step where it is more than one line."""
    return f"{message}\nmend the card, and `rewardsmith envs {path}` shows it" if "\n" in message else message


def read_card_file(path: Path) -> CardFile:
    """Read a card's file; nothing is checked across its entries.

    Raises:
        TaskError: if it cannot be read, or a key or a value is wrong: names the file, the line and the nearest key.
    """
    entries: dict[str, type[BaseModel]] = {
        "signals": SignalEntry,
        "privileged_signals": SignalEntry,
        "metrics": _MetricEntry,
        "behaviour": _BehaviourEntry,
        "stages": _StageEntry,
        "wrappers": WrapperEntry,
        "anchors": _AnchorEntry,
    }
    try:
        return toml_files.load_validated_toml(path, "task card", CardFile, TaskError, entries, OLD_SECTIONS)
    except TaskError as error:
        raise TaskError(add_next_step(path, str(error))) from error
