from __future__ import annotations

import pytest

from rewardsmith.search.steps.designer.answer_parser import extract

PROGRAM = 'WEIGHTS = {"v": 1.0}\n\ndef reward(after):\n    return {"v": after.v}\n'
DRAFT = "def reward(after):\n    return {'draft': after.v}\n"


@pytest.mark.parametrize(
    "answer",
    [
        f"Go.\n```python\n{PROGRAM}```",
        f"Go.\n```py\n{PROGRAM}```\nDone.",
        f"Go.\n```\n{PROGRAM}```",
        f"Go.\n~~~python\n{PROGRAM}~~~",
        f"Go.\n````python\n{PROGRAM}````",
        f"Go.\n```python title=reward.py\r\n{PROGRAM}```".replace("\n", "\r\n"),
        f"Go.\n```python\n{PROGRAM}",
        "Go.\n1. here:\n   ```python\n" + "".join(f"   {line}\n" for line in PROGRAM.splitlines()) + "   ```",
        f"Go.\n\n{PROGRAM}",
        f"Go.\n\n{PROGRAM}\nThis rewards speed.",
        f"\ufeff{PROGRAM}",
        f"<think>A draft:\n```python\n{DRAFT}```\n</think>Go.\n```python\n{PROGRAM}```",
        f"A draft:\n```python\n{DRAFT}```\n</think>\n```python\n{PROGRAM}```",
        f"First:\n```python\n{DRAFT}```\nBetter:\n```python\n{PROGRAM}```",
        f"```python\n{PROGRAM}```\nUse it so:\n```python\nprint(reward(s))\n```",
        f"```python\n{PROGRAM}```\nor\n```python\ndef reward(after:\n```",
        "```python\n" + PROGRAM.replace("\n", "  \n") + "\n\n```",
    ],
)
def test_the_program_is_found(answer: str) -> None:
    found = extract(answer)
    assert found.source == PROGRAM
    assert found.problem is None


def test_declarations_in_a_block_of_their_own_join_the_program() -> None:
    weights, function = PROGRAM.split("\n\n")
    assert extract(f"```python\n{weights}\n```\nand\n```python\n{function}```").source == PROGRAM


def test_helpers_and_constants_of_a_bare_program_come_along() -> None:
    program = "import foo\n\nTARGET = 1.5\n\ndef near(x):\n    return np.exp(-x**2)\n\n" + PROGRAM
    assert extract(f"Here it is:\n\n{program}\nI hope it helps.").source == program


def test_the_rationale_is_the_words_around_the_program() -> None:
    assert extract(f"Run fast.\nThen rest.\n```python\n{PROGRAM}```").rationale == "Run fast. Then rest."


def test_a_program_that_does_not_parse_is_handed_on_for_the_critic() -> None:
    assert extract("```python\ndef reward(after):\n    return {\n```").source == "def reward(after):\n    return {\n"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("I would reward speed.", "only prose"),
        ("", "no text"),
        ("<think>what could it be", "no text"),
        ("```python\nx = 1\n```", "none that defines a function named `reward`"),
        ("```json\n{}\n```", "none that defines"),
    ],
)
def test_an_answer_without_a_program_says_what_it_has(answer: str, problem: str) -> None:
    found = extract(answer)
    assert found.source is None
    assert problem in str(found.problem)


@pytest.mark.parametrize(
    "answer", ["Let me think", "Go.\n```python\nWEIGHTS = {'v': 1", "```python\ndef reward(after):\n    v = ("]
)
def test_an_answer_cut_off_inside_the_program_is_recognised(answer: str) -> None:
    found = extract(answer, cut_off=True)
    assert found.source is None
    assert "cut off" in str(found.problem)


def test_an_answer_cut_off_after_the_program_is_whole() -> None:
    assert extract(f"```python\n{PROGRAM}```\nThis will", cut_off=True).source == PROGRAM


@pytest.mark.parametrize(
    "padding", ["word ", "<think>x</think>", "<think>" * 9 + "</think>" * 9, "`x` ", "def x():\n  y\n"]
)
def test_an_enormous_answer_is_read_in_time(padding: str) -> None:
    assert extract(padding * 20_000 + f"\n\n```python\n{PROGRAM}```").source == PROGRAM
