"""Reads the body of a chat completion, as loosely as servers write it, and notices what is no answer."""

from __future__ import annotations

import json

from rewardsmith.llm.messages import Answer
from rewardsmith.llm.prompts import one_line

SHOWN_CHARS = 200


class NoCompletion(Exception):
    """Raised when the body of a success is no chat completion."""


class HiddenRefusal(Exception):
    """Raised when a success carries an error instead of an answer, as gateways do when a provider fails.

    Attributes:
        status: the HTTP status that it amounts to.
        code: the error's code, where it is a word.
    """

    def __init__(self, words: str, status: int, code: str | None) -> None:
        super().__init__(words)
        self.status = status
        self.code = code


def read(body: str) -> Answer:
    """Return the answer in a response's body.

    >>> read('{"choices": [{"finish_reason": "stop", "message": {"content": "hi"}}]}').text
    'hi'

    Raises:
        NoCompletion: if the body is no chat completion.
        HiddenRefusal: if it is an error under the status of a success.
    """
    try:
        data = json.loads(body)
    except ValueError:
        raise NoCompletion(f"{one_line(body, SHOWN_CHARS)!r}") from None
    choices = _of(data, "choices")
    if isinstance(choices, list) and choices:
        return _answer(choices[0], _of(data, "usage"))
    error = _of(data, "error")
    if error:
        words, code = words_of(error)
        status = int(code) if code and code.isdigit() and 400 <= int(code) < 600 else 502
        raise HiddenRefusal(words, status, code)
    raise NoCompletion(f"it has no choices: {one_line(body, SHOWN_CHARS)!r}")


def models(body: str) -> tuple[str, ...]:
    """Return the names in a list of models, sorted; none where the body is no such list.

    >>> models('{"data": [{"id": "b"}, {"id": "a"}]}')
    ('a', 'b')
    """
    try:
        listed = _of(json.loads(body), "data")
    except ValueError:
        return ()
    names = (_of(model, "id") for model in listed) if isinstance(listed, list) else ()
    return tuple(sorted(name for name in names if isinstance(name, str)))


def words_of(error: object) -> tuple[str, str | None]:
    """Return the message and the code in an error's body, which servers shape in several ways."""
    message = next((value for name in ("message", "detail", "error") if (value := _of(error, name))), error)
    code = _of(error, "code") or _of(error, "type")
    text = message if isinstance(message, str) else json.dumps(message, default=str) if message else ""
    return one_line(text, SHOWN_CHARS), None if code is None else str(code)


def _answer(choice: object, usage: object) -> Answer:
    message = _of(choice, "message")
    text = _text(_of(message, "content"))
    refusal = _of(message, "refusal")
    finish = str(_of(choice, "finish_reason") or "stop")
    if isinstance(refusal, str) and refusal.strip():
        text, finish = refusal, "refusal"
    elif finish == "content_filter":
        text, finish = text or "the endpoint's content filter withheld the answer", "refusal"
    elif not text.strip() and finish != "length":
        finish = "empty"
    return Answer(_storable(text), finish, _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))


def _text(content: object) -> str:
    """Return the text of a message's content: a string, or a list of parts."""
    if isinstance(content, list):
        return "".join(_text(_of(part, "text")) for part in content)
    return content if isinstance(content, str) else ""


def _storable(text: str) -> str:
    """Return the text without lone surrogates, which JSON can carry and a file cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _count(usage: object, name: str) -> int | None:
    value = _of(usage, name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _of(data: object, name: str) -> object:
    return data.get(name) if isinstance(data, dict) else None
