"""The part of the reward contract that can be checked from a program's text."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.program_edits import replace_weights
from rewardsmith.contract.reward_files import MAX_FILE_BYTES, load_reward
from rewardsmith.contract.reward_program import MAX_SOURCE_CHARS, parse_program

HOPPER = dedent(
    '''
    """Hop forward."""
    import numpy as np

    WEIGHTS = {
        "progress": 1.0,  # metres per second
        "effort": 1e-3,
    }


    def reward(before, action, after, start):
        rise = after.height - start.height
        return {"progress": after.speed, "effort": -np.sum(action**2, axis=1), "rise": rise - before.height}
    '''
)


def findings(source: str) -> dict[str, int | None]:
    with pytest.raises(ProgramError) as caught:
        parse_program(source)
    return {finding.code: finding.line for finding in caught.value.findings}


def test_a_program_tells_its_weights_arguments_and_signals():
    program = parse_program(HOPPER)
    assert program.weights == {"progress": 1.0, "effort": 0.001}
    assert program.arguments == ("before", "action", "after", "start")
    assert program.reads == {"before": ("height",), "after": ("height", "speed"), "start": ("height",)}
    assert program.signals == ("height", "speed")


def test_a_term_without_a_weight_counts_one():
    assert parse_program(HOPPER).weight("rise") == 1.0


def test_memory_is_read_with_its_first_values():
    program = parse_program("MEMORY = {'best': -1}\ndef reward(after, memory):\n    return {'t': memory.best}")
    assert program.memory == {"best": -1.0}


def test_memory_that_reward_does_not_take_is_no_error():
    assert parse_program("MEMORY = {'best': 0}\ndef reward(after):\n    return {'t': after.x}").memory == {"best": 0.0}


def test_of_two_assignments_the_last_counts_as_it_does_when_the_text_runs():
    program = parse_program("WEIGHTS = {'t': 1}\nWEIGHTS = {'t': 2}\ndef reward(after):\n    return {'t': after.x}")
    assert program.weights == {"t": 2.0}


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("def reward(after):\n    return {'t': after.x", "syntax", 2),
        ("x = '\x00'", "syntax", None),
        ("-" * 40_000 + "1", "syntax", None),
        ("def score(after):\n    return {}", "no-function", None),
        ("async def reward(after):\n    return {}", "no-function", None),
        ("def reward(after):\n    return {}\ndef reward(after):\n    return {}", "two-functions", 3),
        ("def reward(after, goal):\n    return {}", "signature", 1),
        ("def reward(*after):\n    return {}", "signature", 1),
        ("def reward(after, /):\n    return {}", "signature", 1),
        ("def reward(after=None):\n    return {}", "signature", 1),
        ("def reward(after):\n    after.x", "no-return", 1),
        ("WEIGHTS = make()\ndef reward(after):\n    return {}", "weights", 1),
        ("WEIGHTS = {'t': 1e999}\ndef reward(after):\n    return {}", "weights", 1),
        ("WEIGHTS = {'t': '1'}\ndef reward(after):\n    return {}", "weights", 1),
        ("WEIGHTS = {'a b': 1}\ndef reward(after):\n    return {}", "weights", 1),
        ("WEIGHTS: dict\ndef reward(after):\n    return {}", "weights", 1),
        ("MEMORY = {'best': [0]}\ndef reward(after, memory):\n    return {}", "memory", 1),
    ],
)
def test_a_breach_of_the_contract_is_found_with_its_line(source, code, line):
    found = findings(source)
    assert code in found
    assert line is None or found[code] == line


def test_every_breach_is_told_at_once():
    assert set(findings("WEIGHTS = 3\ndef reward(goal):\n    pass")) == {"weights", "signature", "no-return"}


def test_an_overlong_text_is_refused_unread():
    assert set(findings("(" * (MAX_SOURCE_CHARS + 1))) == {"too-long"}


def test_the_message_names_the_lines():
    with pytest.raises(ProgramError, match=r"line 1: reward\(\) has an argument 'goal'; allowed are: (.*)") as failure:
        parse_program("def reward(goal):\n    return {}")
    assert "allowed are: before, action, after, terminated, start, memory" in str(failure.value)


def test_a_reward_file_is_read_from_disk(tmp_path: Path):
    (tmp_path / "reward.py").write_text(HOPPER, encoding="utf-8")
    assert load_reward(tmp_path / "reward.py").source == HOPPER


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"\xff\xfe", "line 1 is not UTF-8 text; save the file in the encoding UTF-8"),
        ("x = 1\n# Höhe".encode("latin-1"), "line 2 is not UTF-8 text; save the file in the encoding UTF-8"),
        (b"", "is empty; it has to define a function `reward`"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
    ],
)
def test_an_unreadable_reward_file_is_named_with_the_reason(tmp_path: Path, content: bytes | None, reason: str):
    path = tmp_path / "reward.py"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProgramError, match=f"{path}.*{reason}"):
        load_reward(path)


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_reward_file_may_begin_with_a_mark_and_break_lines_as_it_likes(
    tmp_path: Path, begin: bytes, line_break: bytes
):
    path = tmp_path / "reward.py"
    path.write_bytes(begin + HOPPER.encode().replace(b"\n", line_break))
    assert load_reward(path).source == HOPPER


def test_annotations_of_unknown_types_are_read():
    text = Path("tests/fixtures/cases/annotated.py").read_text(encoding="utf-8")
    assert parse_program(text).reads["after"] == ("x_velocity",)


def test_reweighing_keeps_every_other_character():
    assert replace_weights(HOPPER, {"effort": 0.5}) == HOPPER.replace("1e-3", "0.5")


def test_reweighing_adds_the_weights_that_are_missing():
    program = parse_program(replace_weights(HOPPER, {"rise": 2.0, "progress": -3.0}))
    assert program.weights == {"progress": -3.0, "effort": 0.001, "rise": 2.0}


def test_reweighing_fills_an_empty_dict():
    source = "WEIGHTS = {}\ndef reward(after):\n    return {'t': after.x}"
    assert parse_program(replace_weights(source, {"t": 2.0})).weights == {"t": 2.0}


@pytest.mark.parametrize("head", ["", '"""Ünï."""\nimport math\n', "import math; A = 1\n", "from math import pi\r\n"])
def test_reweighing_writes_the_weights_of_a_program_that_has_none(head: str):
    source = head + "def reward(after):\n    return {'t': after.x}\n"
    assert parse_program(replace_weights(source, {"t": 2.0})).weights == {"t": 2.0}


def test_reweighing_writes_the_weights_above_a_decorator():
    source = "@np.errstate(all='ignore')\ndef reward(after):\n    return {'t': after.x}\n"
    assert replace_weights(source, {"t": 2.0}) == 'WEIGHTS = {"t": 2.0}\n\n\n' + source


def test_reweighing_counts_columns_past_wide_characters():
    source = "X = 'ü'; WEIGHTS = {'ä': 1, 'b': 2}\ndef reward(after):\n    return {'ä': after.x}"
    assert replace_weights(source, {"b": 3.0, "ä": 4.0}).splitlines()[0] == "X = 'ü'; WEIGHTS = {'ä': 4.0, 'b': 3.0}"


def test_reweighing_no_program_is_refused():
    with pytest.raises(ProgramError):
        replace_weights("def score(): pass", {"t": 1.0})


def test_a_file_is_read_no_further_than_its_largest_size(tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text("#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ProgramError, match="has more than the 1,048,576 bytes allowed"):
        load_reward(tmp_path / "reward.py")
    with pytest.raises(ProgramError, match="has more than"):
        load_reward("/dev/zero")


def test_an_error_names_a_few_of_thousands_of_findings() -> None:
    arguments = ", ".join(f"a{i}" for i in range(3_000))
    with pytest.raises(ProgramError, match="and 2,988 more of this kind") as error:
        parse_program(f"def reward({arguments}):\n    return {{'t': 1}}")
    assert len(error.value.findings) == 13
    assert len(str(error.value)) < 3_000


@pytest.mark.parametrize(
    "source",
    [
        "WEIGHTS, K = {'a': 3}, 1\ndef reward(after):\n    return {'a': after.v}",
        "K = (WEIGHTS := {'a': 3})\ndef reward(after):\n    return {'a': after.v}",
        "def reward(after):\n    WEIGHTS = {'a': 3}\n    return {'a': after.v}",
        "def reward(after):\n    return {'a': after.v}\nif True:\n    OBSERVATION = ['v']",
    ],
)
def test_a_declaration_that_would_not_be_read_is_refused(source: str) -> None:
    with pytest.raises(ProgramError, match="is declared where it is not read; assign it at the top level"):
        parse_program(source)


def test_a_declaration_may_have_a_second_name() -> None:
    assert parse_program("K = WEIGHTS = {'a': 3}\ndef reward(after):\n    return {'a': after.v}").weights == {"a": 3.0}
