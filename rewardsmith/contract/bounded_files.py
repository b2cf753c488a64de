"""Files from outside, which may hold anything: read within bounds, and parsed as JSON or TOML.

A run directory, a ledger, a task card may come from anybody. So only regular files are read (a pipe or a device would
never end), of bounded size and nesting, as strict JSON without NaN and without a key that occurs twice. Whatever is
wrong is a `DamagedFile`, whose message is one line; an `OSError` says that there is no file, or that it cannot be read.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

MAX_BYTES = 16 << 20
"""Largest file, and longest line of a journal or ledger; a result of 1,000 candidates has about 8 MiB."""
MAX_DEPTH = 64
"""Deepest nesting of lists and tables; the deepest record has about 12."""

_JSON_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TOML_STRING_OR_COMMENT = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|\'[^\'\n]*+\'|#[^\n]*+', re.DOTALL
)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DEPTH_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class DamagedFile(ValueError):
    """Raised when a file is not what it should be.

    Attributes:
        reason: what is wrong, without the file's name.
    """

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        super().__init__(f"{path}{f', line {line}' if line else ''} is damaged: {reason}")
        self.reason = reason


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether an error, or one that led to it, is that of a full disk or of an exhausted quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def explain_write_error(error: BaseException) -> str:
    """Return why a file cannot be written and what to do about it, as the middle of a sentence.

    >>> explain_write_error(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full; make room'
    >>> explain_write_error(OSError(errno.EACCES, "Permission denied"))
    'Permission denied; mend that'
    """
    if is_disk_full(error):
        return "the disk is full; make room"
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{reason or error}; mend that"


# ---------------------------------------------------------------- reading


def open_regular(path: Path, flags: int = os.O_RDONLY) -> io.FileIO:
    """Open a file that must be a regular one, without waiting for anything.

    Args:
        path: of the file.
        flags: of `os.open`; the file object reads, and writes as far as they allow it.

    Raises:
        OSError: if there is no such file, or it cannot be opened.
        DamagedFile: if it is a folder, a pipe, a socket or a device.
    """
    # Opening a pipe would wait for its other end, and opening a terminal could make it this process's own.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise DamagedFile(path, f"it is {describe_kind(mode)}, where a file should be")
    return io.FileIO(descriptor, "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "r+b")


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a file of bounded size; see `open_regular` for what it raises."""
    with open_regular(path) as file:
        # One byte more than is allowed, so that a file which grows meanwhile is noticed too.
        parts, left = [], max_bytes + 1
        while left and (part := file.read(left)):
            parts.append(part)
            left -= len(part)
    if not left:
        raise DamagedFile(path, f"it has more than {max_bytes:,} bytes")
    return b"".join(parts)


def read_text(path: Path) -> str:
    """Read a file of UTF-8 text; see `open_regular` for what it raises."""
    return _decode(read_bytes(path), path)


def iter_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the content of each line that is whole; what follows the last line break was torn off.

    Raises:
        OSError: if there is no file, or it cannot be read.
        DamagedFile: if it is not a regular file, or a line is too long.
    """
    with io.BufferedReader(open_regular(path)) as file:
        number = 0
        while line := file.readline(MAX_BYTES + 1):
            number += 1
            if line.endswith(b"\n"):
                yield number, line[:-1]
            elif len(line) > MAX_BYTES:
                raise DamagedFile(path, f"it has more than {MAX_BYTES:,} bytes", number)


def describe_kind(mode: int) -> str:
    """Return what a file of this mode is, if it is not a regular one.

    >>> describe_kind(stat.S_IFIFO)
    'a pipe'
    """
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


# ---------------------------------------------------------------- parsing


def read_json(path: Path) -> Any:
    """Read a JSON file; see `open_regular` and `parse_json` for what it raises."""
    return parse_json(read_bytes(path), path)


def parse_json(content: bytes | str, path: Path, line: int | None = None) -> Any:
    """Parse JSON.

    Args:
        content: the JSON.
        path: of its file, for the message.
        line: of the file, where the content is one of its lines.

    Raises:
        DamagedFile: if it is not JSON, or is nested too deeply, or has a key twice, NaN, or a number out of range.
    """
    text = content if isinstance(content, str) else _decode(content, path, line)
    _check_depth(text, _JSON_STRING, path, line)
    try:
        return _STRICT_DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f" (column {error.colno})" if line else f" (line {error.lineno})"
        raise DamagedFile(path, "it is empty" if not text.strip() else f"no JSON: {error.msg}{where}", line) from error
    except ValueError as error:
        raise DamagedFile(path, str(error).partition("; use sys.")[0], line) from error


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Parse TOML.

    Args:
        text: the TOML; a byte order mark, which some editors write, is skipped.
        path: of its file, for the message.

    Raises:
        DamagedFile: if it is not TOML, or is nested too deeply.
    """
    _check_depth(text, _TOML_STRING_OR_COMMENT, path, None)
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise DamagedFile(path, str(error)) from error
    except RecursionError as error:
        raise DamagedFile(path, f"it is nested more than {MAX_DEPTH} deep") from error

    # Names with dots nest without brackets.
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [inner for table in level for inner in _list_inner(table)]
        if not level:
            return document
    raise DamagedFile(path, f"it is nested more than {MAX_DEPTH} deep")


def _list_inner(value: Any) -> list[Any]:
    """Return the tables and lists directly inside of one."""
    values = value.values() if isinstance(value, dict) else value
    return [inner for inner in values if isinstance(inner, dict | list)]


def _decode(content: bytes, path: Path, line: int | None = None) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFile(path, f"it is not UTF-8 text (byte {error.start})", line) from error


def _check_depth(text: str, string: re.Pattern[str], path: Path, line: int | None) -> None:
    """Refuse what a parser would follow too deep; parsers are recursive, and Python's stack is not."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    brackets = string.sub("", text).encode("utf-8", "surrogatepass").translate(None, _NO_BRACKETS)

    # Take out what is closed at once, at most two layers at a time; of nearly every file nothing is left after a few.
    rest = brackets
    for _ in range(MAX_DEPTH // 2):
        rest = rest.replace(b"[]", b"").replace(b"{}", b"")
        if not rest:
            return
    if max(accumulate(map(_DEPTH_STEP.__getitem__, brackets))) > MAX_DEPTH:
        raise DamagedFile(path, f"it is nested more than {MAX_DEPTH} deep", line)


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} occurs twice")
    return built


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is out of range")
    return number


_STRICT_DECODER = json.JSONDecoder(
    object_pairs_hook=_build_object, parse_float=_parse_finite, parse_constant=_refuse_constant
)
