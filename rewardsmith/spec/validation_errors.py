"""Messages for values that pydantic refuses: the key, the value and what is allowed, in one line for each fault.

Configuration, task cards, presets and sweeps share them, so that one mistake reads the same everywhere and no message
holds a name of pydantic's own ("constrained-int", "function-after[...]").
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import ValidationError

from rewardsmith.contract.text import suggest_names

MAX_FAULTS = 5
"""Faults that one message names; further ones are counted."""

_TYPE_WORDS = {
    "bool": "true or false",
    "date": "a date",
    "dataclass": "a table of keys",
    "dict": "a table of keys",
    "finite": "a finite number",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "mapping": "a table of keys",
    "model": "a table of keys",
    "none": '"none"',
    "string": "text in quotes",
    "tuple": "a list",
}
"""Beginning of pydantic's error type ("int_parsing", "bool_type") to the kind of value that is needed."""

_BOUND_WORDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
    "too_short": ("min_length", "a list of at least {}"),
    "too_long": ("max_length", "a list of at most {}"),
    "string_too_short": ("min_length", "text of at least {} characters"),
    "string_too_long": ("max_length", "text of at most {} characters"),
}
"""Pydantic's error type to the key of its context that holds the bound, and the words for it."""

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 60


@dataclass(frozen=True)
class Fault:
    """One mistake in a document that a person wrote."""

    location: tuple[str, ...]
    """Keys and positions from the top of the document to the mistake; empty where several keys contradict."""
    kind: Literal["unknown key", "missing key", "value", "contradiction"]
    value: Any = None
    allowed: str = ""
    """What may stand there instead; for a contradiction the whole message."""
    others: tuple[str, ...] = ()
    """Further keys that are missing in the same table."""

    @property
    def name(self) -> str:
        """The key with its sections: "search.population"."""
        return ".".join(self.location)

    def describe(self, noun: str = "key", known_keys: Iterable[str] = ()) -> str:
        """Return the fault in one line.

        Args:
            noun: what the document calls a key: "setting".
            known_keys: keys that exist in the place of an unknown one, to name the nearest.
        """
        match self.kind:
            case "unknown key":
                return f"there is no {noun} {self.name!r}; {suggest_key(self.location[-1], known_keys)}"
            case "missing key" if self.others:
                names = [self.name, *(".".join((*self.location[:-1], key)) for key in self.others)]
                return f"the {noun}s {', '.join(map(repr, names[:-1]))} and {names[-1]!r} are missing"
            case "missing key":
                return f"the {noun} {self.name!r} is missing"
            case "contradiction":
                return self.allowed
        return f"{self.name} = {_shortened.repr(self.value)}: {self.allowed}"


def collect_faults(error: ValidationError, document: Any) -> list[Fault]:
    """Return the faults of a document, one for each place in it.

    Args:
        error: what pydantic raised.
        document: what it was given: tables and lists. It tells keys from the names that pydantic puts between them for
            the members of a union.
    """
    # Members of a union complain one by one about the same place: their complaints are gathered there.
    by_location: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        location = _locate(detail, document)
        by_location.setdefault(location, []).append(detail)

    # The member that reads furthest into a value is the one that was meant.
    innermost = [
        location
        for location in by_location
        if not location or not any(other != location and other[: len(location)] == location for other in by_location)
    ]
    return _merge_missing_keys([_merge_details(location, by_location[location]) for location in innermost])


def _merge_missing_keys(faults: Sequence[Fault]) -> list[Fault]:
    """Return the faults with one for all keys that are missing in a table, in the place of the first."""
    missing: dict[tuple[str, ...], list[Fault]] = {}
    for fault in faults:
        if fault.kind == "missing key":
            missing.setdefault(fault.location[:-1], []).append(fault)
    firsts = {group[0].location: tuple(fault.location[-1] for fault in group[1:]) for group in missing.values()}
    return [
        replace(fault, others=firsts[fault.location]) if fault.kind == "missing key" else fault
        for fault in faults
        if fault.kind != "missing key" or fault.location in firsts
    ]


def join_lines(lines: Sequence[str]) -> str:
    """Return the lines of a message: at most `MAX_FAULTS`, and a count of the others.

    >>> join_lines(["a", "b", "c", "d", "e", "f", "g"]).splitlines()[-2:]
    ['e', 'and 2 more']
    """
    further = len(lines) - MAX_FAULTS
    return "\n".join([*lines[:MAX_FAULTS], *([f"and {further} more"] if further > 0 else [])])


def suggest_key(key: str, known_keys: Iterable[str]) -> str:
    """Return the nearest of the known keys as a question, or all of them where none is near.

    A known key of another section has that section before it ("search.population"); near means equal there.

    >>> suggest_key("poplation", ["generations", "population"])
    "did you mean 'population'?"
    >>> suggest_key("x", ["generations", "population"])
    'allowed are: generations, population'
    """
    known = sorted(known_keys)
    elsewhere = [name for name in known if name.rpartition(".")[2] == key]
    if elsewhere:
        return f"did you mean {' or '.join(map(repr, elsewhere))}?"
    allowed = f"allowed are: {', '.join(known)}" if known else "nothing is allowed there"
    return suggest_names(key, known, otherwise=allowed)


def _locate(detail: Mapping[str, Any], document: Any) -> tuple[str, ...]:
    """Return where in a document a complaint is, without pydantic's names for the members of unions."""
    location: list[str] = []
    current = document
    for part in detail["loc"]:
        if isinstance(current, Mapping) and part in current:
            current = current[part]
        elif isinstance(current, list | tuple) and isinstance(part, int) and part < len(current):
            current = current[part]
        else:
            continue
        location.append(str(part))
    if detail["type"] == "missing":
        location.append(str(detail["loc"][-1]))
    return tuple(location)


def _merge_details(location: tuple[str, ...], details: Sequence[Mapping[str, Any]]) -> Fault:
    """Return the fault that all complaints about one place make up."""
    first = details[0]
    kind = str(first["type"])
    if kind in ("extra_forbidden", "unexpected_keyword_argument") or first["loc"][-1:] == ("[key]",):
        return Fault(location, "unknown key", first["input"])
    if kind in ("missing", "missing_argument"):
        return Fault(location, "missing key")
    if not location:
        return Fault(location, "contradiction", allowed="; ".join(_raised_text(detail) for detail in details))

    # What a validator raised says all; the members of a union each add what they allow.
    raised = [_raised_text(detail) for detail in details if "error" in detail.get("ctx", {})]
    if raised:
        return Fault(location, "value", first["input"], raised[0])
    words = dict.fromkeys(_allowed_words(detail) for detail in details)
    return Fault(location, "value", first["input"], f"must be {' or '.join(words)}")


def _allowed_words(detail: Mapping[str, Any]) -> str:
    """Return what a complaint of pydantic's asks for, in words that follow "must be"."""
    kind, context = str(detail["type"]), detail.get("ctx", {})
    if kind in _BOUND_WORDS:
        key, words = _BOUND_WORDS[kind]
        return words.format(f"{context[key]:g}")
    if kind in ("literal_error", "enum"):
        return str(context["expected"])
    return _TYPE_WORDS.get(kind.split("_", 1)[0]) or f"valid ({_raised_text(detail)})"


def _raised_text(detail: Mapping[str, Any]) -> str:
    """Return what a validator of this package raised, or pydantic's own sentence."""
    raised = detail.get("ctx", {}).get("error")
    if raised is not None:
        return str(raised)
    message = str(detail["msg"])
    return f"{message[:1].lower()}{message[1:]}"
