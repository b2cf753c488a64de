"""Structured answers: JSON that a model writes, found in its answer leniently and checked strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rewardsmith.contract.errors import ModelRefused
from rewardsmith.llm import prompts
from rewardsmith.llm.messages import Completion, LanguageModel, Message, Picture
from rewardsmith.llm.thoughts import Span, split_thoughts

MAX_CHARS = 100_000
"""Characters of an answer in which JSON is looked for."""
MAX_TRIES = 500
"""Opening braces at which JSON is tried."""
_LINE_OBJECT = re.compile(r"^[ \t]*(?=\{)", re.MULTILINE)
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")


class AnswerForm(BaseModel):
    """Base of the forms that a model fills in: further keys are ignored, values are not coerced."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


F = TypeVar("F", bound=AnswerForm)


def request_form(
    model: LanguageModel,
    system: str,
    question: str,
    form: type[F],
    *,
    role: str,
    sample: int,
    pictures: Sequence[Picture] = (),
    check: Callable[[F], str | None] = lambda _: None,
) -> F:
    """Ask a model to fill in a form; if its answer does not fit the form, say so and ask once more.

    Args:
        model: the model to ask.
        system: the system's message.
        question: the user's message, which describes the form.
        form: what is wanted.
        role: who asks, for the ledger.
        sample: index of the sample.
        pictures: after the question.
        check: says what is wrong with a form beside its types; None where nothing is.

    Raises:
        ModelRefused: if the model declines, or does not fill the form in when asked again either.
        ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
        BudgetExhausted: if a call might pass a limit.
        RunError: if an answer could not be recorded.
    """
    messages = [Message("system", system), Message("user", question, tuple(pictures))]
    completion = model.complete(messages, role=role, sample=sample)
    filled = _parse_form(completion, form, check)
    if isinstance(filled, str):
        request = prompts.render_prompt("form/again", problem=filled, cut_off=completion.finish == "length")
        answer = completion.text[:MAX_CHARS] if completion.text.strip() else "(no text)"
        messages = [*messages, Message("assistant", answer), Message("user", request)]
        completion = model.complete(messages, role=role, sample=sample)
        filled = _parse_form(completion, form, check)
    if isinstance(filled, str):
        raise ModelRefused(f"the model {model.name!r} gave no usable answer as the {role}, asked twice: {filled}")
    return filled


def find_json_objects(text: str, *, cut_off: bool = False) -> list[dict[str, Any]]:
    r"""Find the JSON objects in a text, the outermost ones in their order; those in thoughts do not count.

    >>> find_json_objects('Well: ```json\n{"a": [1, 2,],}\n``` and {no}')
    [{'a': [1, 2]}]

    Args:
        text: a model's answer.
        cut_off: whether it ended because it reached the limit of its length. If it did not, the objects of a thought
            that was never closed count where the text has no others.
    """
    split = split_thoughts(text, _find_line_objects(text))
    return _find_objects(split.answer) or ([] if cut_off else _find_objects(split.open_thought))


def _find_objects(text: str) -> list[dict[str, Any]]:
    text = text[:MAX_CHARS]
    return _scan_objects(text) or _scan_objects(_TRAILING_COMMA.sub("", text))


def _find_line_objects(text: str) -> list[Span]:
    """Find the objects that begin a line; a thought mark inside their text does not count as a mark."""
    spans: list[Span] = []
    decoder, end = json.JSONDecoder(), 0
    for tries, start in enumerate(match.end() for match in _LINE_OBJECT.finditer(text)):
        if tries >= MAX_TRIES:
            break
        if start < end:
            continue
        try:
            _, end = decoder.raw_decode(text, start)
            spans.append((start, end))
        except (ValueError, RecursionError):
            continue
    return spans


def _scan_objects(text: str) -> list[dict[str, Any]]:
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


def _parse_form(completion: Completion, form: type[F], check: Callable[[F], str | None]) -> F | str:
    """Return the last valid form in an answer, or a problem: what `check` finds comes before faults of types."""
    found = find_json_objects(completion.text, cut_off=completion.finish == "length")
    if not found:
        return "your answer holds no JSON object" if completion.finish != "length" else "your answer was cut off"
    problem = ""
    for value in reversed(found):
        try:
            filled = form.model_validate_json(json.dumps(value))
        except RecursionError:
            problem = problem or "the object is nested too deep"
            continue
        except ValidationError as error:
            problem = problem or _first_problem(error)
            continue
        wrong = check(filled)
        if wrong is None:
            return filled
        problem = wrong
    return problem


def _first_problem(error: ValidationError) -> str:
    """Return one line for the first of pydantic's complaints."""
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"]) or "the object"
    more = f", and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    return prompts.to_one_line(f"{place}: {detail['msg'][0].lower()}{detail['msg'][1:]}{more}")
