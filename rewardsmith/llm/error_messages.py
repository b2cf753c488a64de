"""Turns a failed call into one clear line: what failed, where, and the next step. Never shows the key."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import ModelError, ModelRejected, ModelUnavailable
from rewardsmith.contract.text import counted
from rewardsmith.llm.endpoint import NO_MODEL_NEEDED, URL_VARIABLE, shown_address
from rewardsmith.llm.prompts import one_line

if TYPE_CHECKING:
    from rewardsmith.spec.settings import ModelSettings


@dataclass(frozen=True)
class Refusal:
    """An endpoint's answer other than success."""

    status: int
    code: str | None
    words: str
    """What it said, one line, without the key."""


def unreachable(settings: ModelSettings, cause: str) -> ModelUnavailable:
    """Return the error for an endpoint to which no connection can be made."""
    return ModelUnavailable(
        f"cannot reach the language model at {shown_address(settings)}: {cause}; start it or correct {URL_VARIABLE}; "
        f"{NO_MODEL_NEEDED}"
    )


def silent(settings: ModelSettings, attempts: int) -> ModelUnavailable:
    """Return the error for an endpoint that takes the request and does not answer in time."""
    return ModelUnavailable(
        f"the language model at {shown_address(settings)} gave no answer within {settings.timeout_s:g} s in "
        f"{counted(attempts, 'attempt')}; raise llm.timeout_s or look at the endpoint"
    )


def malformed(settings: ModelSettings, what: str) -> ModelRejected:
    """Return the error for a success that is no chat completion."""
    return ModelRejected(
        f"{shown_address(settings)} answered something other than a chat completion: {what}; check that {URL_VARIABLE} "
        "names an OpenAI-compatible endpoint, usually ending in /v1"
    )


def refused(settings: ModelSettings, refusal: Refusal, attempts: int, known_models: Sequence[str] = ()) -> ModelError:
    """Return the error for a refusal of the endpoint.

    Args:
        settings: what was asked, and where.
        refusal: its status and words.
        attempts: how many times it was asked.
        known_models: the models that the endpoint lists, where that is known.
    """
    where = f"{shown_address(settings)} (status {refusal.status})"
    said = f": {refusal.words}" if refusal.words else ""
    if refusal.status in (401, 403):
        return ModelRejected(f"the API key was refused by {where}; check {settings.key_variable}; {NO_MODEL_NEEDED}")
    if refusal.status == 402 or refusal.code in ("insufficient_quota", "billing_not_active"):
        return ModelRejected(
            f"the account behind the key has no credit left at {where}{said}; add some, or take another key"
        )
    if refusal.status == 404:
        return _not_found(settings, where + said, known_models)
    if refusal.status == 429:
        return ModelUnavailable(
            f"rate limit of {where} after {counted(attempts, 'attempt')}{said}; wait, or ask for fewer programs at "
            "once with --population"
        )
    if refusal.status >= 500 or refusal.status in (408, 409):
        return ModelUnavailable(
            f"no answer from {where} after {counted(attempts, 'attempt')}{said}; look at the endpoint, or wait"
        )
    return ModelRejected(f"the request was refused by {where}{said}; change the llm settings that it names")


def _not_found(settings: ModelSettings, where: str, known_models: Sequence[str]) -> ModelRejected:
    if not known_models:
        return ModelRejected(
            f"no model {settings.model!r}, or no chat completions, at {where}; check --model, and that "
            f"{URL_VARIABLE} ends as the endpoint's documentation says, usually in /v1"
        )
    near = difflib.get_close_matches(settings.model or "", known_models, n=4, cutoff=0.4)
    others = [model for model in known_models if model not in near]
    shown = (near + others)[:8]
    more = f" and {len(known_models) - len(shown)} more" if len(known_models) > len(shown) else ""
    names = ", ".join(repr(one_line(name, 60)) for name in shown)
    return ModelRejected(f"no model {settings.model!r} at {where}; it has {names}{more}; choose with --model")
