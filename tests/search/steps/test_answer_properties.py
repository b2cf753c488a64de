"""Properties of the answer parser: from any answer it takes exactly the written program, or none."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rewardsmith.search.steps.designer.answer_parser import parse_answer

THOUGHT_MARKS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</thought>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("", "</think>"),
    ("<think><think>", "</think> draft </think>"),
    ("<think>draft <think> tags", "</think>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
    ("Here is my thought process:", "\nHere is my response:"),
]
DRAFT = 'WEIGHTS = {"draft": 9.0}\n\ndef reward(after):\n    return {"draft": after.draft}\n'
WEIGHTS = 'WEIGHTS = {"speed": 2.5}\n'
MEMORY = 'MEMORY = {"top": 0.5}\n'
HELPER = "TARGET = 1.25\n\ndef near(x):\n    return np.exp(-((x - TARGET) ** 2))\n"
FUNCTION = (
    "def reward(after, memory):\n    memory.top = np.maximum(memory.top, after.height)\n"
    '    return {"speed": after.speed, "near": near(after.height)}\n'
)
USAGE = "print(reward(usage))\n"
PIECES = {"weights": WEIGHTS, "memory": MEMORY, "helper": HELPER, "function": FUNCTION}


@st.composite
def draw_fence(draw: st.DrawFn, code: str) -> str:
    """Draw a way in which a model fences code."""
    mark = draw(st.sampled_from(["```", "````", "~~~"]))
    info = draw(st.sampled_from(["python", "py", "", "python title=reward.py"]))
    indent = draw(st.sampled_from(["", "   ", "\t", "> "]))
    tail = draw(st.sampled_from(["", "<|im_end|>", "</s>", " Done.", "  "]))
    body = "".join(f"{indent}{line}\n" for line in code.splitlines())
    return f"{indent}{mark}{info}\n{body}{indent}{mark}{tail}\n"


@st.composite
def draw_thought(draw: st.DrawFn) -> str:
    """Draw a thought with drafts in it."""
    opening, closing = draw(st.sampled_from(THOUGHT_MARKS))
    parts = draw(st.lists(st.sampled_from(["Hm.\n", f"\n```python\n{DRAFT}```\n", f"\n{DRAFT}\n", WEIGHTS_DRAFT])))
    return opening + "".join(parts) + closing


WEIGHTS_DRAFT = '\n```\nWEIGHTS = {"draft": 3.0}\n```\n'


@st.composite
def draw_answer(draw: st.DrawFn) -> str:
    """Draw an answer whose final part holds one program, in one to four blocks."""
    names = draw(st.permutations(list(PIECES)))
    cuts = sorted(draw(st.sets(st.sampled_from([1, 2, 3]))))
    bounds = [0, *cuts, len(names)]
    gap = draw(st.sampled_from(["", "\n", "\n\n"]))
    codes = [gap.join(PIECES[name] for name in names[a:b]) for a, b in pairwise(bounds)]
    parts = [draw(draw_thought())] if draw(st.booleans()) else []
    for code in codes:
        parts += [draw(st.sampled_from(["And now:\n", "\n", "1. Next\n\n"])), draw(draw_fence(code))]
    if draw(st.booleans()):
        parts.append(f"Use it:\n```python\n{USAGE}```\n")
    return "".join(parts).replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@settings(max_examples=300, deadline=None)
@given(draw_answer())
def test_a_program_in_pieces_is_put_together_from_the_answer_alone(answer: str) -> None:
    source = parse_answer(answer).source
    assert source is not None
    assert "draft" not in source
    assert "usage" not in source
    for piece in PIECES.values():
        for part in piece.split("\n\n"):
            assert part.rstrip() in source
    compile(source, "<program>", "exec")


TOKENS = [
    *(mark for pair in THOUGHT_MARKS for mark in pair if mark),
    *("<|im_end|>", "<|im_start|>user\n", "<|im_start|>assistant\n", "</s>", "<answer>", "</answer>", "<code>"),
    *("```", "```python\n", "````", "~~~", "\n```\n", "\n", "> ", "- ", "    ", '"""', "'", "`", "# ", ">>> "),
    *(
        WEIGHTS,
        MEMORY,
        HELPER,
        FUNCTION,
        USAGE,
        'WEIGHTS = {"speed": 7.5}\n',
        "def reward(after):\n",
        "    return {}\n",
    ),
    *(
        "    return {}\n",
        "words ",
        "Final program:\n",
        "A draft:\n",
        "x = 1\n",
        "{",
        "}",
        "(",
        "\ufeff",
        "\r\n",
        "&lt;",
        "“",
    ),
]


@settings(max_examples=1_000, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=25).map("".join), st.booleans())
def test_every_line_of_a_program_is_a_line_of_the_answer(answer: str, cut_off: bool) -> None:
    parsed = parse_answer(answer, cut_off=cut_off)
    assert (parsed.source is None) != (parsed.problem is None)
    if parsed.source is not None:
        answer_lines = re.split("\r\n|\r|\n", answer)
        for line in parsed.source.splitlines():
            assert any(line.strip() in answer_line for answer_line in answer_lines)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from([WEIGHTS, 'WEIGHTS = {"speed": 7.5}\n', FUNCTION, USAGE, HELPER, MEMORY]), max_size=5))
def test_weights_of_the_final_part_are_the_programs_or_the_answer_is_asked_again(codes: list[str]) -> None:
    source = parse_answer("and\n".join(f"```python\n{code}```\n" for code in codes)).source
    if source is not None:
        for weights in {code for code in codes if code.startswith("WEIGHTS")}:
            assert weights.strip() in source


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="`~<>/think|[]{}()\"'\\#=: \n\tdefrwa.\u200b\u25c1\u25b7", max_size=400), st.booleans())
def test_any_text_is_read_without_an_error(answer: str, cut_off: bool) -> None:
    parsed = parse_answer(answer, cut_off=cut_off)
    assert (parsed.source is None) != (parsed.problem is None)
