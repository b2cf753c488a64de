"""Parser of an endpoint's error responses: message, code and time to wait, in the forms that servers use.

OpenAI, vLLM, llama.cpp, FastAPI, Google, OpenRouter (the provider's own words lie in `metadata.raw`), LiteLLM (the
provider's error as text within its own), and pages of proxies, of which the title counts.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rewardsmith.contract import python_ast
from rewardsmith.llm.bounded_json import get_field, parse_json
from rewardsmith.llm.prompts import to_one_line
from rewardsmith.llm.retry import parse_duration_s, read_wait_header_s

SHOWN_CHARS = 300
DETAIL_CHARS = 20_000
"""Characters of a refusal that are kept to recognise its subject."""
ECHO_FIELDS = ("input", "body", "request", "request_body")
"""Fields in which servers repeat the request, as pydantic's faults do."""
LOST_STATUS = 502
"""Status of an error that came with the status of a success and names no status itself."""

_TITLE = re.compile(r"<(title|h1)\b[^>]*>(.*?)</\1\s*>", re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_WRAPPER = re.compile(r"^\s*(?:litellm\.\w+\s*:|\w*Exception\s+-|Error code: \d{3}\s+-|Error\s+-)\s*")
_WRAPPER_END = re.compile(r"\.?\s*(?:No fallback model group found\b|Received Model Group=).*", re.DOTALL)
_WRONG_PATH = re.compile(
    r"unexpected endpoint|(invalid|unknown|unsupported|no such) (url|uri|path|route|endpoint)|cannot post|"
    r"(path|route|page|endpoint) (was )?not found|no route matched|method not allowed",
    re.IGNORECASE,
)
_WAIT_FIELDS = ("retry_after_ms", "retry_after", "retryAfter", "retry-after", "retryDelay", "retry_after_seconds")
_WAIT_WORDS = re.compile(r"(?:try(?:ing)? again|retry|wait|available|resets?)\b[^.;\d]{0,40}?(?=\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """An endpoint's answer other than success."""

    status: int
    """Status of HTTP; for an error that came with the status of a success, the status that it should have had."""
    words: str = ""
    """Its message, in one line."""
    code: str | None = None
    """The error's code or type, where it has one."""
    details: str = ""
    """Its whole text."""
    wait_s: float | None = None
    """Seconds that it asks to wait."""
    location: str | None = None
    """Address to which it redirects the request."""
    begun: bool = False
    """Whether an answer had begun, so that its provider may bill it."""
    hidden: bool = False
    """Whether it came with the status of a success."""
    status_unnamed: bool = False
    """Whether it is hidden and names no status."""

    @property
    def names_wrong_path(self) -> bool:
        """Whether the endpoint has nothing at this path."""
        return self.status in (404, 405) or (self.status_unnamed and bool(_WRONG_PATH.search(self.details)))


class RequestRefused(Exception):
    """Raised when an endpoint gives something other than an answer.

    Attributes:
        refusal: what it said.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


def parse_refusal(status: int, body: str, headers: Mapping[str, str]) -> Refusal:
    """Parse the response with which an endpoint refuses a request."""
    try:
        data = parse_json(body)
    except ValueError:
        data = body
    refusal = build_refusal_error(status, data).refusal
    wait_s = read_wait_header_s(headers)
    return replace(refusal, wait_s=refusal.wait_s if wait_s is None else wait_s, location=headers.get("location"))


def build_refusal_error(status: int, data: object) -> RequestRefused:
    """Build the error for an error's body.

    Args:
        status: of HTTP; 200 where the error came under that of a success.
        data: the body, as JSON or text.
    """
    words = find_words(data)
    details = _dump(_leave_out_echo(data))[:DETAIL_CHARS]
    hidden = status == 200
    named = _find_status(data) if hidden else status
    return RequestRefused(
        Refusal(
            status=named or LOST_STATUS,
            words=to_one_line(words, SHOWN_CHARS),
            code=_find_code(data),
            details=details,
            wait_s=_find_wait_s(data),
            hidden=hidden,
            status_unnamed=named is None,
        )
    )


def build_lost_answer_error(error: object, finish: str | None = None) -> RequestRefused:
    """Build the error for an answer that broke off, under the status of a success.

    Args:
        error: what the endpoint says of it; None where it says nothing.
        finish: its word for the end of the answer; None where the response ends in the middle.
    """
    words = find_words(error) if error else ""
    how = "the response ends in the middle" if finish is None else f"finish reason {finish!r}"
    said = f"the answer broke off ({how})" + (f": {words}" if words else "")
    return RequestRefused(
        Refusal(
            status=LOST_STATUS,
            words=to_one_line(said, SHOWN_CHARS),
            details=said,
            wait_s=_find_wait_s(error),
            begun=True,
            hidden=True,
            status_unnamed=True,
        )
    )


def find_words(data: object) -> str:
    """Find the readable message of an error; "" without one.

    >>> find_words({"error": {"message": "Provider returned error", "metadata": {"raw": "out of memory"}}})
    'Provider returned error: out of memory'
    >>> find_words("litellm.BadRequestError: OpenAIException - {'message': 'too long'}. Received Model Group=m")
    'too long'
    """
    if isinstance(data, str):
        return _unwrap_text(data)
    if isinstance(data, list):
        return "; ".join(word for word in (find_words(part) for part in data[:3]) if word)
    if not isinstance(data, dict):
        return "" if data is None else _dump(data)
    words = _find_message(data)
    raw = get_field(data.get("metadata"), "raw")
    provider = find_words(raw) if raw else ""
    return ": ".join(word for word in dict.fromkeys((words, provider)) if word)


def shorten_page(text: str, limit: int = SHOWN_CHARS) -> str:
    """Return a text in one line; of a page in HTML its title, or its words where it has none.

    >>> shorten_page("<html><head><title>502 Bad Gateway</title></head><body>x</body></html>")
    '502 Bad Gateway'
    """
    beginning = text[:DETAIL_CHARS]
    if re.match(r"\s*(<!--.*?-->\s*)*<(!doctype|html|head|body|\?xml)", beginning, re.IGNORECASE | re.DOTALL):
        title = _TITLE.search(beginning)
        words = _MARKUP.sub(" ", title[2] if title else "").strip() or _MARKUP.sub(" ", beginning)
        beginning = html.unescape(words)
    return to_one_line(beginning, limit)


def _find_message(data: dict[object, object]) -> str:
    """Find the words of an object: under the first of the usual names that has some."""
    place = data.get("loc")
    if isinstance(place, list) and isinstance(data.get("msg"), str):  # FastAPI names the field beside the fault
        return f"{'.'.join(str(part) for part in place[:6])}: {data['msg']}"
    for name in ("message", "error", "detail", "errors", "msg", "error_description", "reason", "title"):
        words = find_words(data.get(name)) if data.get(name) else ""
        if words:
            return words
    return "" if "metadata" in data else _dump(data)


def _unwrap_text(text: str) -> str:
    """Return the words of a text: those of the error that it quotes where it is a wrapper, a page's title."""
    text = _WRAPPER_END.sub("", text[:DETAIL_CHARS])
    for _ in range(4):
        text, wrapped = _WRAPPER.subn("", text)
        if not wrapped:
            break
    inner = _parse_quoted(text.strip())
    words = find_words(inner) if isinstance(inner, dict | list) else ""
    return words or shorten_page(text, DETAIL_CHARS)


def _parse_quoted(text: str) -> object:
    """Return the object that a text holds, in JSON or as Python prints one; None if it holds no object."""
    text = text.removeprefix("b'").removesuffix("'") if text.startswith("b'{") else text
    if not text.startswith(("{", "[")):
        return None
    end = max(text.rfind("}"), text.rfind("]")) + 1
    try:
        return parse_json(text[:end])
    except ValueError:
        pass
    try:
        # Printed again as JSON, so that its depth is checked.
        return parse_json(json.dumps(python_ast.read_literal(text[:end]), default=str))
    except (ValueError, TypeError, RecursionError):
        return None


def _find_code(data: object) -> str | None:
    """Find the code of an error, or its type."""
    for part in _walk(data):
        code = part.get("code") or part.get("type")
        if isinstance(code, str | int) and not isinstance(code, bool):
            return to_one_line(str(code), 60)
    return None


def _find_status(data: object) -> int | None:
    """Find the HTTP status that an error names."""
    for part in _walk(data):
        for name in ("code", "status", "status_code", "statusCode"):
            if re.fullmatch(r"[45][0-9]{2}", str(part.get(name)), re.ASCII):
                return int(str(part[name]))
    return None


def _find_wait_s(data: object) -> float | None:
    """Find how many seconds an error asks to wait, in a field or in its words."""
    for part in _walk(data):
        for name in _WAIT_FIELDS:
            if name in part:
                unit = "ms" if name.endswith("_ms") else "s"
                seconds = parse_duration_s(str(part[name])[:40], unit)
                if seconds is not None:
                    return seconds
    words = find_words(data)
    named = _WAIT_WORDS.search(words)
    return parse_duration_s(words[named.end() :][:40], None) if named else None


def _leave_out_echo(data: object) -> object:
    """Return an error's body without what it repeats of the request, which would pass for what it is about."""
    if isinstance(data, list):
        return [_leave_out_echo(part) for part in data]
    if isinstance(data, dict):
        return {name: _leave_out_echo(part) for name, part in data.items() if name not in ECHO_FIELDS}
    return data


def _walk(data: object) -> Iterator[dict[str, object]]:
    """Yield the objects within a value, outer ones first."""
    level = [data]
    while level:
        yield from (value for value in level if isinstance(value, dict))
        level = [
            part
            for value in level
            if isinstance(value, dict | list)
            for part in (value.values() if isinstance(value, dict) else value)
        ]


def _dump(data: object) -> str:
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, default=str)
