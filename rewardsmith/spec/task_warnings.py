"""Warnings shown before a search starts: unfilled card fields, a sentence that states another card's task."""

from __future__ import annotations

import re

from rewardsmith.spec.task_cards import UNFILLED, Task, load_cards
from rewardsmith.spec.text_similarity import split_words

_NEGATION = re.compile(r"\b(not|no|never|without|instead|avoid)\b|n't\b", re.IGNORECASE)
"""A sentence with one of these may name a task in order to exclude it."""


def task_warnings(task: Task) -> tuple[str, ...]:
    """Return warnings about a task, each in one line; none where nothing looks wrong."""
    warnings = (unfilled_card_warning(task), matching_card_warning(task), foreign_settings_warning(task))
    return tuple(warning for warning in warnings if warning)


def foreign_settings_warning(task: Task) -> str | None:
    """Return which settings of a training come from a card whose sentence and fitness are not the task's."""
    card = next((card for card in load_cards() if card.name == task.name), None)
    settings = task.settings.get("training", {})
    if card is None or not settings or card.text == task.text or card.fitness == task.fitness:
        return None
    listed = ", ".join(f"training.{key} = {value}" for key, value in settings.items())
    return (
        f"the card {card.name!r} brings {listed}, chosen for its own sentence and fitness; --set training.KEY=VALUE "
        "changes a setting, as in --set training.gamma=0.99"
    )


def unfilled_card_warning(task: Task) -> str | None:
    """Return which lines of its card still are what `rewardsmith envs new` wrote."""
    texts = {"text": task.text, "about": task.env_about, "action": task.action}
    unfilled = [key for key, text in texts.items() if UNFILLED in text]
    if not unfilled:
        return None
    verb = "says" if len(unfilled) == 1 else "say"
    return f"the card {task.name!r} is not filled in: its {' and '.join(unfilled)} still {verb} {UNFILLED!r}"


def matching_card_warning(task: Task) -> str | None:
    """Return that the task's sentence states another card of its environment, whose fitness would measure it.

    The fitness alone drives a search, so a sentence about another task changes nothing that is measured. A card is
    stated where all words of its name, or all of its sentence, stand in the task's sentence: a shared word is not
    enough.
    """
    # A fitness of the user's own measures what the user says.
    cards_of_env = [card for card in load_cards() if card.env.env_id == task.env.env_id]
    chosen = next((card for card in cards_of_env if card.name == task.name and card.fitness == task.fitness), None)
    if chosen is None or task.text == chosen.text or _NEGATION.search(task.text):
        return None

    sentence = frozenset(split_words(task.text))
    if _states_card(sentence, chosen):
        return None
    stated = next((card for card in cards_of_env if card is not chosen and _states_card(sentence, card)), None)
    if stated is None:
        return None
    return (
        f"the fitness is that of the card {chosen.name!r} ({chosen.text!r}), and the sentence states {stated.name!r}: "
        f"--env {stated.name} measures that, --fitness 'EXPRESSION' anything else"
    )


def _states_card(sentence: frozenset[str], card: Task) -> bool:
    """Tell whether a sentence's words hold the words that a card's name adds to its environment, or the card's text."""
    environment = frozenset(split_words(card.env.env_id))
    name = frozenset(split_words(card.name.replace("_", " "))) - environment
    return bool(name and name <= sentence) or frozenset(split_words(card.text)) <= sentence
