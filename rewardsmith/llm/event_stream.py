"""Reader of an answer that came as a stream of events, which some gateways send although none was asked for."""

from __future__ import annotations

from rewardsmith.llm.bounded_json import get_field, parse_json

DONE = "[DONE]"
"""Text of the event with which a stream ends."""
TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "refusal")
"""Fields of a message that a stream sends in pieces."""


def join_events(body: str) -> object:
    r"""Join the events of a stream to the chat completion that they are pieces of.

    >>> piece = '{"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}'
    >>> join_events(f"data: {piece}\n\ndata: [DONE]\n\n")["choices"]
    [{'message': {'content': 'hi'}, 'finish_reason': 'stop', 'error': None}]

    Args:
        body: of a response, in the format of server-sent events.

    Returns:
        A completion; the last event where none is a piece of a completion; None where the stream broke off.

    Raises:
        ValueError: if an event is not JSON.
    """
    # Read the events up to the one that ends the stream.
    lines = (line.strip() for line in body.split("\n"))
    texts = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    is_whole = DONE in texts
    events = [parse_json(text) for text in texts if text != DONE]
    choices = [_find_first_choice(event) for event in events]
    deltas = [get_field(choice, "delta") for choice in choices]
    if not any(isinstance(delta, dict) for delta in deltas):
        return events[-1] if events else {}

    # Join what they say.
    message: dict[str, str] = {}
    for name in TEXT_FIELDS:
        pieces = [get_field(delta, name) for delta in deltas]
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        if text:
            message[name] = text
    finish = _find_last([get_field(choice, "finish_reason") for choice in choices])
    if finish is None and is_whole:
        finish = "stop"
    error = _find_last([get_field(event, "error") for event in events])
    if finish is None and error is None:
        return None
    choice = {"message": message, "finish_reason": finish, "error": error}
    return {"choices": [choice], "usage": _find_last([get_field(event, "usage") for event in events])}


def _find_first_choice(event: object) -> object:
    choices = get_field(event, "choices")
    return choices[0] if isinstance(choices, list) and choices else None


def _find_last(values: list[object]) -> object:
    """Return the last value that is not empty; None where all are."""
    return next((value for value in reversed(values) if value), None)
