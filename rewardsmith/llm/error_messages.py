"""Errors of failed calls, each one line: what failed, where, and the next step. They never show the key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from rewardsmith.contract.errors import ModelError, ModelRejected, ModelUnavailable
from rewardsmith.contract.text import pluralize
from rewardsmith.llm import retry
from rewardsmith.llm.endpoint import NO_MODEL_NEEDED, URL_VARIABLE, find_address, redact_address
from rewardsmith.llm.prompts import to_one_line
from rewardsmith.llm.refusals import Refusal
from rewardsmith.spec.addresses import remove_secrets

if TYPE_CHECKING:
    from rewardsmith.llm.network_settings import Proxy
    from rewardsmith.spec.settings import ModelSettings

MAX_ADDRESS_CHARS = 200

_CONTEXT = re.compile(
    r"context.{0,3}(length|window|size|limit)|maximum context|max_model_len|n_ctx|num_ctx|"
    r"(prompt|input|request) (is )?too (long|large)|too many (input |prompt )?tokens|reduce the length|"
    r"longer than the (model|maximum)|exceeds? (the )?(available )?(context|max\w* (number of )?(tokens|input))|"
    r"string_above_max_length",
    re.IGNORECASE,
)
_ANSWER_LENGTH = re.compile(
    r"(max_(completion_|output_|new_)?tokens|maxOutputTokens)\b.{0,60}(too (large|high|big)|exceed|maximum|at most|"
    r"less than|greater than|>|<|range|between)|maximum (allowed )?(number of )?(output|completion) tokens",
    re.IGNORECASE | re.DOTALL,
)
_REQUEST_PATH = re.compile(r"/(chat/completions|models)/?([?#].*)?$")


def unreachable_error(settings: ModelSettings, cause: str, proxy: Proxy | None = None) -> ModelUnavailable:
    """Build the error for an endpoint to which no connection can be made.

    Args:
        settings: where it was to be.
        cause: of the failure.
        proxy: through which it was asked.
    """
    where = redact_address(settings)
    if proxy:
        where += f", through the proxy {remove_secrets(proxy.url)} of {proxy.variable}"
    return ModelUnavailable(
        f"cannot reach the language model at {where}: {cause}; {_reach_step(cause, proxy)}; {NO_MODEL_NEEDED}"
    )


def broken_connection_error(settings: ModelSettings, cause: str, attempts: int) -> ModelUnavailable:
    """Build the error for an endpoint that was reached, and whose answer did not come whole.

    Args:
        settings: where it is.
        cause: of the failure.
        attempts: how many times it was asked.
    """
    return ModelUnavailable(
        f"no whole answer from {redact_address(settings)} after {pluralize(attempts, 'attempt')}: {cause.rstrip('.')}; "
        "look at the endpoint, or wait"
    )


def timeout_error(settings: ModelSettings, attempts: int) -> ModelUnavailable:
    """Build the error for an endpoint that accepts the request and does not answer in time."""
    return ModelUnavailable(
        f"the language model at {redact_address(settings)} gave no answer within {settings.timeout_s:g} s in "
        f"{pluralize(attempts, 'attempt')}; raise llm.timeout_s or look at the endpoint"
    )


def malformed_answer_error(settings: ModelSettings, what: str) -> ModelRejected:
    """Build the error for a response of status 200 that is no chat completion."""
    return ModelRejected(
        f"{redact_address(settings)} answered something other than a chat completion: {what}; check that "
        f"{URL_VARIABLE} names an OpenAI-compatible endpoint, usually ending in /v1{_suggest_version(settings)}"
    )


def refusal_error(
    settings: ModelSettings, refusal: Refusal, attempts: int, known_models: Sequence[str] = ()
) -> ModelError:
    """Build the error for a refusal of the endpoint.

    Args:
        settings: what was asked, and where.
        refusal: its status and words, without the key.
        attempts: how many times it was asked.
        known_models: the models that the endpoint lists, where that is known.
    """
    status = "an error under the status 200" if refusal.status_unnamed else f"status {refusal.status}"
    where = f"{redact_address(settings)} ({status})"
    said = f": {refusal.words}" if refusal.words else ""
    if 300 <= refusal.status < 400:
        return _redirect_error(where, _find_target(settings, refusal) if refusal.location else "")
    if refusal.status in (401, 403):
        reason = said if refusal.status == 403 else ""
        return ModelRejected(
            f"the API key was refused by {where}{reason}; check {settings.key_variable}; {NO_MODEL_NEEDED}"
        )
    if refusal.status == 402 or refusal.code in ("insufficient_quota", "billing_not_active"):
        return ModelRejected(
            f"the account behind the key has no credit left at {where}{said}; add some, or take another key"
        )
    if is_too_long(refusal):
        return _too_long_error(settings, where + said)
    if refusal.status in (404, 405) or is_wrong_address(settings, refusal):
        return _not_found_error(settings, where + said, known_models)
    if refusal.status == 429:
        too_long = refusal.wait_s is not None and refusal.wait_s > retry.MAX_RETRY_AFTER_S
        asked = f"; it asks to wait {refusal.wait_s:,.0f} s" if too_long else ""
        return ModelUnavailable(
            f"rate limit of {where} after {pluralize(attempts, 'attempt')}{said}{asked}; wait, or ask for fewer "
            "programs at once with --population"
        )
    if refusal.status >= 500 or refusal.status in (408, 409, 425):
        return ModelUnavailable(
            f"no answer from {where} after {pluralize(attempts, 'attempt')}{said}; look at the endpoint, or wait"
        )
    step = "change the llm settings that it names" if said else "it gives no reason; look at the endpoint's log"
    return ModelRejected(f"the request was refused by {where}{said}; {step}")


def is_too_long(refusal: Refusal) -> bool:
    """Return whether a prompt and the longest answer do not fit into the model's window; waiting does not help."""
    if refusal.status in (401, 402, 403, 404, 429) or refusal.begun:
        return False
    return refusal.status == 413 or bool(_CONTEXT.search(refusal.details) or _ANSWER_LENGTH.search(refusal.details))


def is_wrong_address(settings: ModelSettings, refusal: Refusal) -> bool:
    """Return whether nothing answers at this path, as far as an error under the status of a success shows it.

    An address without a version in its path, and an error that names no status: a server that was asked for what it
    does not have.
    """
    if not refusal.hidden or refusal.begun:
        return False
    return refusal.names_wrong_path or (refusal.status_unnamed and not find_address(settings).names_version)


def _too_long_error(settings: ModelSettings, where: str) -> ModelRejected:
    limit = "none" if settings.max_tokens is None else f"{settings.max_tokens:,}"
    step = "lower" if settings.max_tokens else "set"
    return ModelRejected(
        f"prompt and answer are too long for the model {settings.model!r} at {where}; {step} llm.max_tokens (now "
        f"{limit}), which counts beside the prompt, shorten the prompt (llm.catalogue_tokens, designer.history), or "
        "take a --model with a longer context"
    )


def _find_target(settings: ModelSettings, refusal: Refusal) -> str:
    """Return where a redirect leads, without secrets."""
    location = remove_secrets(refusal.location or "")
    try:
        return to_one_line(urljoin(f"{redact_address(settings)}/chat/completions", location), MAX_ADDRESS_CHARS)
    except ValueError:
        return to_one_line(location, MAX_ADDRESS_CHARS)


def _redirect_error(where: str, target: str) -> ModelRejected:
    if not target:
        return ModelRejected(f"the address {where} leads elsewhere and does not say to where; correct {URL_VARIABLE}")
    base, moved = _REQUEST_PATH.subn("", target)
    step = f"if you trust it, set {URL_VARIABLE} to {base!r}" if moved else f"correct {URL_VARIABLE}"
    return ModelRejected(f"the address {where} leads elsewhere, to {target!r}; prompts are not sent on; {step}")


def _suggest_version(settings: ModelSettings) -> str:
    """Return the address with /v1, to be tried; "" where a version is named."""
    address = find_address(settings)
    return "" if address.names_version else f": try {address.shown}/v1"


def _reach_step(cause: str, proxy: Proxy | None) -> str:
    """Return what to do about a connection that cannot be made."""
    lower = cause.lower()
    if "certificate" in lower:
        return "name the file of the certificates to trust in SSL_CERT_FILE"
    if "wrong_version_number" in lower or "record layer" in lower:
        return f"it may speak http and not https; correct {URL_VARIABLE}"
    if proxy:
        return f"correct or unset {proxy.variable}, or list the host in NO_PROXY"
    return f"start it or correct {URL_VARIABLE}"


def _not_found_error(settings: ModelSettings, where: str, known_models: Sequence[str]) -> ModelRejected:
    if not known_models:
        return ModelRejected(
            f"no model {settings.model!r}, or no chat completions, at {where}; check --model, and that "
            f"{URL_VARIABLE} ends as the endpoint's documentation says, usually in /v1{_suggest_version(settings)}"
        )
    near = difflib.get_close_matches(settings.model or "", known_models, n=4, cutoff=0.4)
    others = [model for model in known_models if model not in near]
    shown = (near + others)[:8]
    more = f" and {len(known_models) - len(shown)} more" if len(known_models) > len(shown) else ""
    names = ", ".join(repr(to_one_line(name, 60)) for name in shown)
    return ModelRejected(f"no model {settings.model!r} at {where}; it has {names}{more}; choose with --model")
