"""Programs extracted from models' answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rewardsmith.search.steps.designer.answer_parser import MAX_ANSWER_CHARS, ParsedAnswer, parse_answer

CASES = Path(__file__).parents[2] / "fixtures" / "cases"

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
    found = parse_answer(answer)
    assert found.source == PROGRAM
    assert found.problem is None


def test_declarations_in_a_block_of_their_own_join_the_program() -> None:
    weights, function = PROGRAM.split("\n\n")
    assert parse_answer(f"```python\n{weights}\n```\nand\n```python\n{function}```").source == PROGRAM


def test_helpers_and_constants_of_a_bare_program_come_along() -> None:
    program = "import foo\n\nTARGET = 1.5\n\ndef near(x):\n    return np.exp(-x**2)\n\n" + PROGRAM
    assert parse_answer(f"Here it is:\n\n{program}\nI hope it helps.").source == program


def test_the_rationale_is_the_words_around_the_program() -> None:
    assert parse_answer(f"Run fast.\nThen rest.\n```python\n{PROGRAM}```").rationale == "Run fast. Then rest."


def test_a_program_that_does_not_parse_is_handed_on_for_the_critic() -> None:
    assert (
        parse_answer("```python\ndef reward(after):\n    return {\n```").source == "def reward(after):\n    return {\n"
    )


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
    found = parse_answer(answer)
    assert found.source is None
    assert problem in str(found.problem)


@pytest.mark.parametrize(
    "answer", ["Let me think", "Go.\n```python\nWEIGHTS = {'v': 1", "```python\ndef reward(after):\n    v = ("]
)
def test_an_answer_cut_off_inside_the_program_is_recognised(answer: str) -> None:
    found = parse_answer(answer, cut_off=True)
    assert found.source is None
    assert "cut off" in str(found.problem)


def test_an_answer_cut_off_after_the_program_is_whole() -> None:
    assert parse_answer(f"```python\n{PROGRAM}```\nThis will", cut_off=True).source == PROGRAM


@pytest.mark.parametrize(
    "padding", ["word ", "<think>x</think>", "<think>" * 9 + "</think>" * 9, "`x` ", "def x():\n  y\n"]
)
def test_an_enormous_answer_is_read_in_time(padding: str) -> None:
    assert parse_answer(padding * 20_000 + f"\n\n```python\n{PROGRAM}```").source == PROGRAM


def read_case(name: str) -> ParsedAnswer:
    return parse_answer((CASES / f"answer-{name}.txt").read_text(encoding="utf-8"))


def fence(code: str, info: str = "python") -> str:
    return f"```{info}\n{code.rstrip()}\n```\n"


WEIGHTLESS = 'def reward(after):\n    return {"v": after.v}\n'
QUOTED = "".join(f"> {line}\n" for line in PROGRAM.splitlines())
PROMPTED = "".join(f"{'...' if line.startswith(' ') else '>>>'} {line}\n" for line in PROGRAM.splitlines())


# ---------------------------------------------------------------- answers that models sent


def test_weights_and_memory_in_blocks_of_their_own_both_join() -> None:
    source = read_case("weights-and-memory-apart").source or ""
    assert 'WEIGHTS = {"speed": 2.0, "best": 0.1}' in source
    assert 'MEMORY = {"top": 0.0}' in source


def test_a_helper_and_a_constant_in_a_block_of_their_own_join() -> None:
    source = read_case("helper-apart").source or ""
    assert source.startswith("TARGET = 1.25\n\n\ndef near(x, width):\n")
    assert source.endswith('"speed": after.x_velocity}\n')


def test_a_stop_token_behind_the_closing_fence_is_no_code() -> None:
    assert (read_case("im-end").source or "").endswith('return {"speed": after.x_velocity}\n')


def test_the_final_channel_alone_is_the_answer() -> None:
    answer = read_case("stop-token")
    assert answer.rationale == "Go fast, stay upright."
    assert (answer.source or "").endswith("np.exp(-after.torso_pitch**2)}\n")


def test_a_final_program_that_is_no_python_goes_back_and_the_thoughts_draft_does_not_count() -> None:
    source = read_case("think-brackets").source or ""
    assert "draft" not in source
    assert "def reward(after)\n" in source


def test_the_last_whole_program_of_a_thought_counts_where_the_answer_has_nothing_else() -> None:
    assert "after.x_velocity" in (read_case("think-unclosed").source or "")
    two = f"<think>{fence(DRAFT)}Better:{fence(PROGRAM)}Or{fence('def reward(after:')}"
    assert parse_answer(two).source == PROGRAM
    assert parse_answer(two, cut_off=True).source is None
    assert parse_answer(f"{two}</think>").source is None


def test_the_mark_of_a_thought_named_inside_of_it_loses_no_answer() -> None:
    answer = read_case("think-named-in-thought")
    assert answer.rationale == "Reward the speed."
    assert "after.x_velocity" in (answer.source or "")


# ---------------------------------------------------------------- where the program stands


@pytest.mark.parametrize(
    "answer",
    {
        "tokens behind the fence": f"Go.\n```python\n{PROGRAM}```<|im_end|><|endoftext|>",
        "words behind the fence": f"Go.\n```python\n{PROGRAM}``` That is all.",
        "fence behind code": f"Go.\n```python\n{PROGRAM.rstrip()}```\nDone.",
        "token instead of a fence": f"Go.\n```python\n{PROGRAM.rstrip()}<|eot_id|>",
        "block quote": f"Go.\n> ```python\n{QUOTED}> ```\n",
        "tabs before the fence": "Go.\n\t```python\n" + "".join(f"\t{x}\n" for x in PROGRAM.splitlines()) + "\t```",
        "list mark before the fence": "- ```python\n" + "".join(f"  {x}\n" for x in PROGRAM.splitlines()) + "  ```",
        "zero width before the fence": f"\u200b```python\n{PROGRAM}\u200b```",
        "non-breaking space in the info": f"```python\u00a0\n{PROGRAM}```",
        "words before the fence": f"Here it is: ```python\n{PROGRAM}```",
        "four around three": f"````markdown\nGo.\n```python\n{PROGRAM}```\n````",
        "markdown around python": f"```markdown\nGo.\n```python\n{PROGRAM}```\n```",
        "an open block before": f"```text\nspeed\n```python\n{PROGRAM}```",
        "prompts": f"Go.\n```pycon\n{PROMPTED}```",
        "JSON": json.dumps({"idea": "Go.", "code": PROGRAM}),
        "fenced JSON": fence(json.dumps({"program": PROGRAM}), "json"),
        "fenced JSON after words": "Go.\n" + fence(json.dumps({"idea": "Go.", "code": PROGRAM}), "json"),
        "JSON with raw line breaks": json.dumps({"code": PROGRAM}).replace("\\n", "\n"),
        "single quotes for a fence": f"Go.\n'''python\n{PROGRAM}'''\nDone.",
        "no opening fence": f"Go.\n{PROGRAM}```\nDone.",
        "a fence right behind a thought": f"<think>a</think>```python\n{PROGRAM}```",
        "a thought with an open fence": f"<think>\n```python\n{DRAFT}</think>\n```python\n{PROGRAM}```",
        "a snippet of it again": fence(PROGRAM) + fence('return {"v": after.v}') + fence("v = after.v"),
        "its weights as whole numbers again": fence(PROGRAM) + fence('WEIGHTS = {"v": 1}'),
        "a fence in JSON": json.dumps({"answer": f"Go.\n```python\n{PROGRAM}```"}),
        "JSON behind a fence on its line": f"```json\n{json.dumps({'code': PROGRAM})}```",
        "a call of a tool": f"<tool_call>\n{json.dumps({'name': 'x', 'arguments': {'code': PROGRAM}})}\n</tool_call>",
        "a call in a list": f"[TOOL_CALLS] [{json.dumps({'name': 'x', 'arguments': {'program': PROGRAM}})}]",
        "arguments as text": json.dumps({"function": {"arguments": json.dumps({"code": PROGRAM})}}),
        "parts of a content": json.dumps([{"type": "text", "text": f"Go.\n```python\n{PROGRAM}```"}]),
        "a notebook": fence(json.dumps({"cells": [{"source": PROGRAM.splitlines(keepends=True)}]}), "json"),
        "a literal of Python": repr({"code": PROGRAM}),
        "parameters of a call": f"<function=write>\n<parameter=code>\n{PROGRAM}</parameter>\n</function>",
        "character data": f"<program><![CDATA[\n{PROGRAM}]]></program>",
        "two tags on a line": f'<pre><code class="python">{PROGRAM}</code></pre>',
        "a heading": f"**Thinking:**\n{fence(DRAFT)}**Answer:**\n{fence(PROGRAM)}",
        "answer tags": f"<answer>\n{PROGRAM}</answer>",
        "code tags": f"Go. \n<code>{PROGRAM}</code>",
        "a fence in answer tags": f"<think>a\n{fence(DRAFT)}<answer>\n{fence(PROGRAM)}</answer>",
        "line breaks of another system": f"Go.\r```python\r{PROGRAM}```".replace("\n", "\r"),
        "a wrapped answer that ends open": f"Go.\n```python\n{PROGRAM}</answer>\nThanks.",
    }.items(),
    ids=lambda item: item[0],
)
def test_the_program_is_found_wherever_it_stands(answer: tuple[str, str]) -> None:
    assert parse_answer(answer[1]).source == PROGRAM


@pytest.mark.parametrize("indent", ["", "    "])
def test_a_fence_in_a_docstring_ends_no_program(indent: str) -> None:
    example = f"{indent}```python\n{indent}reward(after)\n{indent}```\n"
    before, after = ("", "def reward(after):\n") if not indent else ("def reward(after):\n", "")
    program = f'{before}{indent}"""Pays.\n\n{example}{indent}"""\n{after}    return {{"v": after.v}}\n'
    assert parse_answer(fence(program)).source == program


def test_marks_of_thoughts_in_strings_and_comments_of_a_program_are_text() -> None:
    program = (
        'def reward(after):\n    """As <think> says.\n<think>\n[/THINK] <|im_end|>\n    """\n'
        "    return {'v': after.v}  # </think>\n"
    )
    assert parse_answer(fence(program)).source == program


# ---------------------------------------------------------------- several programs


@pytest.mark.parametrize(
    "answer",
    {
        "equal": f"{fence(PROGRAM)}Again:\n{fence(PROGRAM)}",
        "marked final": f"{fence(DRAFT)}Here is the final program:\n{fence(PROGRAM)}",
        "marked in a comment": f"{fence(DRAFT)}and\n{fence('# Complete program' + chr(10) + PROGRAM)}",
        "marked, then an alternative": f"The complete program:\n{fence(PROGRAM)}Alternatively:\n{fence(DRAFT)}",
        "a draft before": f"First draft:\n{fence(DRAFT)}Now for real:\n{fence(PROGRAM)}",
        "a superset": f"{fence(WEIGHTLESS)}With weights:\n{fence(PROGRAM)}",
        "a sketch before": f"{fence('def reward(after):' + chr(10) + '    ...')}so\n{fence(PROGRAM)}",
        "a broken one before": f"{fence('def reward(after:')}I mean\n{fence(PROGRAM)}",
    }.items(),
    ids=lambda item: item[0],
)
def test_of_several_programs_the_one_that_is_meant_counts(answer: tuple[str, str]) -> None:
    source = parse_answer(answer[1]).source or ""
    assert source.removeprefix("# Complete program\n") == PROGRAM


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (f"{fence(DRAFT)}and\n{fence(PROGRAM)}", "2 different programs and does not say which"),
        (f"Final program:\n{fence(DRAFT)}Final program:\n{fence(PROGRAM)}", "2 different programs"),
        (f"This is not the final program:\n{fence(PROGRAM)}but\n{fence(DRAFT)}or\n", "WEIGHTS in another block"),
        (f"{fence(PROGRAM)}Now\n{fence('def reward(after:')}", "the last one is no valid Python"),
        (f"{PROGRAM}\nThat was one. Another:\n\n{DRAFT}", "2 different programs"),
    ],
)
def test_an_answer_that_does_not_say_which_program_it_means_is_asked_again(answer: str, problem: str) -> None:
    parsed = parse_answer(answer)
    assert parsed.source is None
    assert problem in str(parsed.problem)


# ---------------------------------------------------------------- one program in several blocks


def test_what_joins_follows_a_docstring_and_comes_before_its_use() -> None:
    program = '"""Pays."""\nfrom __future__ import annotations\n\ndef reward(after):\n    return {"v": near(after.v)}\n'
    helper = "# How near.\ndef near(x):\n    return x * K"
    source = parse_answer(f"{fence(program)}{fence('K = 2')}{fence(helper)}{fence('UNUSED = 1')}").source or ""
    assert source.startswith('"""Pays."""\nfrom __future__')
    assert source.index("K = 2") < source.index("# How near.") < source.index("def reward")
    assert "UNUSED" not in source


def test_declarations_on_neighbouring_lines_all_join() -> None:
    declarations = 'MEMORY = {"top": 0.0}\nWEIGHTS = {"v": 2.0}'
    function = 'def reward(after, memory):\n    return {"v": memory.top}\n'
    assert parse_answer(fence(declarations) + fence(function)).source == f"{declarations}\n\n{function}"


def test_code_without_fences_keeps_every_statement() -> None:
    program = f"import numpy as np\nK = 1\nK += 1\nfor _ in range(2):\n    K += 1\n{PROGRAM}"
    assert parse_answer(f"from the start it runs.\n\n{program}\nThat is it.").source == program


@pytest.mark.parametrize("wrap", [fence, str])
def test_a_method_of_a_class_is_no_program(wrap: Callable[[str], str]) -> None:
    parsed = parse_answer(wrap("class Reward:\n    def reward(self, after):\n        return {'v': after.v}\n"))
    assert parsed.source is None


def test_what_needs_the_program_at_once_follows_it() -> None:
    program = "SCALE = 2.0\n\ndef reward(after):\n    return {'v': after.v * TWICE}\n"
    source = parse_answer(f"{fence(program)}{fence('TWICE = 2 * SCALE')}").source
    assert source == f"{program}\nTWICE = 2 * SCALE\n"


def test_two_functions_in_two_blocks_are_one_program() -> None:
    answer = fence("def sparse(after):\n    return after.v > 1") + fence("def dense(after):\n    return after.v")
    source = parse_answer(answer, functions=("sparse", "dense")).source or ""
    assert "def sparse" in source
    assert "def dense" in source


@pytest.mark.parametrize(
    "example",
    [
        fence("after = State()\nWIDTH = 3\nprint(reward(after))"),
        fence("pip install numpy", "bash"),
        fence("def test_reward():\n    assert reward(1)"),
        fence("v: 1.0", "text"),
        'Use it so: `WEIGHTS = {"v": 1.0}`',
    ],
)
def test_examples_of_use_do_not_join(example: str) -> None:
    assert parse_answer(f"{fence(PROGRAM)}{example}").source == PROGRAM


def test_the_part_for_a_script_of_its_own_is_left_out() -> None:
    assert parse_answer(fence(f'{PROGRAM}\nif __name__ == "__main__":\n    print(reward(1))\n')).source == PROGRAM


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (fence(PROGRAM) + fence('WEIGHTS = {"v": 2.0}'), "defines WEIGHTS in several blocks with different values"),
        (fence('WEIGHTS = {"v": 2}') + fence('WEIGHTS = {"v": 3}') + fence(WEIGHTLESS), "WEIGHTS in several blocks"),
        (fence('WEIGHTS = {"v": 2,}}') + fence(WEIGHTLESS), "WEIGHTS in a block that is no valid Python"),
        ('WEIGHTS = {"v": 2}\n\n' + fence(WEIGHTLESS), "WEIGHTS outside of the fenced block"),
        ('Take `WEIGHTS = {"v": 2}`.\n' + fence(WEIGHTLESS), "WEIGHTS outside of the fenced block"),
        ('- WEIGHTS = {"v": 2}\n\n' + fence(PROGRAM), "WEIGHTS outside of the fenced block"),
        ('```python WEIGHTS = {"v": 2}\n' + WEIGHTLESS + "```", "WEIGHTS outside of the fenced block"),
        (fence(PROGRAM) + fence('WEIGHTS["v"] = 2'), "defines WEIGHTS in several blocks"),
        (fence(PROGRAM) + fence('WEIGHTS.update({"v": 2})'), "defines WEIGHTS in several blocks"),
        (json.dumps({"weights": {"v": 2.0}, "code": WEIGHTLESS}), "a dict of numbers in a block of its own"),
        (json.dumps({"WEIGHTS": {"v": 2.0}, "code": WEIGHTLESS}), "WEIGHTS outside of the fenced block"),
        (fence('{"v": 2.0}', "json") + fence(WEIGHTLESS), "a dict of numbers in a block of its own"),
        (f"A draft:\n{fence(PROGRAM)}The final program:\n{fence(WEIGHTLESS)}", "WEIGHTS in another block"),
        (fence("[weights]\nv = 2.0", "toml") + fence(WEIGHTLESS), "weights in a block of its own"),
        (fence("weights:\n  v: 2.0", "yaml") + fence(WEIGHTLESS), "weights in a block of its own"),
        (fence('{"WEIGHTS": {"v": 2.0}}', "json") + fence(WEIGHTLESS), "weights in a block of its own"),
        ('WEIGHTS: {"v": 2}\n\n' + fence(WEIGHTLESS), "WEIGHTS outside of the fenced block"),
        (fence("K = 1") + fence("K = 2") + fence("def reward(after):\n    return {'v': K * after.v}"), "defines K in"),
    ],
)
def test_weights_and_values_that_are_not_certain_are_asked_again(answer: str, problem: str) -> None:
    parsed = parse_answer(answer)
    assert parsed.source is None
    assert problem in str(parsed.problem)


# ---------------------------------------------------------------- what is not repaired


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def reward(after):\n    return {“v”: after.v}", "line 2 of the program has an invalid character '“'"),
        ("def reward(after):\n\u00a0\u00a0return {'v': after.v}", "line 2 of the program has an invalid non-printable"),
        ("def reward(after):\n    return {'v': after.\u200bv}", "invalid non-printable character U+200B"),
        ("def reward(after):\n    return {'v': after.v − 1}", "invalid character '−'"),
        ("def reward(after):\n    return {'v': np.where(after.v &lt; 1, 0, 1)}", "escaped as HTML, with &lt;"),
        ("def reward(after):\n    fast = after.v &gt; 1\n    return {'v': fast}", "escaped as HTML, with &gt;"),
        ("def reward(after):\n    return {&quot;v&quot;: after.v}", "escaped as HTML, with &quot;"),
    ],
)
def test_characters_that_are_not_pythons_are_named_and_not_replaced(code: str, problem: str) -> None:
    parsed = parse_answer(fence(code))
    assert parsed.source is None
    assert problem in str(parsed.problem)


def test_such_characters_in_strings_and_comments_are_fine() -> None:
    program = "def reward(after):\n    'A “&lt;” b'\n    return {'v': after.v}  # − \u00a0 &lt;\n"
    assert parse_answer(fence(program)).source == program


def test_a_program_whose_end_is_not_certain_is_not_taken_from_an_answer_that_was_cut_off() -> None:
    for answer in (f"```python\n{WEIGHTLESS}", WEIGHTLESS, f"<think>a <think> b</think>{fence(WEIGHTLESS)}"):
        parsed = parse_answer(answer, cut_off=True)
        assert parsed.source is None
        assert "cut off" in str(parsed.problem)


def test_an_answer_beyond_the_bound_is_refused_unread() -> None:
    assert "characters, at most" in str(parse_answer("x" * (MAX_ANSWER_CHARS + 1)).problem)


@pytest.mark.parametrize(
    "unit",
    [
        "`",
        "```\n",
        "```python\n",
        "<think>",
        "</think>",
        "<think>a</think>",
        "\n",
        "<",
        "WEIGHTS = {",
        "def reward(",
        ">",
    ],
)
def test_a_hostile_answer_is_read_in_linear_time(unit: str) -> None:
    def measure(chars: int) -> float:
        text = (unit * chars)[:chars]
        started = time.process_time()
        parse_answer(text)
        return time.process_time() - started

    assert measure(400_000) < 20 * max(measure(100_000), 0.005)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (fence(PROGRAM.replace("\n", "\\n")), "escaped"),
        (fence("".join(f"{n} {line}\n" for n, line in enumerate(PROGRAM.splitlines(), 1))), "begins with a number"),
        (fence("".join(f"+{line}\n" for line in PROGRAM.splitlines()), "diff"), "diff"),
        (fence("class R:\n    def reward(self, after):\n        return {}\n"), "inside of another statement"),
        (fence("reward = lambda after: {'v': after.v}"), "lambda"),
        (fence(PROGRAM.replace("def reward", "def\u200b reward")), "invisible"),
        (fence(PROGRAM.replace("reward(after)", "reward\uff08after)")), "full-width"),
        (fence(PROGRAM.replace("reward", "compute_reward")), "it defines 'compute_reward'"),
    ],
)
def test_a_form_that_comes_near_to_a_program_is_named(answer: str, reason: str) -> None:
    parsed = parse_answer(answer)
    assert parsed.source is None
    assert reason in str(parsed.problem)
