"""Checks of a task card that concern several of its entries: names, metrics, stages."""

from __future__ import annotations

import keyword
import math
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import FitnessError, TaskError
from rewardsmith.spec import toml_files
from rewardsmith.spec.card_format import CardFile

if TYPE_CHECKING:
    from rewardsmith.contract.fitness import Fitness

MAX_SENTENCE_CHARS = 10_000
"""Longest sentence of a task; every prompt holds it."""
MAX_STEPS = 10**12
"""Steps of an episode or of a stage's training, at most; more are a mistake."""
MAX_SIGNAL_NUMBERS = 100_000
"""Numbers of one signal, at most, as of a whole observation."""


def check_card(path: Path, card: CardFile) -> None:
    """Make sure that a card's sentence, time limit, names, metrics and stages can be used.

    Raises:
        TaskError: if one cannot.
    """
    check_sentence(card.text, f"{path}: ")
    if card.max_episode_steps is not None and not 0 < card.max_episode_steps <= MAX_STEPS:
        raise TaskError(
            f"{path}: max_episode_steps = {card.max_episode_steps}; 1 to {MAX_STEPS:,} can be, and without it the"
            " environment's own limit holds"
        )
    _check_names(path, card)
    _check_metrics(path, card)
    _check_stages(path, card)


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


def _check_names(path: Path, card: CardFile) -> None:
    """Refuse names and shapes that no signal can have, and signals that tell what no program may know."""
    from rewardsmith.contract.signal_source import find_privileged_field

    for name, entry in (*card.signals.items(), *card.privileged_signals.items()):
        fault = _find_name_fault(name, entry.source) or _find_shape_fault(entry.shape)
        if fault:
            raise TaskError(f"{path}: signal {name!r} {fault}")
    for name, entry in card.signals.items():
        try:
            field_read = find_privileged_field(entry.source)
        except TaskError as error:
            raise TaskError(f"{path}: signal {name!r}: {error}") from error
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


def _check_metrics(path: Path, card: CardFile) -> None:
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


def _check_stages(path: Path, card: CardFile) -> None:
    """Refuse stages without a sentence or steps, and fitness expressions that do not parse."""
    from rewardsmith.contract.fitness import Fitness

    for number, stage in enumerate(card.stages, start=1):
        if not stage.text.strip() or not 1 <= stage.env_steps <= MAX_STEPS:
            steps = f"env_steps is {stage.env_steps}; 1 to {MAX_STEPS:,} is allowed"
            raise TaskError(f"{path}: stage {number}: {steps if stage.text.strip() else 'text is empty'}")
        try:
            Fitness.parse(stage.fitness)
        except FitnessError as error:
            raise TaskError(f"{path}: stage {number}: {str(error).partition(chr(10))[0]}") from error
