"""Checks of a task card that concern several of its entries: names, metrics, stages. All faults are one message."""

from __future__ import annotations

import keyword
import math
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import FitnessError, TaskError, UserError
from rewardsmith.spec import toml_files
from rewardsmith.spec.card_format import CardFile, add_next_step
from rewardsmith.spec.validation_errors import join_lines

if TYPE_CHECKING:
    from rewardsmith.contract.fitness import Fitness

MAX_SENTENCE_CHARS = 10_000
"""Longest sentence of a task; every prompt holds it."""
MAX_STEPS = 10**12
"""Steps of an episode or of a stage's training, at most; more are a mistake."""
MAX_SIGNAL_NUMBERS = 100_000
"""Numbers of one signal, at most, as of a whole observation."""


class CardFaults:
    """The faults of one card, collected so that its author sees all of them at once."""

    def __init__(self, path: Path) -> None:
        """Begin without faults; `path` is the card's file."""
        self._path = path
        self._lines: list[str] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Take a user error that ends the block as a fault of the card."""
        try:
            yield
        except UserError as error:
            self._lines.append(str(error))

    def add(self, line: str) -> None:
        """Add a fault that is not raised."""
        self._lines.append(line)

    def raise_error(self) -> None:
        """Raise the faults; does nothing where there are none.

        Raises:
            TaskError: with a line for each.
        """
        if self._lines:
            raise TaskError(add_next_step(self._path, join_lines(self._lines)))

    def __bool__(self) -> bool:
        """Return whether there are some."""
        return bool(self._lines)


def check_card(path: Path, card: CardFile, faults: CardFaults) -> None:
    """Check that a card's sentence, time limit, names, metrics and stages can be used; what cannot is a fault."""
    with faults.collect():
        check_sentence(card.text, f"{path}: ")
    if card.max_episode_steps is not None and not 0 < card.max_episode_steps <= MAX_STEPS:
        faults.add(
            f"{path}: max_episode_steps = {card.max_episode_steps}; 1 to {MAX_STEPS:,} can be, and without it the"
            " environment's own limit holds"
        )
    for line in (*_list_name_faults(path, card), *_list_metric_faults(path, card), *_list_stage_faults(path, card)):
        faults.add(line)


def check_card_fitness(path: Path, card: CardFile, faults: CardFaults) -> None:
    """Add a fitness that does not parse to other faults; alone it is none, as the user may give another one."""
    from rewardsmith.contract.fitness import Fitness

    if faults:
        try:
            Fitness.parse(card.fitness)
        except FitnessError as error:
            faults.add(f"{path}: fitness: {error.cause}")


def check_sentence(text: str, where: str = "") -> None:
    """Make sure that a task's sentence says something, and is not a book.

    Raises:
        TaskError: if it does not, or is.
    """
    if not text.strip():
        raise TaskError(f"{where}text is empty; say in a sentence what the agent should do")
    if len(text) > MAX_SENTENCE_CHARS:
        raise TaskError(
            f"{where}text has {len(text):,} characters, at most {MAX_SENTENCE_CHARS:,}; what the environment is goes"
            " into a card's `about`"
        )


def check_not_constant(fitness: Fitness) -> None:
    """Make sure that a fitness can tell one episode from another.

    Raises:
        FitnessError: if it cannot.
    """
    if fitness.is_constant:
        raise FitnessError(
            f"the fitness {fitness.text!r} is the same for every episode; let it read a signal, `length` or `survived`"
        )


def _list_name_faults(path: Path, card: CardFile) -> Iterator[str]:
    """Yield names and shapes that no signal can have, and signals that tell what no program may know."""
    from rewardsmith.contract.signal_source import find_privileged_field

    for name, entry in (*card.signals.items(), *card.privileged_signals.items()):
        fault = _find_name_fault(name, entry.source) or _find_shape_fault(entry.shape)
        if fault:
            yield f"{path}: signal {name!r} {fault}"
    for name, entry in card.signals.items():
        try:
            field_read = find_privileged_field(entry.source)
        except TaskError as error:
            yield f"{path}: signal {name!r}: {error}"
            continue
        if field_read:
            yield (
                f"{path}: signal {name!r} reads {field_read}, which no program may know; move it to"
                " [privileged_signals]"
            )
        if name in card.privileged_signals:
            yield (
                f"{path}: {name!r} stands in [signals] and in [privileged_signals]; keep one: a program reads the"
                " first, the fitness reads both"
            )


def _find_name_fault(name: str, source: str) -> str | None:
    """Return why a program or a fitness cannot say a signal's name; None if they can."""
    from rewardsmith.contract.fitness import RESERVED
    from rewardsmith.contract.signal_source import ENVIRONMENT_REWARD, current_name

    if not name.isidentifier() or keyword.iskeyword(name) or name != unicodedata.normalize("NFKC", name):
        return "is no valid Python name"
    if name.startswith("_"):
        return "begins with _; choose a name that begins with a letter"
    if name in RESERVED or (name == ENVIRONMENT_REWARD and current_name(source) != ENVIRONMENT_REWARD):
        return "has a name that means something else in the fitness; choose another name"
    return None


def _find_shape_fault(shape: tuple[int, ...]) -> str | None:
    """Return why a signal cannot have a shape; None if it can."""
    if any(size < 1 for size in shape) or math.prod(shape) > MAX_SIGNAL_NUMBERS:
        return (
            f"has the shape {list(shape)}; its sizes are at least 1, and their product at most {MAX_SIGNAL_NUMBERS:,}"
        )
    return None


def _list_metric_faults(path: Path, card: CardFile) -> Iterator[str]:
    """Yield metrics without a usable name, and expressions that do not parse, each with its line."""
    if not card.metrics:
        return
    from rewardsmith.contract.fitness import AuxiliaryMetrics

    text = path.read_text(encoding="utf-8")
    for name, entry in card.metrics.items():
        where = toml_files.locate_key(path, text, ("metrics", name))
        if not name.isidentifier() or name == "fitness":
            yield f"{where}: a metric cannot be called {name!r}; a name of letters, digits and _ can"
            continue
        try:
            AuxiliaryMetrics.parse({name: entry.expression})
        except FitnessError as error:
            yield f"{where}: {error.cause}"


def _list_stage_faults(path: Path, card: CardFile) -> Iterator[str]:
    """Yield stages without a sentence or steps, and fitness expressions that do not parse."""
    from rewardsmith.contract.fitness import Fitness

    for number, stage in enumerate(card.stages, start=1):
        if not stage.text.strip():
            yield f"{path}: stage {number}: text is empty"
        if not 1 <= stage.env_steps <= MAX_STEPS:
            yield f"{path}: stage {number}: env_steps is {stage.env_steps}; 1 to {MAX_STEPS:,} is allowed"
        try:
            Fitness.parse(stage.fitness)
        except FitnessError as error:
            yield f"{path}: stage {number}: {error.cause}"
