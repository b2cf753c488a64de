"""Tasks that a search is for. A card describes one; a registered Gymnasium id without a card works with a fitness.

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

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rewardsmith.contract.errors import FitnessError, TaskError
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.contract.records import BehaviourDescriptor, EnvSpec, EnvWrapper, LearnedSignal, Metric, Scalar, Signal
from rewardsmith.contract.records.behaviour import DEFAULT_BINS
from rewardsmith.spec import toml_files
from rewardsmith.spec.env_options import EnvOptions, check_import_name, check_kwargs, check_pass_env
from rewardsmith.spec.learned_signals import add_learned_signals, make_learned_signal
from rewardsmith.spec.robots import make_robot_env, names_robot

Setting = Scalar | tuple[Scalar, ...]
_WITH_PROVIDER = "signals with a provider"
"""Key of the learned signals in a card as it is validated; no file has it."""

UNFILLED = "FILL IN"
"""What `rewardsmith envs new` writes where the author of a card has to say something."""

WITHOUT_REWARD: Mapping[str, Setting] = {"baseline": False}
"""Search settings of a robot's tasks: its environment pays nothing on which a baseline could be trained."""

_ENV_ID = re.compile(r"(?:[\w.]+:)?(?:[\w.-]+/)?[\w.-]+-v\d+|[\w.]+:(?!//)[\w./-]+")
"""What may be registered with Gymnasium: a name with a version, or any name of a given package."""

OLD_SECTIONS: Mapping[str, str] = {"measures": "privileged_signals", "figures": "metrics"}
"""Sections of a card as earlier versions called them, to their names now."""


def current_policy(policy: str) -> str:
    """Return the name of an anchor's policy; the spelling of earlier versions is translated.

    >>> current_policy("own-reward"), current_policy("random")
    ('environment-reward', 'random')
    """
    return "environment-reward" if policy == "own-reward" else policy


AnchorPolicy = Annotated[Literal["random", "environment-reward", "reference"], BeforeValidator(current_policy)]


@dataclass(frozen=True)
class Anchor:
    """A measured fitness to compare with."""

    policy: AnchorPolicy
    """environment-reward: trained on the environment's own reward. reference: on a program that people wrote."""
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
class Stage:
    """A stage of a curriculum: a search whose best policy the next stage begins with."""

    text: str
    """What the agent should do in it, in a sentence."""
    fitness: str
    """Expression over the episode's signals."""
    env_steps: int
    """Environment steps of each of its trainings."""


@dataclass(frozen=True)
class Task:
    """A task: a sentence, an environment and a fitness."""

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
    metrics: tuple[Metric, ...] = ()
    """Reported next to the fitness in every evaluation; nothing is selected by them."""
    stages: tuple[Stage, ...] = ()
    """The stages before the task, which is the last one; none for most tasks."""
    behaviour: tuple[BehaviourDescriptor, ...] = ()
    """What tells behaviours apart: measured as the metrics are, and the axes of the archive. None for most tasks."""

    @classmethod
    def load(cls, env: str, text: str | None = None, fitness: str | None = None) -> Task:
        """Return the task for an environment; see `load_task`.

        >>> Task.load("Pendulum-v1").fitness
        'mean(cos_angle)'
        """
        return load_task(text, env, fitness)

    @property
    def metric_expressions(self) -> dict[str, str]:
        """The expressions of the metrics and of the behaviour descriptors, by name."""
        metrics = {metric.name: metric.expression for metric in self.metrics}
        return metrics | {descriptor.name: descriptor.expression for descriptor in self.behaviour}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _SignalEntry(_Model):
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


class _WrapperEntry(_Model):
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


class _Card(_Model):
    env_id: str = ""
    text: str
    about: str
    action: str
    fitness: str
    signals: dict[str, _SignalEntry]
    privileged_signals: dict[str, _SignalEntry] = {}
    metrics: dict[str, _MetricEntry] = {}
    behaviour: dict[str, _BehaviourEntry] = {}
    kwargs: dict[str, Any] = {}
    pass_env: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    wrappers: tuple[str | _WrapperEntry, ...] = ()
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
    def _part_learned_signals(cls, document: Any) -> Any:
        """Move the entries of [signals] that name a provider into a field of their own."""
        signals = document.get("signals") if isinstance(document, dict) else None
        if not isinstance(signals, dict):
            return document
        learned = {name: entry for name, entry in signals.items() if isinstance(entry, dict) and "provider" in entry}
        simulated = {name: entry for name, entry in signals.items() if name not in learned}
        return {**document, "signals": simulated, _WITH_PROVIDER: learned}


def load_task(text: str | None, env: str, fitness: str | None = None) -> Task:
    """Return the task for an environment.

    Args:
        text: what the agent should do; None takes the card's sentence.
        env: a task's name, the id of a Gymnasium environment, or the path of a card (`*.toml`).
        fitness: an expression over the episode's signals; None takes the card's.

    Raises:
        TaskError: if nothing of that name can exist, or there is no card to take a sentence or a fitness from.
        FitnessError: if the fitness expression does not parse, or gives no number.
    """
    from rewardsmith.contract.fitness import Fitness

    card = _find_card(env)
    task = _make_task_without_card(text, env, fitness) if card is None else _adjust_card(card, text, fitness)
    parsed = Fitness.parse(task.fitness)

    # Where the card lists every signal that it reads, an expression that gives no number is found before any training.
    listed = (*task.env.signals, *task.env.list_learned(), *task.env.privileged_signals)
    if set(parsed.names) <= {signal.name for signal in listed}:
        parsed.try_on(listed)
    return task


def adjust_environment(task: Task, options: EnvOptions) -> Task:
    """Return the task in the environment with these options; anchors of another environment are dropped."""
    spec = options.apply(task.env)
    return replace(task, env=spec, anchors=task.anchors if spec.kwargs == task.env.kwargs else ())


def find_env(env: str) -> tuple[EnvSpec, Task | None]:
    """Return the environment that a user names, and its card where it has one.

    Args:
        env: as `load_task` takes it.

    Raises:
        TaskError: if nothing of that name can exist, or a card's file is wrong.
    """
    card = _find_card(env)
    if card is None and names_robot(env):
        return make_robot_env(env, {}, Path.cwd(), env), None
    if card is None and not _ENV_ID.fullmatch(env):
        raise _unknown_task_error(env)
    return (EnvSpec(env), None) if card is None else (card.env, card)


def find_card_file(env: str) -> Path | None:
    """Return the file of the card that a user names as `load_task` takes it; None if there is no such card.

    Raises:
        TaskError: if a card's file is wrong.
    """
    card = _find_card(env)
    if card is None or env.endswith(".toml"):
        return Path(env) if card else None
    return next(path for path in find_data_folder("envs").glob("*/*.toml") if path.stem == card.name)


def describe_unnamed_signals(signals: Iterable[Signal]) -> str | None:
    """Return a remark on an environment in which nothing has a name but the observation as a whole; else None."""
    listed = list(signals)
    if not listed:
        return (
            "this environment has no signals: its observation is an image, and its info holds no numbers; a program"
            " sees the action alone; wrap the environment so that its `info` holds what a reward needs"
        )
    if [signal.name for signal in listed] != ["obs"]:
        return None
    return (
        f"nothing in this environment has a name: programs see the observation alone, `obs`, {listed[0].shape[0]}"
        " numbers; a task card can name its parts (`rewardsmith envs new ID`)"
    )


@cache
def load_cards() -> tuple[Task, ...]:
    """Return the tasks that come with a card, by name.

    Raises:
        TaskError: if a card is malformed.
    """
    return tuple(task for _, task in _load_shipped_cards())


def load_card(path: Path) -> Task:
    """Read a card.

    Raises:
        TaskError: if it cannot be read, or a key or a value is wrong: names the file, the line and the nearest key.
    """
    card = _read_card(path)
    _check_names(path, card)
    _check_metrics(path, card)
    _check_stages(path, card)
    behaviour = _make_descriptors(path, card)

    base = _make_base_env(path, card)
    env = replace(
        base,
        signals=_make_signals(card.signals),
        max_episode_steps=card.max_episode_steps or base.max_episode_steps,
        privileged_signals=_make_signals(card.privileged_signals),
        pass_env=check_pass_env(card.pass_env, str(path)),
        imports=tuple(check_import_name(name, str(path), "imports") for name in card.imports),
        wrappers=tuple(_make_wrapper(path, entry) for entry in card.wrappers),
    )
    env = add_learned_signals(env, _make_learned_signals(path, card), str(path))
    sections: dict[str, dict[str, Any]] = {
        name: dict(getattr(card, name)) for name in ("training", "search", "evaluation")
    }
    if card.robot is not None:
        sections["search"] = {**WITHOUT_REWARD, **sections["search"]}
    return Task(
        name=path.stem,
        text=card.text,
        env=env,
        env_about=card.about.strip(),
        action=card.action.strip(),
        fitness=card.fitness,
        settings={name: section for name, section in sections.items() if section},
        stages=tuple(Stage(entry.text, entry.fitness, entry.env_steps) for entry in card.stages),
        anchors=tuple(Anchor(**entry.model_dump()) for entry in card.anchors),
        metrics=tuple(Metric(name, **entry.model_dump()) for name, entry in card.metrics.items()),
        behaviour=behaviour,
    )


def _make_base_env(path: Path, card: _Card) -> EnvSpec:
    """Return the environment of a card without its signals: one that is registered, or one of a robot."""
    if not card.env_id and card.robot is None:
        raise TaskError(f"{path}: the key 'env_id' is missing; a robot's card has model under [robot] in its place")
    if card.env_id and card.robot is not None:
        raise TaskError(f"{path}: env_id names an environment, and [robot] another; keep one of the two")
    if card.robot is None:
        if card.randomisation:
            raise TaskError(f"{path}: [randomisation] is for robots from a model file; this card has env_id")
        return EnvSpec(card.env_id, check_kwargs(card.kwargs, str(path)))
    if card.kwargs:
        raise TaskError(f"{path}: the options of a robot stand under [robot], not in kwargs")
    options = check_kwargs(card.robot.model_extra or {}, str(path))
    if card.randomisation:
        options["randomisation"] = check_kwargs(card.randomisation, str(path))
    return make_robot_env(card.robot.model, options, path.parent, str(path))


def _read_card(path: Path) -> _Card:
    """Read a card's file into its model; nothing is checked across its entries."""
    entries: dict[str, type[BaseModel]] = {
        "signals": _SignalEntry,
        "privileged_signals": _SignalEntry,
        "metrics": _MetricEntry,
        "behaviour": _BehaviourEntry,
        "stages": _StageEntry,
        "anchors": _AnchorEntry,
    }
    return toml_files.load_validated_toml(path, "task card", _Card, TaskError, entries, OLD_SECTIONS)


def _make_wrapper(path: Path, entry: str | _WrapperEntry) -> EnvWrapper:
    given = _WrapperEntry(name=entry) if isinstance(entry, str) else entry
    name = check_import_name(given.name, str(path), "wrappers")
    return EnvWrapper(name, check_kwargs(given.kwargs, f"{path}: wrapper {name}"))


def _make_signals(entries: Mapping[str, _SignalEntry]) -> tuple[Signal, ...]:
    from rewardsmith.contract.signal_source import current_name

    return tuple(
        Signal(current_name(name), entry.shape, entry.unit, entry.meaning, entry.source)
        for name, entry in entries.items()
    )


def _make_learned_signals(path: Path, card: _Card) -> tuple[LearnedSignal, ...]:
    if not card.learned_signals:
        return ()
    text = path.read_text(encoding="utf-8")
    return tuple(
        make_learned_signal(name, entry, toml_files.locate_key(path, text, ("signals", name)), path.parent)
        for name, entry in card.learned_signals.items()
    )


def _check_names(path: Path, card: _Card) -> None:
    """Refuse names that no program can say, and signals that tell what no program may know."""
    from rewardsmith.contract.signal_source import find_privileged_field

    for name in (*card.signals, *card.privileged_signals):
        if not name.isidentifier():
            raise TaskError(f"{path}: signal {name!r} is no valid Python name")
    for name, entry in card.signals.items():
        field_read = find_privileged_field(entry.source)
        if field_read:
            raise TaskError(
                f"{path}: signal {name!r} reads {field_read}, which no program may know; move it to"
                " [privileged_signals]"
            )
        if name in card.privileged_signals:
            raise TaskError(
                f"{path}: {name!r} stands in [signals] and in [privileged_signals]; keep one: a program reads the"
                " first, the fitness reads both"
            )


def _check_metrics(path: Path, card: _Card) -> None:
    """Refuse metrics without a usable name, and expressions that do not parse; the line is named."""
    if not card.metrics:
        return
    from rewardsmith.contract.fitness import AuxiliaryMetrics

    text = path.read_text(encoding="utf-8")
    for name, entry in card.metrics.items():
        where = toml_files.locate_key(path, text, ("metrics", name))
        if not name.isidentifier() or name == "fitness":
            raise TaskError(f"{where}: a metric cannot be called {name!r}; a name of letters, digits and _ can")
        try:
            AuxiliaryMetrics.parse({name: entry.expression})
        except FitnessError as error:
            raise TaskError(f"{where}: {error}") from error


def _make_descriptors(path: Path, card: _Card) -> tuple[BehaviourDescriptor, ...]:
    """Return the behaviour descriptors of a card; those that can span no archive are refused."""
    if not card.behaviour:
        return ()
    from rewardsmith.spec.behaviour import check_descriptors

    descriptors = tuple(BehaviourDescriptor(name, **entry.model_dump()) for name, entry in card.behaviour.items())
    check_descriptors(descriptors, {name: entry.expression for name, entry in card.metrics.items()}, f"{path}")
    return descriptors


def _check_stages(path: Path, card: _Card) -> None:
    """Refuse stages without a sentence or steps, and fitness expressions that do not parse."""
    from rewardsmith.contract.fitness import Fitness

    for number, stage in enumerate(card.stages, start=1):
        if not stage.text.strip() or stage.env_steps < 1:
            steps = f"env_steps is {stage.env_steps}; 1 or more is allowed"
            raise TaskError(f"{path}: stage {number}: {steps if stage.text.strip() else 'text is empty'}")
        try:
            Fitness.parse(stage.fitness)
        except FitnessError as error:
            raise TaskError(f"{path}: stage {number}: {str(error).partition(chr(10))[0]}") from error


@cache
def _load_shipped_cards() -> tuple[tuple[bool, Task], ...]:
    """Return every card of `envs/` with whether it stands for its environment's id."""
    paths = sorted(find_data_folder("envs").glob("*/*.toml"), key=lambda path: path.stem)
    return tuple((_read_card(path).main, load_card(path)) for path in paths)


def _find_card(env: str) -> Task | None:
    """Return the card of a file, a task's name or an environment's id; None if there is no such card."""
    if env.endswith(".toml"):
        return load_card(Path(env))
    shipped = _load_shipped_cards()
    by_name = [task for _, task in shipped if task.name == env]
    by_id = [task for is_main, task in shipped if is_main and task.env.env_id == env]
    return next(iter(by_name + by_id), None)


def _adjust_card(card: Task, text: str | None, fitness: str | None) -> Task:
    # Anchors were measured with the card's own fitness.
    anchors = card.anchors if fitness is None or fitness == card.fitness else ()
    return replace(card, text=text or card.text, fitness=fitness or card.fitness, anchors=anchors)


def _make_task_without_card(text: str | None, env: str, fitness: str | None) -> Task:
    is_robot, hint = names_robot(env), _suggest_tasks(env)
    if not is_robot and not _ENV_ID.fullmatch(env):
        raise _unknown_task_error(env)
    # A model file that is not there, or cannot be read, is the first thing to say.
    robot = make_robot_env(env, {}, Path.cwd(), env) if is_robot else None
    if fitness is None:
        raise TaskError(
            f"{env!r} has no task card{hint}; say how to measure success with --fitness 'EXPRESSION', let the model"
            " propose it with --fitness auto, or choose one of `rewardsmith envs`"
        )
    if text is None:
        raise TaskError(f"{env!r} has no task card{hint}; say in a sentence what the agent should do")
    if robot is not None:
        # What the robot is, its probe says.
        about = f"A robot from its model file {robot.kwargs['model']}, simulated by MuJoCo."
        return Task(robot.env_id, text, robot, about, "", fitness, {"search": dict(WITHOUT_REWARD)})
    about = f"The Gymnasium environment {env}. It has no task card: its signals are read from the environment itself."
    return Task(env, text, EnvSpec(env), about, "", fitness)


def _unknown_task_error(env: str) -> TaskError:
    return TaskError(
        f"there is no task or environment {env!r}{_suggest_tasks(env)}; `rewardsmith envs` lists the tasks"
    )


def _suggest_tasks(env: str) -> str:
    """Return the tasks and ids nearest to a name, in brackets; "" where none is near."""
    names = {name.lower(): name for task in load_cards() for name in (task.name, task.env.env_id)}
    near = difflib.get_close_matches(env.lower(), names, n=3, cutoff=0.5)
    return f" (near it: {', '.join(names[name] for name in near)})" if near else ""
