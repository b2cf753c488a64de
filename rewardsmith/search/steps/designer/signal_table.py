"""The table of signals in a prompt, in full where its budget allows it, else grouped by families.

The card's signals come first and always in full. Of the derived signals, a model's bodies, joints and sites have the
same few quantities each: a quantity is listed once as a pattern, `*_position`, with the names that may stand for the
star. Signals that do not fit are counted, so that the reader knows that the list is not complete.

Where the recording under random actions is known, derived signals that never change or repeat another one are left out,
and so are the quaternions of a robot that moves in a plane. A signal that the policy's observation does not tell is
marked, and the card's signals have figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rewardsmith.contract.records import Signal, SignalFacts
from rewardsmith.llm import prompts

HEADER = "name | shape | unit | meaning"
DRAWN_SHARE = 0.1
"""Share of a signal's range that its values at the start pass where an episode's start is drawn at random."""
FIGURES_HEADER = "name | shape | unit | start; at random least..greatest, mean | meaning"
NOT_SEEN = "not seen"
WHOLE_OBSERVATION = "obs"
CHARS_PER_TOKEN = 3.0
"""Characters per token in such tables, which are full of names with underscores; a careful estimate."""
CATALOGUE_TOKENS = 1_500
"""Default length of a list, in tokens."""
CLOSING_CHARS = 320
"""Characters that are kept free for the line that counts what is left out."""
CLOSING_PATTERNS = 6
"""Greatest number of patterns that this line names."""
_QUOTED = re.compile(r"'([^']+)'")


@dataclass(frozen=True)
class _Pattern:
    """The parts that the signals of a family share."""

    suffix: str
    shape: tuple[int, ...]
    unit: str
    meaning_start: str
    """Beginning of the meaning, up to the element's name."""


@dataclass(frozen=True)
class _Member:
    """One signal of a family."""

    prefix: str
    """Text in place of the star."""
    meaning_end: str
    """End of its meaning, after the element's name: a joint's range."""


@dataclass(frozen=True)
class _Block:
    """Families over the same names."""

    rows: tuple[str, ...]
    suffixes: tuple[str, ...]
    members: tuple[str, ...]
    """Texts in place of the star, each with its note."""

    @property
    def example(self) -> str:
        """The name of one of its signals."""
        return f"{self.members[0].split()[0]}_{self.suffixes[0]}"

    def render(self, shown: int) -> str:
        """Render the block with its first `shown` names."""
        rest = len(self.members) - shown
        listed = ", ".join(self.members[:shown]) + (f" and {rest} more" if rest else "")
        return "\n".join([*self.rows, f"  where * is {listed}"])


def render_signal_table(
    signals: Sequence[Signal],
    card_signal_count: int,
    budget_tokens: int,
    facts: Mapping[str, SignalFacts] | None = None,
    unobserved: Mapping[str, tuple[int, ...]] | None = None,
) -> str:
    """Render the table of signals for a prompt.

    Args:
        signals: the catalogue, the card's signals first.
        card_signal_count: how many are the card's; they are always listed in full.
        budget_tokens: about how long the table may be.
        facts: signal name to what the recording shows of it; where it is given, families are always told once.
        unobserved: signal name to the components that the policy does not see; None where that is not known.
    """
    # The signals that are told, each with notes on its components.
    facts, unobserved = facts or {}, unobserved or {}
    told = [*signals[:card_signal_count]]
    told += _select_useful(signals[card_signal_count:], facts, has_card=bool(facts and told))
    told = [_mark_components(signal, facts, unobserved) for signal in told]
    card_signals, derived = told[:card_signal_count], told[card_signal_count:]

    # With figures for the card's signals; of a task without a card for all.
    header = FIGURES_HEADER if facts else HEADER
    with_figures = {signal.name: facts[signal.name] for signal in card_signals or derived if signal.name in facts}

    def render_row(signal: Signal) -> str:
        return _render_signal(signal, _render_figures(with_figures.get(signal.name)) if facts else None)

    # In full, or with as much of the derived signals as fits after the card's.
    lines = [header, *map(render_row, card_signals)]
    whole = "\n".join([*lines, *map(render_row, derived)])
    if not facts and len(whole) <= budget_tokens * CHARS_PER_TOKEN:
        return whole
    free_chars = budget_tokens * CHARS_PER_TOKEN - CLOSING_CHARS - sum(len(line) + 1 for line in lines)
    return "\n".join([*lines, *_render_families(derived, render_row, free_chars)])


def _render_families(signals: Sequence[Signal], render_row: Callable[[Signal], str], free_chars: float) -> list[str]:
    """Return the lines of derived signals that fit: single ones, then families, then how many are left out."""
    # Signals that belong to no family, as many as fit.
    single_signals, blocks = _group_signals(signals)
    lines = _take_fitting(map(render_row, single_signals), free_chars)
    free_chars -= sum(len(row) + 1 for row in lines)
    left_out = len(single_signals) - len(lines)

    # Families, each with as many of its names as fit.
    shown_counts = _count_fitting_members(blocks, free_chars)
    listed = [(block, shown) for block, shown in zip(blocks, shown_counts, strict=True) if shown]
    if listed:
        lines.append(f"Below, * stands for any one of the names that follow, as in {listed[0][0].example}.")
        lines += [block.render(shown) for block, shown in listed]

    # The number of those that are left out.
    patterns: list[str] = []
    for block, shown in zip(blocks, shown_counts, strict=True):
        if shown < len(block.members):
            left_out += (len(block.members) - shown) * len(block.suffixes)
            patterns += [f"*_{suffix}" for suffix in block.suffixes]
    return [*lines, _render_closing(left_out, patterns)] if left_out else lines


def _select_useful(derived: Sequence[Signal], facts: Mapping[str, SignalFacts], *, has_card: bool) -> list[Signal]:
    """Return the derived signals that say something: none that never changes, repeats another or is ruled out."""
    is_planar = _moves_in_plane(facts)
    useful = []
    for signal in derived:
        fact = facts.get(signal.name)
        if fact is not None and (fact.repeats or len(fact.constant) == len(fact.low)):
            continue
        # The card names the parts of the observation that matter.
        if has_card and signal.name == WHOLE_OBSERVATION:
            continue
        # A card's own signals say how a robot is turned; a plane leaves nothing else to say.
        if not ((is_planar or has_card) and "as a quaternion" in signal.meaning):
            useful.append(signal)
    return useful


def _moves_in_plane(facts: Mapping[str, SignalFacts]) -> bool:
    """Return whether every velocity of a body in space has a component that never changes."""
    velocities = [fact for name, fact in facts.items() if name.endswith("_angular_velocity") and len(fact.low) == 3]
    return bool(velocities) and all(len(fact.constant) >= 2 for fact in velocities)


def _mark_components(
    signal: Signal, facts: Mapping[str, SignalFacts], unobserved: Mapping[str, tuple[int, ...]]
) -> Signal:
    """Return a signal whose meaning says what never changes in it and what the policy does not see."""
    fact, hidden = facts.get(signal.name), unobserved.get(signal.name)
    notes = []
    if fact is not None and fact.constant:
        fixed = len(fact.constant) == len(fact.low)
        notes.append("never changes" if fixed else f"{_list_components(fact.constant)} never change")
    if hidden is not None:
        size = len(fact.low) if fact is not None else len(hidden)
        is_whole = not signal.shape or (len(hidden) == size and signal.shape == (size,))
        notes.append(NOT_SEEN if is_whole else f"{_list_components(hidden)} {NOT_SEEN}")
    return replace(signal, meaning=f"{signal.meaning} ({'; '.join(notes)})") if notes else signal


def _list_components(indices: Sequence[int]) -> str:
    return ", ".join(f"[{index}]" for index in indices)


def _render_figures(fact: SignalFacts | None) -> str:
    """Return a signal's value at the start, its range and its mean under random actions; of a vector the range."""
    if fact is None:
        return "-"
    low, high = min(fact.low), max(fact.high)
    at_random = f"{prompts.format_scaled(low, high - low)}..{prompts.format_scaled(high, high - low)}"
    if len(fact.low) > 1:
        return at_random

    # A start that differs from episode to episode is told as a range.
    least, greatest = (fact.start_low or fact.start)[0], (fact.start_high or fact.start)[0]
    is_drawn = greatest - least > DRAWN_SHARE * (high - low)
    starts = [prompts.format_scaled(value, high - low) for value in (least, greatest)]
    start = "..".join(starts) if is_drawn else prompts.format_scaled(fact.start[0], high - low)
    return f"{start}; {at_random}, {prompts.format_scaled(fact.mean[0], high - low)}"


def _render_signal(signal: Signal, figures: str | None = None) -> str:
    return _render_row(signal.name, signal.shape, signal.unit, signal.meaning, figures)


def _render_row(name: str, shape: tuple[int, ...], unit: str, meaning: str, figures: str | None = None) -> str:
    shape_text = "scalar" if not shape else f"({shape[0]},)" if len(shape) == 1 else str(shape)
    cells = [name, shape_text, unit, *([] if figures is None else [figures]), prompts.to_one_line(meaning)]
    return " | ".join(cells)


def _take_fitting(rows: Iterable[str], free_chars: float) -> list[str]:
    """Return the rows that fit into `free_chars` characters, from the first."""
    fitting: list[str] = []
    for row in rows:
        free_chars -= len(row) + 1
        if free_chars < 0:
            break
        fitting.append(row)
    return fitting


def _count_fitting_members(blocks: Sequence[_Block], free_chars: float) -> list[int]:
    """Return how many names of each block fit into `free_chars` characters together."""
    counts: list[int] = []
    for block in blocks:
        count = len(block.members)
        while count > 0 and len(block.render(count)) >= free_chars:
            count -= 1
        if count:
            free_chars -= len(block.render(count)) + 1
        counts.append(count)
    return counts


def _render_closing(left_out: int, patterns: Sequence[str]) -> str:
    """Say how many signals are left out, and how their names are formed."""
    formation = ""
    if patterns:
        more = " and so on" if len(patterns) > CLOSING_PATTERNS else ""
        formation = f", formed as {', '.join(patterns[:CLOSING_PATTERNS])}{more}"
    return f"({left_out} more signals exist{formation}; a name that does not exist is answered with the nearest ones)"


# ---------------------------------------------------------------- families


def _group_signals(signals: Sequence[Signal]) -> tuple[list[Signal], list[_Block]]:
    """Return the signals that belong to no family, and the blocks of the others."""
    families: dict[_Pattern, list[tuple[Signal, _Member]]] = {}
    single: list[Signal] = []
    for signal in signals:
        match = _match_pattern(signal)
        if match is None:
            single.append(signal)
        else:
            pattern, member = match
            families.setdefault(pattern, []).append((signal, member))

    # A single signal makes no family.
    single += [members[0][0] for members in families.values() if len(members) == 1]
    several = {pattern: [member for _, member in members] for pattern, members in families.items() if len(members) > 1}
    return single, _build_blocks(several)


def _match_pattern(signal: Signal) -> tuple[_Pattern, _Member] | None:
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


def _build_blocks(families: dict[_Pattern, list[_Member]]) -> list[_Block]:
    """Join the families over the same names; one whose members differ in more than the name stays by itself."""
    groups: dict[tuple[str, ...], list[tuple[_Pattern, str]]] = {}
    for pattern, members in families.items():
        endings = {member.meaning_end for member in members}
        names = tuple(_format_member(member, with_note=len(endings) > 1) for member in members)
        shared_ending = next(iter(endings)) if len(endings) == 1 else ""
        groups.setdefault(names, []).append((pattern, shared_ending))

    blocks: list[_Block] = []
    for names, patterns in groups.items():
        rows = [
            _render_row(f"*_{pattern.suffix}", pattern.shape, pattern.unit, f"{pattern.meaning_start}*{ending}")
            for pattern, ending in patterns
        ]
        blocks.append(_Block(tuple(rows), tuple(pattern.suffix for pattern, _ in patterns), names))
    return blocks


def _format_member(member: _Member, *, with_note: bool) -> str:
    """Return a member's name, with the end of its meaning where that sets it apart from the others."""
    note = prompts.to_one_line(member.meaning_end.strip(" ,()"))
    return f"{member.prefix} ({note})" if with_note and note else member.prefix
