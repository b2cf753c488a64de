"""Reward files: a program's text read from a file of its own, or from one that `rewardsmith export` wrote."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.reward_program import RewardProgram, parse_program

EXPORT_RULE = "# " + "-" * 64 + " "
EXPORTED = "the reward program"
"""The rule above each part of an exported file, and the title of the part that is the program."""
_EXPORTED = re.compile(rf"^{EXPORT_RULE}{EXPORTED}\n(.*?)(?=^{EXPORT_RULE}|\Z)", re.MULTILINE | re.DOTALL)
MAX_FILE_BYTES = 1 << 20
"""A reward file is read no further: it holds a program, and where it was exported the helpers that this uses."""


def load_reward(path: Path | str) -> RewardProgram:
    """Read a reward program from a file.

    Raises:
        ProgramError: if the file cannot be read as text, or its text is no program.
    """
    text = _read_text(Path(path))
    # Parsed on the lines that it has in the file first, so that an error names them.
    program = parse_program(_keep_program_lines(text))
    exported = _EXPORTED.search(text)
    return parse_program(exported[1].strip("\n") + "\n") if exported else program


def read_source(path: Path) -> str:
    """Read the text of a reward file, which need not be a program.

    Of a file that `rewardsmith export` wrote it is the program's part, on the lines that it has in the file.

    Raises:
        ProgramError: if it cannot be read as text.
    """
    return _keep_program_lines(_read_text(path))


def _keep_program_lines(text: str) -> str:
    exported = _EXPORTED.search(text)
    return text if exported is None else "\n" * text.count("\n", 0, exported.start(1)) + exported[1]


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ProgramError(f"the reward file {str(path)!r} has more than the {MAX_FILE_BYTES:,} bytes allowed")
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig").read()
    except OSError as error:
        raise ProgramError(f"cannot read the reward file {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = f"line {line} is not UTF-8 text; save the file in the encoding UTF-8"
        raise ProgramError(f"cannot read the reward file {str(path)!r}: {reason}") from error
    if not text.strip():
        raise ProgramError(f"the reward file {str(path)!r} is empty; it has to define a function `reward`")
    return text
