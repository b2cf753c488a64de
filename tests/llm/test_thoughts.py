"""Thoughts of a model, split from its answer: the marks of every family, complete, incomplete and only mentioned."""

from __future__ import annotations

import time

import pytest

from rewardsmith.llm import fences
from rewardsmith.llm.thoughts import split_thoughts

PAIRS = {
    "think": ("<think>", "</think>"),
    "thinking": ("<thinking>", "</thinking>"),
    "thought": ("<thought>", "</thought>"),
    "reasoning": ("<reasoning>", "</reasoning>"),
    "attributes": ('<think effort="high">', "</think>"),
    "upper case": ("<THINK>", "</Think>"),
    "brackets": ("[THINK]", "[/THINK]"),
    "seed": ("<seed:think>", "</seed:think>"),
    "seed reflects": ("<seed:think><seed:cot_budget_reflect>9 left</seed:cot_budget_reflect>", "</seed:think>"),
    "begin of thought": ("<|begin_of_thought|>", "<|end_of_thought|><|begin_of_solution|>"),
    "kimi": ("◁think▷", "◁/think▷"),
    "cohere": ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    "unused tokens": ("<unused94>thought\n", "<unused95>"),
    "channel thought": ("<|channel>thought\n", "<channel|>"),
    "harmony": ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    "harmony commentary": (
        "<|channel|>commentary to=x <|constrain|>json<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "harmony as words": ("analysis", "assistantfinal"),
    "granite": ("Here is my thought process: ", "\nHere is my response: "),
    "granite short": ("Here's my thought process:\n", "\nHere's my response:\n"),
    "apriel": ("Here are my reasoning steps:\n", "\n[BEGIN FINAL RESPONSE]\n"),
    "details": ('<details type="reasoning" done="true">\n', "</details>"),
    "console": ("Thinking...\n", "...done thinking.\n"),
    "channel on a line": ("analysis\n", "assistantfinal"),
    "mixed families": ("<think>", "</reasoning>"),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_thought_is_no_part_of_the_answer(pair: tuple[str, str]) -> None:
    split = split_thoughts(f"{pair[0]}We need speed.\n{pair[1]}Go fast.")
    assert split.answer.strip() == "Go fast."
    assert split.open_thought == ""


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_thought_that_is_never_closed_is_kept_apart(pair: tuple[str, str]) -> None:
    split = split_thoughts(f"{pair[0]}We need speed.")
    assert split.answer.strip() == ""
    assert "We need speed." in split.open_thought
    assert not split.is_balanced


@pytest.mark.parametrize("close", ["</think>", "[/THINK]", "◁/think▷", "</seed:think>", "<|end_of_thought|>"])
def test_a_closing_mark_whose_opening_was_lost_ends_a_thought(close: str) -> None:
    assert split_thoughts(f"We need speed.\n```\nx\n```\n{close}\nGo fast.").answer.strip() == "Go fast."


@pytest.mark.parametrize(
    "text",
    [
        "<think>a <think>b</think> c</think>Go.",
        "<think>The <think> tag.</think>Go.",
        "<think>Close it with `</think>` later.</think>Go.",
        "<think>Close it with </think> later.</think>Go.",
        "<think>a</think>\n<think>b</think>Go.",
        "<think/>Go.",
        "<think></think>Go.",
    ],
)
def test_nested_and_named_marks_do_not_swallow_the_answer(text: str) -> None:
    assert split_thoughts(text).answer.strip() == "Go."


@pytest.mark.parametrize(
    "text",
    [
        "Write `<think>` or '</think>' or \"[THINK]\".",
        "```python\nx = 1  # <think> and </think>\n```",
        '```python\n"""\n<think>\n"""\n```\nGo.',
        "Nothing is said of <answer> here.",
        "a < b, c > d, [x], <T>, List[int]",
    ],
)
def test_what_is_no_mark_is_kept(text: str) -> None:
    assert split_thoughts(text).answer == text


@pytest.mark.parametrize(
    "token",
    [
        "<|im_end|>",
        "<|eot_id|>",
        "</s>",
        "<|endoftext|>",
        "<|return|>",
        "<end_of_turn>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
    ],
)
def test_special_tokens_are_dropped(token: str) -> None:
    assert split_thoughts(f"```\nx = 1\n```{token}\n{token}").answer.strip() == "```\nx = 1\n```"
    assert split_thoughts(f"```\nx = 1{token}").answer == "```\nx = 1\n"


def test_a_channel_that_is_ended_is_no_open_thought() -> None:
    assert split_thoughts("<|channel|>analysis<|message|>Speed.<|end|>").open_thought == ""


def test_turns_of_other_speakers_are_no_answer() -> None:
    echo = "<|im_start|>user\nWrite.<|im_end|>\n<|im_start|>assistant\n"
    assert split_thoughts(f"{echo}Go.<|im_end|>\n<|im_start|>user\nThanks<|im_end|>").answer.strip() == "Go."


def test_spans_of_literal_text_hold_no_marks() -> None:
    text = '{"a": "<think>"} Go.'
    assert split_thoughts(text, [(0, 16)]).answer == text


@pytest.mark.parametrize(
    "unit",
    [
        "`",
        "<think>",
        "</think>",
        "<think>a</think>",
        "<",
        "[",
        "```\n",
        '```py\n"""\n',
        "<|channel|>",
        "\n",
        "> ",
        "'\\",
    ],
)
def test_a_text_is_read_in_linear_time(unit: str) -> None:
    def measure(chars: int) -> float:
        text = (unit * chars)[:chars]
        started = time.process_time()
        split_thoughts(text)
        return time.process_time() - started

    assert measure(400_000) < 20 * max(measure(100_000), 0.005)


def test_a_fence_behind_many_marks_on_its_line_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    find_opening, starts = fences.find_opening, []

    def count_searches(text: str, start: int = 0) -> object:
        starts.append(start)
        return find_opening(text, start)

    monkeypatch.setattr(fences, "find_opening", count_searches)
    assert split_thoughts("</think>" * 500 + "```python\nx = 1\n```").answer.strip() == "```python\nx = 1\n```"
    assert len(starts) < 5
