"""Answers in a form: JSON that a model writes, taken out of its answer leniently and checked strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rewardsmith.contract.errors import ModelRefused
from rewardsmith.llm import prompts
from rewardsmith.llm.messages import Completion, LanguageModel, Message

MAX_CHARS = 100_000
"""Of an answer; beyond it nothing is looked for."""
MAX_TRIES = 500
"""Opening braces that are looked at."""
_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")


class Form(BaseModel):
    """Base of what a model fills in: further keys are passed over, values are not coerced."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


F = TypeVar("F", bound=Form)


def ask(
    model: LanguageModel,
    messages: Sequence[Message],
    form: type[F],
    *,
    role: str,
    sample: int,
    check: Callable[[F], str | None] = lambda _: None,
) -> F:
    """Return the form that a model fills in; where its answer is none, say so and ask once more.

    Args:
        model: whom to ask.
        messages: the conversation; its last message describes the form.
        form: what is wanted.
        role: who asks, for the ledger.
        sample: index of the sample.
        check: says what is wrong with a form beside its types; None where nothing is.

    Raises:
        ModelRefused: if the model declines, or does not fill the form in when asked again either.
        ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
        BudgetExhausted: if a call might pass a limit.
        RunError: if an answer could not be recorded.
    """
    completion = model.complete(messages, role=role, sample=sample)
    found = _filled(completion, form, check)
    if isinstance(found, str):
        told = prompts.render("form/again", problem=found, cut_off=completion.finish == "length")
        answer = completion.text[:MAX_CHARS] if completion.text.strip() else "(no text)"
        messages = [*messages, Message("assistant", answer), Message("user", told)]
        completion = model.complete(messages, role=role, sample=sample)
        found = _filled(completion, form, check)
    if isinstance(found, str):
        raise ModelRefused(f"the model {model.name!r} gave no usable answer as the {role}, asked twice: {found}")
    return found


def objects(text: str) -> list[dict[str, Any]]:
    r"""Return the JSON objects that stand in a text, the outermost ones in their order.

    >>> objects('Well: ```json\n{"a": [1, 2,],}\n``` and {no}')
    [{'a': [1, 2]}]
    """
    text = _THOUGHT.sub("", text[:MAX_CHARS])
    return _scan(text) or _scan(_TRAILING_COMMA.sub("", text))


def _scan(text: str) -> list[dict[str, Any]]:
    found, at, decoder = [], text.find("{"), json.JSONDecoder()
    for _ in range(MAX_TRIES):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
            found.append(value)
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return found


def _filled(completion: Completion, form: type[F], check: Callable[[F], str | None]) -> F | str:
    """Return the form in an answer, the last that is one; else what is wrong with the last object."""
    found = objects(completion.text)
    if not found:
        return "your answer holds no JSON object" if completion.finish != "length" else "your answer was cut off"
    problem = ""
    for value in reversed(found):
        try:
            filled = form.model_validate_json(json.dumps(value))
        except ValidationError as error:
            problem = problem or _complaint(error)
            continue
        wrong = check(filled)
        if wrong is None:
            return filled
        problem = wrong
    return problem


def _complaint(error: ValidationError) -> str:
    """Return one line for the first of pydantic's complaints."""
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"]) or "the object"
    more = f", and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    return prompts.one_line(f"{place}: {detail['msg'][0].lower()}{detail['msg'][1:]}{more}")
