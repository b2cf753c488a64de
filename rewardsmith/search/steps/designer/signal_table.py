"""The list of signals in a prompt, as long as its budget allows: in full where it fits, else by families.

The card's signals come first and always in full. Of the derived ones, a model's bodies, joints and sites give the
same few quantities each: a quantity is listed once as a pattern, `*_position`, with the names that may stand for the
star. What does not fit is counted, so that the list never pretends to be whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rewardsmith.contract.records import Signal
from rewardsmith.llm import prompts

HEADER = "name | shape | unit | meaning"
CHARS_PER_TOKEN = 3.0
"""Of such tables, full of names with underscores; on the careful side."""
CATALOGUE_TOKENS = 1_500
"""How long a list is unless a setting says otherwise."""
CLOSING_CHARS = 320
"""Kept free for the line that counts what is left out."""
_QUOTED = re.compile(r"'([^']+)'")


@dataclass(frozen=True)
class _Member:
    """One signal of a family."""

    prefix: str
    """What the star stands for."""
    tail: str
    """End of its meaning, after the element's name: a joint's range."""


@dataclass(frozen=True)
class _Pattern:
    """What the signals of a family share."""

    suffix: str
    shape: tuple[int, ...]
    unit: str
    head: str
    """Beginning of the meaning, up to the element's name."""


@dataclass(frozen=True)
class _Block:
    """Families over the same names."""

    rows: tuple[str, ...]
    suffixes: tuple[str, ...]
    members: tuple[str, ...]
    """What the star stands for, each with its note."""

    @property
    def example(self) -> str:
        """The name of one of its signals."""
        return f"{self.members[0].split()[0]}_{self.suffixes[0]}"

    def text(self, shown: int) -> str:
        """Return the block with its first `shown` names."""
        rest = len(self.members) - shown
        listed = ", ".join(self.members[:shown]) + (f" and {rest} more" if rest else "")
        return "\n".join([*self.rows, f"  where * is {listed}"])


def catalogue_text(signals: Sequence[Signal], named: int, budget_tokens: int) -> str:
    """Return the list of signals for a prompt.

    Args:
        signals: the catalogue, the card's signals first.
        named: how many are the card's; they are listed in full, whatever they take.
        budget_tokens: about how long the list may be.
    """
    whole = "\n".join([HEADER, *map(_row, signals)])
    if len(whole) <= budget_tokens * CHARS_PER_TOKEN:
        return whole
    lines = [HEADER, *map(_row, signals[:named])]
    free = budget_tokens * CHARS_PER_TOKEN - CLOSING_CHARS - sum(len(line) + 1 for line in lines)
    plain, blocks = _sorted(signals[named:])
    fitting = _fitting(map(_row, plain), free)
    free -= sum(len(row) + 1 for row in fitting)
    chosen = list(zip(blocks, _shown(blocks, free), strict=True))
    lines += fitting
    listed = [(block, shown) for block, shown in chosen if shown]
    if listed:
        lines.append(f"Below, * stands for any one of the names that follow, as in {listed[0][0].example}.")
        lines += [block.text(shown) for block, shown in listed]
    cut = [(block, len(block.members) - shown) for block, shown in chosen if shown < len(block.members)]
    left_out = len(plain) - len(fitting) + sum(rest * len(block.suffixes) for block, rest in cut)
    return "\n".join([*lines, *_closing(left_out, [f"*_{suffix}" for block, _ in cut for suffix in block.suffixes])])


def _row(signal: Signal) -> str:
    return _line(signal.name, signal.shape, signal.unit, signal.meaning)


def _line(name: str, shape: tuple[int, ...], unit: str, meaning: str) -> str:
    shown = "scalar" if not shape else f"({shape[0]},)" if len(shape) == 1 else str(shape)
    return f"{name} | {shown} | {unit} | {prompts.one_line(meaning)}"


def _fitting(rows: Iterable[str], free: float) -> list[str]:
    """Return the rows that fit into `free` characters, from the first."""
    fitting: list[str] = []
    for row in rows:
        free -= len(row) + 1
        if free < 0:
            break
        fitting.append(row)
    return fitting


def _shown(blocks: Sequence[_Block], free: float) -> list[int]:
    """Return how many names of each block fit into `free` characters together."""
    shown: list[int] = []
    for block in blocks:
        shown.append(_most(block, free))
        if shown[-1]:
            free -= len(block.text(shown[-1])) + 1
    return shown


def _most(block: _Block, free: float) -> int:
    """Return how many of a block's names fit into `free` characters."""
    return next((shown for shown in range(len(block.members), 0, -1) if len(block.text(shown)) < free), 0)


def _closing(left_out: int, patterns: Sequence[str]) -> list[str]:
    if not left_out:
        return []
    formed = f", formed as {', '.join(patterns[:6])}{' and so on' if len(patterns) > 6 else ''}" if patterns else ""
    return [f"({left_out} more signals exist{formed}; a name that does not exist is answered with the nearest ones)"]


# ---------------------------------------------------------------- families


def _sorted(signals: Sequence[Signal]) -> tuple[list[Signal], list[_Block]]:
    """Return the signals that stand alone, and the blocks of the others."""
    families: dict[_Pattern, list[tuple[Signal, _Member]]] = {}
    alone: list[Signal] = []
    for signal in signals:
        found = _matched(signal)
        if found is None:
            alone.append(signal)
        else:
            families.setdefault(found[0], []).append((signal, found[1]))
    single = [members[0][0] for members in families.values() if len(members) == 1]
    several = {pattern: [member for _, member in found] for pattern, found in families.items() if len(found) > 1}
    return [*alone, *single], _blocks(several)


def _matched(signal: Signal) -> tuple[_Pattern, _Member] | None:
    """Return the pattern that a signal follows, where its name and its meaning name the same element."""
    quoted = _QUOTED.search(signal.meaning)
    if quoted is None:
        return None
    element = re.sub(r"\W+", "_", quoted[1])
    for prefix in (element, f"_{element}"):
        if signal.name.startswith(f"{prefix}_"):
            suffix = signal.name.removeprefix(f"{prefix}_")
            pattern = _Pattern(suffix, signal.shape, signal.unit, signal.meaning[: quoted.start()])
            return pattern, _Member(prefix, signal.meaning[quoted.end() :])
    return None


def _blocks(families: dict[_Pattern, list[_Member]]) -> list[_Block]:
    """Join the families over the same names; one whose members differ in more than the name stays by itself."""
    groups: dict[tuple[str, ...], list[tuple[_Pattern, str]]] = {}
    for pattern, members in families.items():
        tails = {member.tail for member in members}
        notes = tuple(_noted(member, len(tails) > 1) for member in members)
        groups.setdefault(notes, []).append((pattern, next(iter(tails)) if len(tails) == 1 else ""))
    return [
        _Block(
            tuple(_line(f"*_{p.suffix}", p.shape, p.unit, f"{p.head}*{tail}") for p, tail in found),
            tuple(pattern.suffix for pattern, _ in found),
            notes,
        )
        for notes, found in groups.items()
    ]


def _noted(member: _Member, differs: bool) -> str:
    """Return a name with what its meaning says beside those of the others."""
    note = prompts.one_line(member.tail.strip(" ,"))
    return f"{member.prefix} ({note})" if differs and note else member.prefix
