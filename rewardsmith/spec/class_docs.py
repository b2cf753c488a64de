"""Docstrings of environments' classes without their rewards: prompts must not say how an environment pays."""

from __future__ import annotations

import re

MAX_CHARS = 3_000
"""Longest text of a class's docstring in a card or a prompt."""
_HEADING = re.compile(r"#+ .*|[^\n]+\n[-=]{3,}|\*\*[^\n*]+\*\*\s*$")
_REWARD_WORDS = re.compile(
    r"reward|score|success|solved|penal|bonus|\bpaid\b|\bpays\b|\bgains?\b.*\bpoints?\b|[-+]\d+(\.\d+)?\b.*\b(for|each|if)\b",
    re.IGNORECASE,
)


def describe_class(about: str) -> str:
    """Return a class's docstring without the sections and paragraphs on its reward and success; "" if none is left."""
    kept, is_reward_section = list[str](), False
    for paragraph in re.split(r"\n\s*\n", about):
        heading = _HEADING.match(paragraph)
        if heading:
            is_reward_section = bool(_REWARD_WORDS.search(heading[0]))
        if not is_reward_section and not _REWARD_WORDS.search(paragraph):
            kept.append(paragraph)
    text = "\n\n".join(kept).strip()
    text = text if len(text) <= MAX_CHARS else text[:MAX_CHARS].rsplit("\n", 1)[0]
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
