"""Tasks that a search is for. A card describes one; a registered Gymnasium id without a card works with a fitness."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.contract.records import BehaviourDescriptor, EnvSpec, EnvWrapper, LearnedSignal, Metric, Signal
from rewardsmith.spec import toml_files
from rewardsmith.spec.card_checks import (
    CardFaults,
    check_card,
    check_card_fitness,
    check_not_constant,
    check_sentence,
)
from rewardsmith.spec.card_format import AnchorPolicy, CardFile, Setting, SignalEntry, WrapperEntry, read_card_file
from rewardsmith.spec.env_options import EnvOptions, check_import_name, check_kwargs, check_pass_env
from rewardsmith.spec.learned_signals import add_learned_signals, make_learned_signal
from rewardsmith.spec.robots import make_robot_env, names_robot

UNFILLED = "FILL IN"
"""What `rewardsmith envs new` writes where the author of a card has to say something."""

WITHOUT_REWARD: Mapping[str, Setting] = {"baseline": False}
"""Search settings of a robot's tasks: its environment pays nothing on which a baseline could be trained."""

_ENV_ID = re.compile(r"(?:[\w.]+:)?(?:[\w.-]+/)?[\w.-]+-v\d+|[\w.]+:(?!//)[\w./-]+")
"""What may be registered with Gymnasium: a name with a version, or any name of a given package."""


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
    """Name of its card; the environment's id where it has none."""
    text: str
    """What the agent should do, in a sentence; empty where nobody said it and no language model is asked."""
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
    """Axes of the archive of behaviours, measured as the metrics are; none for most tasks."""
    title: str = ""
    """Heading where the task is not a search's, such as "train reward.py"; no language model is told it."""

    @classmethod
    def load(cls, env: str, text: str | None = None, fitness: str | None = None) -> Task:
        """Return the task for an environment; see `load_task`.

        >>> Task.load("Pendulum-v1").fitness
        'mean(cos_angle)'
        """
        return load_task(text, env, fitness)

    @property
    def heading(self) -> str:
        """Line that people read over what belongs to the task: the title, else the sentence."""
        return self.title or self.text

    @property
    def metric_expressions(self) -> dict[str, str]:
        """The expressions of the metrics and of the behaviour descriptors, by name."""
        metrics = {metric.name: metric.expression for metric in self.metrics}
        return metrics | {descriptor.name: descriptor.expression for descriptor in self.behaviour}


def load_task(text: str | None, env: str, fitness: str | None = None, *, needs_text: bool = True) -> Task:
    """Return the task for an environment.

    Args:
        text: what the agent should do; None takes the card's sentence.
        env: a task's name, the id of a Gymnasium environment, or the path of a card (`*.toml`).
        fitness: an expression over the episode's signals; None takes the card's.
        needs_text: whether there has to be a sentence; else it is empty where neither text nor a card gives one.

    Raises:
        TaskError: if nothing of that name can exist, there is no card to take a sentence or a fitness from, or the
            sentence is empty or too long.
        FitnessError: if the fitness expression does not parse, gives no number, or the same one for every episode.
    """
    from rewardsmith.contract.fitness import Fitness

    card = _find_card(env)
    if text is not None:
        check_sentence(text)
    if card is None:
        task = _make_task_without_card("" if text is None and not needs_text else text, env, fitness)
    else:
        task = _adjust_card(card, text, fitness)
    parsed = Fitness.parse(task.fitness)
    check_not_constant(parsed)

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


def is_made_as_shipped(env: EnvSpec) -> bool:
    """Return whether an environment is made as that of a card that comes with rewardsmith, with the same code."""
    how = ("env_id", "kwargs", "imports", "wrappers", "modules")
    return any(all(getattr(env, name) == getattr(card.env, name) for name in how) for card in load_cards())


def load_card(path: Path) -> Task:
    """Read a card.

    Raises:
        TaskError: if it cannot be read, or a key or a value is wrong: names the file, the line and the nearest key.
    """
    return _make_task(path, read_card_file(path))


def _make_task(path: Path, card: CardFile) -> Task:
    """Return the task of a card.

    Raises:
        TaskError: if something in it contradicts or cannot be used; all faults are one message.
    """
    faults = CardFaults(path)
    check_card(path, card, faults)
    env = _make_env(path, card, faults)
    behaviour: tuple[BehaviourDescriptor, ...] = ()
    with faults.collect():
        behaviour = _make_descriptors(path, card)
    check_card_fitness(path, card, faults)
    faults.raise_error()

    # A robot's own settings are under those of its card.
    search = card.search if card.robot is None else {**WITHOUT_REWARD, **card.search}
    sections = {"training": card.training, "search": search, "evaluation": card.evaluation}

    return Task(
        name=path.stem,
        text=card.text,
        env=env,
        env_about=card.about.strip(),
        action=card.action.strip(),
        fitness=card.fitness,
        settings={name: section for name, section in sections.items() if section},
        stages=tuple(Stage(**entry.model_dump()) for entry in card.stages),
        anchors=tuple(Anchor(**entry.model_dump()) for entry in card.anchors),
        metrics=tuple(Metric(name, **entry.model_dump()) for name, entry in card.metrics.items()),
        behaviour=behaviour,
    )


def _make_env(path: Path, card: CardFile, faults: CardFaults) -> EnvSpec:
    """Return the environment of a card with the signals that the card names; what is wrong is left out, and a fault."""
    env = EnvSpec(card.env_id)
    with faults.collect():
        env = _make_base_env(path, card)
    with faults.collect():
        env = replace(env, pass_env=check_pass_env(card.pass_env, str(path)))
    with faults.collect():
        env = replace(env, imports=tuple(check_import_name(name, str(path), "imports") for name in card.imports))
    with faults.collect():
        env = replace(env, wrappers=tuple(_make_wrapper(path, entry) for entry in card.wrappers))
    env = replace(
        env,
        signals=_make_signals(card.signals),
        privileged_signals=_make_signals(card.privileged_signals),
        max_episode_steps=card.max_episode_steps or env.max_episode_steps,
    )
    with faults.collect():
        env = add_learned_signals(env, _make_learned_signals(path, card, faults), str(path))
    return env


def _make_base_env(path: Path, card: CardFile) -> EnvSpec:
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


def _make_wrapper(path: Path, entry: str | WrapperEntry) -> EnvWrapper:
    given = WrapperEntry(name=entry) if isinstance(entry, str) else entry
    name = check_import_name(given.name, str(path), "wrappers")
    return EnvWrapper(name, check_kwargs(given.kwargs, f"{path}: wrapper {name}"))


def _make_signals(entries: Mapping[str, SignalEntry]) -> tuple[Signal, ...]:
    from rewardsmith.contract.signal_source import current_name

    return tuple(
        Signal(current_name(name), entry.shape, entry.unit, entry.meaning, entry.source)
        for name, entry in entries.items()
    )


def _make_learned_signals(path: Path, card: CardFile, faults: CardFaults) -> list[LearnedSignal]:
    """Return the learned signals of a card; one that is wrong is left out, and a fault."""
    text = path.read_text(encoding="utf-8") if card.learned_signals else ""
    signals = []
    for name, entry in card.learned_signals.items():
        with faults.collect():
            where = toml_files.locate_key(path, text, ("signals", name))
            signals.append(make_learned_signal(name, entry, where, path.parent))
    return signals


def _make_descriptors(path: Path, card: CardFile) -> tuple[BehaviourDescriptor, ...]:
    """Return the behaviour descriptors of a card; those that can span no archive are refused."""
    if not card.behaviour:
        return ()
    from rewardsmith.spec.behaviour import check_descriptors

    descriptors = tuple(BehaviourDescriptor(name, **entry.model_dump()) for name, entry in card.behaviour.items())
    check_descriptors(descriptors, {name: entry.expression for name, entry in card.metrics.items()}, f"{path}")
    return descriptors


@cache
def _load_shipped_cards() -> tuple[tuple[bool, Task], ...]:
    """Return every card of `envs/` with whether it stands for its environment's id."""
    paths = sorted(find_data_folder("envs").glob("*/*.toml"), key=lambda path: path.stem)
    cards = {path: read_card_file(path) for path in paths}
    return tuple((card.main, _make_task(path, card)) for path, card in cards.items())


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
    sentence = card.text if text is None else text
    return replace(card, text=sentence, fitness=card.fitness if fitness is None else fitness, anchors=anchors)


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
