"""Files from outside are read within bounds, and whatever is wrong is one line about the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardsmith.contract.bounded_files import (
    MAX_DEPTH,
    DamagedFile,
    iter_lines,
    parse_json,
    parse_toml,
    read_bytes,
)

HERE = Path("file")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("[" * 100_000, "deep"),
        ('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), "deep"),
        ("[{" * 50_000, "deep"),
        ('{"a": {"b": 1, "b": 2}}', "'b' occurs twice"),
        ("[NaN]", "NaN"),
        ("[-Infinity]", "-Infinity"),
        ("[1e999]", "out of range"),
        ("[" + "1" * 400 + ".0]", "out of range"),
        ("9" * 5_000, "limit"),
        ("{} x", "no JSON"),
    ],
    ids=[
        "empty",
        "deep",
        "a-level-too-deep",
        "deep-mixed",
        "twice",
        "nan",
        "infinity",
        "huge",
        "many-digits",
        "digits",
        "rest",
    ],
)
def test_what_is_no_strict_json_is_damaged(text: str, reason: str) -> None:
    with pytest.raises(DamagedFile, match=rf"^file, line 7 is damaged: .*{reason}") as refused:
        parse_json(text, HERE, 7)
    assert "\n" not in str(refused.value)


def test_brackets_in_strings_are_no_nesting() -> None:
    assert parse_json('["' + "[{" * 200 + '\\""]', HERE) == ["[{" * 200 + '"']
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, HERE)
    assert parse_toml("a = '" + "[" * 200 + "' # " + "{" * 200, HERE) == {"a": "[" * 200}


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 100_000, "a = " + "{b = " * 5_000, ".".join("a" * 5_000) + " = 1", f"[{'.'.join('a' * 5_000)}]"],
    ids=["lists", "tables", "dotted", "header"],
)
def test_toml_that_is_nested_too_deep_is_damaged(text: str) -> None:
    with pytest.raises(DamagedFile, match="deep"):
        parse_toml(text, HERE)


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_damaged(content: bytes) -> None:
    try:
        parse_json(content, HERE)
    except DamagedFile as error:
        assert "\n" not in str(error)


@given(st.text(alphabet="[]{}\"'=.,#a1\n\\", max_size=200))
def test_any_text_is_toml_or_damaged(text: str) -> None:
    try:
        parse_toml(text, HERE)
    except DamagedFile as error:
        assert "\n" not in str(error)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "a pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device")):
        with pytest.raises(DamagedFile, match=f"it is {kind}, where a file should be"):
            read_bytes(path)
        with pytest.raises(DamagedFile, match=kind):
            list(iter_lines(path))


def test_a_file_beyond_the_bound_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "big").touch()
    os.truncate(tmp_path / "big", 1 << 40)
    with pytest.raises(DamagedFile, match="more than 16,777,216 bytes"):
        read_bytes(tmp_path / "big")
    with pytest.raises(DamagedFile, match="line 1 is damaged: it has more than"):
        list(iter_lines(tmp_path / "big"))


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"a\nb\ntorn")
    assert list(iter_lines(tmp_path / "lines")) == [(1, b"a"), (2, b"b")]
