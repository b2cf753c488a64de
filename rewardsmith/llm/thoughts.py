"""Thoughts in a model's text: what a reasoning model writes to itself, which is no part of its answer.

Every family of models marks them in its own way, and servers leak the marks whole, halved or stripped to words:

- tags: `<think>`, `<thinking>`, `<thought>`, `<reasoning>`, `<seed:think>`, `[THINK]`, `<|begin_of_thought|>`,
  `◁think▷`, `<|START_THINKING|>` and their like,
- channels: `<|channel|>analysis<|message|>`, of which the final one is the answer; also as the bare words
  `analysis` at the start and `assistantfinal`,
- sentences: "Here is my thought process:" or "Thinking..." at the start, "Here is my response:" or "...done thinking."
  behind it.

The rules: a thought ends at the first closing mark, of whatever family. A closing mark outside of a thought means that
a template kept the opening one: all text before it is thought. So the last closing mark ends the thought where the
count of marks does not come out. A mark is text, not a mark, in quotes or backticks of its own, and inside a line of a
fenced block outside of a thought. Special tokens (`<|im_end|>`, `</s>`) are dropped, and so is what follows a turn that
the model wrote for another speaker. Every text is read in time that is linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from rewardsmith.llm import fences

_WORD = (
    r"(?:think|thinking|thoughts?|reasoning|(?:thought|thinking)_process|chain_of_thought|scratchpad|analysis"
    r"|reflection)"
)
_THINK = rf"(?:{_WORD}|\w{{1,20}}[:_]{_WORD})"
# Each alternative lacks its first character, which stands before all of them: so the search skips all others fast.
_MARK = re.compile(
    "[<\\[\u25c1](?=[\\w/\uff5c]|\\|[\\w/])(?:"
    + "|".join(
        (
            # Openings and closings.
            rf"(?P<open>{_THINK}(?:\s[^<>\n]{{0,80}}(?<!/))?>|\|{_WORD}\|>|(?<=\[)THINK\]|think\u25b7"
            r"|\|begin_of_thought\|>|\|START_THINKING\|>|unused94>(?:thought\b)?)",
            rf"(?P<close>/\s?{_THINK}\s?>|\|(?:/|end_){_WORD}\|>|(?<=\[)/THINK\]|/think\u25b7"
            r"|\|end_of_thought\|>|\|END_THINKING\|>|unused95>)",
            # A tag that opens nothing, and a part of a thought after which the thought goes on.
            rf"(?P<empty>{_THINK}\s?/>)",
            r"(?P<inner>seed:cot_budget_reflect>)",
            r"(?P<inner_end>/seed:cot_budget_reflect>)",
            # Channels, and other marks behind which the answer stands.
            r"(?P<channel>\|channel\|?>[ \t]*(?P<name>\w{0,40})"
            r"(?:[^\n<]{0,100}(?:<\|constrain\|>[^\n<]{0,40})?<\|message\|>)?)",
            r"(?P<details>details\s[^<>\n]{0,80}reasoning[^<>\n]{0,80}>)",
            r"(?P<soft_end>\|end\|>|channel\|>|/details>)",
            r"(?P<answer>\|begin_of_solution\|>|BEGIN FINAL RESPONSE\]|\|START_RESPONSE\|>)",
            r"(?P<maybe_answer>(?:answer|response|solution)>)",
            # Headers of a speaker's turn, and all other special tokens.
            r"(?P<turn>(?:\|im_start\|>|\|start\|>|\|start_header_id\|>|start_of_turn>|\|(?=(?:user|assistant)\|[>\]]))"
            r"\s{0,9}(?P<speaker>\w{1,40})?(?:<\|end_header_id\|>|\|>|\|\])?)",
            r"(?P<special>\|\w{1,40}\|[>\]]|/?s>|(?:end_of_turn|eos|bos|pad)>|\uff5c[^\uff5c\n]{1,40}\uff5c>"
            r"|END FINAL RESPONSE\])",
        )
    )
    + ")",
    re.IGNORECASE,
)
_LAST_TOKEN = re.compile(
    r"(?:<\|\w{1,40}\|>|</s>|<(?:end_of_turn|eos)>|<\uff5c[^\uff5c\n]{1,40}\uff5c>)\s*\Z", re.ASCII
)

_CHANNEL_WORDS = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?P<glued>(?=[A-Z*`\"']|[ \t]*\n))?", re.ASCII)
_FINAL_WORDS = re.compile(r"assistant(?:final|[ \t\n]{1,2}final\b)")
_SENTENCE = re.compile(
    r"\s*(?:(?:Here is|Here's|Here are) my (?:thought process|reasoning steps)\s*:|Thinking\.\.\.\n)", re.IGNORECASE
)
_RESPONSE = re.compile(
    r"(?:Here is|Here's) my response\s*:|\[BEGIN FINAL RESPONSE\]|\.\.\.\s?done thinking\.", re.IGNORECASE
)

_QUOTES = ("'", '"', "`")

Span = tuple[int, int]


class _MarkKind(Enum):
    """The effect of a mark; `_read_kind` alone knows the groups of `_MARK`."""

    OPEN = auto()
    DETAILS = auto()
    CHANNEL = auto()
    """Any channel but the final one. A SOFT_END ends its thought, and that of DETAILS."""
    INNER = auto()
    INNER_END = auto()
    CLOSE = auto()
    SOFT_END = auto()
    ANSWER = auto()
    MAYBE_ANSWER = auto()
    OTHER_TURN = auto()
    """Another speaker's turn begins: an echo of the prompt before the answer, or the answer's end."""
    OWN_TURN = auto()
    DROPPED = auto()


_OPENINGS = (_MarkKind.OPEN, _MarkKind.DETAILS, _MarkKind.CHANNEL, _MarkKind.INNER)


@dataclass(frozen=True)
class SplitText:
    """A model's text without its thoughts."""

    answer: str
    """The answer, with a line break in place of each thought and each mark."""
    open_thought: str = ""
    """Text of a thought that is opened and never closed; "" where each is closed."""
    is_balanced: bool = True
    """Whether no more thoughts are opened than closed; else it is uncertain which closing mark ended them."""


def split_thoughts(text: str, literals: Sequence[Span] = ()) -> SplitText:
    r"""Split what a model says from what it thinks.

    >>> split_thoughts("<think>Speed? It says <think>.</think>Go fast.<|im_end|>").answer
    '\nGo fast.\n'

    Args:
        text: the model's text.
        literals: spans of it in which nothing is a mark, in their order; behind a thought that is told by words alone
            they do not count.
    """
    # Thoughts without marks, told by the sentence or the word that the text begins with.
    sentence, channel = _SENTENCE.match(text), _CHANNEL_WORDS.match(text)
    if sentence:
        response = _RESPONSE.search(text, sentence.end())
        return split_thoughts(text[response.end() :]) if response else SplitText("", text[sentence.end() :], False)
    if channel:
        finals = list(_FINAL_WORDS.finditer(text, channel.end()))
        if finals:
            return split_thoughts(text[finals[-1].end() :])
        if channel["glued"] is not None:
            return SplitText("", text[channel.end() :], False)
    return _Splitter(text, literals).split()


class _Splitter:
    """One reading of a text, from its start to its end."""

    def __init__(self, text: str, literals: Sequence[Span]) -> None:
        self._text = _drop_last_tokens(text)
        self._literals = literals
        self._parts: list[str] = []
        self._blocks = 0
        self._has_words = False
        self._is_answer_marked = False
        self._opened = 0

    def split(self) -> SplitText:
        """Return the text without its thoughts."""
        text, position = self._text, 0
        marks = _Marks(text, self._literals)
        opening = fences.find_opening(text)
        while True:
            # The next fenced block is taken as it is; a line in it that begins with a mark ends it.
            mark = marks.next(position)
            if opening is not None and fences.fence_start(opening) < position:
                opening = fences.find_opening(text, position) if self._blocks < fences.MAX_BLOCKS else None
            if opening is not None and (mark is None or fences.fence_start(opening) <= mark.start()):
                end = fences.read_block(text, opening).end
                self._blocks += 1
                self._add(text[position:end])
                position = end
                continue

            # The text up to the next mark is said.
            self._add(text[position : mark.start() if mark else len(text)])
            if mark is None:
                return SplitText("".join(self._parts), "", self._opened <= 0)
            self._parts.append("\n")
            kind = _read_kind(mark)
            position = mark.end()

            if kind is _MarkKind.OTHER_TURN:
                if self._has_words:
                    return SplitText("".join(self._parts), "", self._opened <= 0)
                position = self._skip_turn(marks, position)
            elif kind in _OPENINGS:
                if kind is not _MarkKind.INNER:
                    self._opened += 1
                end_of_thought = self._skip_thought(marks, position, kind)
                if end_of_thought is None:
                    return SplitText("".join(self._parts), text[position:], False)
                position = end_of_thought
            elif kind is _MarkKind.MAYBE_ANSWER:
                self._parts.append(mark[0])  # the tag stays: it says that the answer begins here
            elif kind in (_MarkKind.CLOSE, _MarkKind.ANSWER):
                self._begin_answer(kind)

    def _add(self, said: str) -> None:
        self._parts.append(said)
        self._has_words = self._has_words or bool(said.strip())

    def _begin_answer(self, kind: _MarkKind) -> None:
        """Take all text before for thought: its opening mark was lost, or the answer is marked as such."""
        self._opened = 0
        if kind is _MarkKind.CLOSE or not self._is_answer_marked:
            self._parts = ["\n"]
            self._blocks = 0
        self._has_words = False
        self._is_answer_marked = kind is _MarkKind.ANSWER

    def _skip_thought(self, marks: _Marks, position: int, opening: _MarkKind) -> int | None:
        """Return where a thought ends; None where it does not."""
        is_soft = opening in (_MarkKind.CHANNEL, _MarkKind.DETAILS)
        while (mark := marks.next(position)) is not None:
            position = mark.end()
            kind = _read_kind(mark)
            if kind in (_MarkKind.OPEN, _MarkKind.DETAILS):
                self._opened += 1
            elif kind is _MarkKind.CLOSE or (kind is _MarkKind.SOFT_END and is_soft):
                self._opened -= 1
                return position
            elif kind is _MarkKind.INNER_END and opening is _MarkKind.INNER:
                return position
            elif kind is _MarkKind.ANSWER:
                self._begin_answer(kind)
                return position
            elif kind is _MarkKind.MAYBE_ANSWER:
                self._opened -= 1
                return mark.start()
        return None

    def _skip_turn(self, marks: _Marks, position: int) -> int:
        """Return where the model's own turn begins."""
        while (mark := marks.next(position)) is not None:
            if _read_kind(mark) is _MarkKind.OWN_TURN:
                return mark.start()
            position = mark.end()
        return len(self._text)


class _Marks:
    """The marks of a text, taken in their order."""

    def __init__(self, text: str, literals: Sequence[Span]) -> None:
        marks = (mark for mark in _MARK.finditer(text) if not _is_quoted(text, mark))
        self._marks = _drop_inside(marks, literals) if literals else marks
        self._next = next(self._marks, None)

    def next(self, position: int) -> re.Match[str] | None:
        """Return the first mark from a position on, which never goes back."""
        mark = self._next
        while mark is not None and mark.start() < position:
            mark = next(self._marks, None)
        self._next = mark
        return mark


def _drop_inside(marks: Iterator[re.Match[str]], literals: Sequence[Span]) -> Iterator[re.Match[str]]:
    """Yield the marks that stand in none of the spans."""
    spans = iter(literals)
    span = next(spans, None)
    for mark in marks:
        while span is not None and span[1] <= mark.start():
            span = next(spans, None)
        if span is None or mark.start() < span[0]:
            yield mark


def _is_quoted(text: str, mark: re.Match[str]) -> bool:
    """Return whether a mark is only named: in quotes or backticks of its own, or a tag that does not begin its line."""
    start, end = mark.span()
    before = text[start - 1 : start]
    if before in _QUOTES and before == text[end : end + 1]:
        # A fence beside the mark is no quote.
        return not text.startswith("```", end) and not text.endswith("```", 0, start)
    return mark.lastgroup == "maybe_answer" and not _begins_line(text, start)


def _begins_line(text: str, index: int) -> bool:
    """Return whether an index is the first of its line, up to a few blanks."""
    return not text[max(0, index - 8) : index].rpartition("\n")[2].strip()


def _read_kind(mark: re.Match[str]) -> _MarkKind:
    group = mark.lastgroup or ""
    if group == "channel":
        return _MarkKind.ANSWER if mark["name"].lower() == "final" else _MarkKind.CHANNEL
    if group == "turn":
        is_other = (mark["speaker"] or "").lower() in ("user", "system", "tool", "developer", "human")
        return _MarkKind.OTHER_TURN if is_other else _MarkKind.OWN_TURN
    return _MarkKind.DROPPED if group in ("empty", "special") else _MarkKind[group.upper()]


def _drop_last_tokens(text: str) -> str:
    """Drop the special tokens at the text's end, which may stand behind a program's last line."""
    end = len(text)
    while (token := _LAST_TOKEN.search(text, max(0, end - 80), end)) is not None:
        if token[0].startswith("<|end|>") and "<|channel" in text:
            break  # there it ends a channel
        end = token.start()
    return text[:end] + "\n" if end < len(text) else text
