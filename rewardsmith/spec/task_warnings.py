"""What a user should hear about a task before a search begins: an unfilled card, or one that suits the task better."""

from __future__ import annotations

from rewardsmith.spec.task_cards import UNFILLED, Task, cards
from rewardsmith.spec.text_similarity import likenesses

CLEARLY = 0.15
"""By so much another card has to be more like the user's sentence than the chosen one; likeness is in [0, 1]."""


def doubts(task: Task) -> tuple[str, ...]:
    """Return remarks on a task, each in one line; none where nothing looks wrong."""
    return tuple(remark for remark in (unfilled(task), better_card(task)) if remark)


def unfilled(task: Task) -> str | None:
    """Return which lines of its card still are what `rewardsmith envs new` wrote."""
    said = {"text": task.text, "about": task.env_about, "action": task.action}
    keys = [key for key, text in said.items() if UNFILLED in text]
    if not keys:
        return None
    verb = "says" if len(keys) == 1 else "say"
    return f"the card {task.name!r} is not filled in: its {' and '.join(keys)} still {verb} {UNFILLED!r}"


def better_card(task: Task) -> str | None:
    """Return that another card of the environment is nearer to the task's sentence, where its measure is a card's own.

    The measure alone drives a search: a sentence about something else changes no figure.
    """
    family = [card for card in cards() if card.env.env_id == task.env.env_id]
    chosen = next((card for card in family if card.name == task.name and card.fitness == task.fitness), None)
    if chosen is None or task.text == chosen.text:
        return None
    every = {card.name: f"{card.text} {card.name.replace('_', ' ')}" for card in cards()}
    likeness = dict(zip(every, likenesses(task.text, list(every.values())), strict=True))
    best = max(family, key=lambda card: likeness[card.name])
    if likeness[best.name] < likeness[chosen.name] + CLEARLY:
        return None
    return (
        f"what is measured is the card's {chosen.text!r}; {task.text!r} sounds more like {best.text!r}: "
        f"--env {best.name} measures that, --fitness 'EXPRESSION' anything else"
    )
