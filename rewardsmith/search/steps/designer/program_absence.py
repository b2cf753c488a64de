"""The reason why an answer has no program, in a sentence for its author, who is asked again.

An author who is told only that there is none writes the same once more; so the forms that come near to a program are
named.
"""

from __future__ import annotations

import re
import unicodedata

from rewardsmith.llm import fences

_ESCAPED = r"\\n[ \t]*def[ \t]+(?:{names})[ \t]*\("
_NUMBERED = r"^[ \t]*\d{{1,5}}[ \t]*[|:.)]?[ \t]*def[ \t]+(?:{names})[ \t]*\("
_DIFF = r"^[+-][ \t]*def[ \t]+(?:{names})[ \t]*\("
_INNER = r"^[ \t]+(?:async[ \t]+)?def[ \t]+(?:{names})[ \t]*\("
_ASSIGNED = r"\b(?:{names})[ \t]*=[ \t]*lambda\b"
FORMS = {
    _ESCAPED: "its program is escaped, with \\n in place of line breaks; write it as plain lines",
    _NUMBERED: "each line of its program begins with a number; write the lines alone",
    _DIFF: "its program is written as a diff; write the whole program",
    _INNER: "its function is defined inside of another statement; define it at the top level",
    _ASSIGNED: "its function is a lambda; write it with def",
}
"""Patterns of texts that come near to a program, with what is wrong in them."""
_DEFINED = re.compile(r"^[ \t]*def[ \t]+(\w{1,80})[ \t]*\(", re.MULTILINE)
MAX_NAMED = 3
"""Functions of other names that a message lists."""


def format_function_names(functions: tuple[str, ...]) -> str:
    """Return the names of functions for a prompt.

    >>> format_function_names(("sparse", "dense"))
    '`sparse` and `dense`'
    """
    return " and ".join(f"`{name}`" for name in functions)


def describe_absence(text: str, cut_off: bool, functions: tuple[str, ...]) -> str:
    """Say why there is no program.

    >>> describe_absence("reward = lambda after: {'v': after.v}", False, ("reward",))
    'your answer has no program: its function is a lambda; write it with def'

    Args:
        text: the answer without its thoughts.
        cut_off: whether it ended because it reached the limit of its length.
        functions: names of functions; a program defines at least one of them.
    """
    if cut_off:
        return "your answer was cut off by the length limit before any program"
    if not text.strip():
        return "your answer holds no text besides its reasoning"
    form = _describe_form(text, functions)
    if form is not None:
        return f"your answer has no program: {form}"
    if fences.find_opening(text) is not None:
        names = format_function_names(functions)
        others = ", ".join(repr(name) for name in list(dict.fromkeys(_DEFINED.findall(text)))[:MAX_NAMED])
        has = f" (it defines {others})" if others else ""
        return f"your answer has a fenced block, but none that defines a function named {names}{has}"
    return "your answer has no program, only prose"


def _describe_form(text: str, functions: tuple[str, ...]) -> str | None:
    """Say what is wrong with a text that comes near to a program; None where nothing does."""
    names = "|".join(map(re.escape, functions))
    for pattern, fault in FORMS.items():
        if re.search(pattern.format(names=names), text, re.MULTILINE):
            return fault
    definition = re.compile(rf"def[ \t]+(?:{names})[ \t]*\(")
    plain = unicodedata.normalize("NFKC", text.translate(dict.fromkeys(map(ord, fences.INVISIBLE))))
    if definition.search(plain) and not definition.search(text):
        return "its function's line has invisible or full-width characters; write plain letters, signs and blanks"
    return None
