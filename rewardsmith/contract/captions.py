"""Captions of transitions, and what a language model says of them.

The worker has the captions, the orchestrator asks. Labels lie in `labels/<signal>.jsonl` of a run directory, a line
each; the orchestrator appends to the file, and workers read what is new in it. So every job of a run has all labels so
far, also an evaluation or a film.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract.records import dump, load
from rewardsmith.contract.text import flatten_text

CAPTION_CHARS = 200
"""Longest caption; a longer one is cut."""
TEXT_NUMBERS = 256
"""Numbers that a text in `info` is read as: its characters' codes, and zeros."""
LABELS_FOLDER = "labels"
"""Folder of a run directory."""
REPORT_STEPS = 1024
"""A training reports new captions at most once in so many environment steps, and each report is a call at most."""


@dataclass(frozen=True)
class CaptionLabel:
    """A caption, and whether it tells of something that helps with the task."""

    caption: str
    helpful: bool


@dataclass(frozen=True)
class CaptionPreference:
    """Two captions, and which of them tells of more progress."""

    first: str
    second: str
    better: int
    """1 the first, 2 the second, 0 neither."""


Label = CaptionLabel | CaptionPreference


def clean_caption(text: str) -> str:
    r"""Return a text as a caption: one printable line, in the form in which prompts have it.

    >>> clean_caption("You see  here\na key | (locked)")
    'You see here a key / (locked)'
    """
    return flatten_text(text.replace("|", "/"), CAPTION_CHARS)


def encode_label(label: Label) -> bytes:
    """Return a label as a line of the table."""
    return json.dumps(dump(label)).encode() + b"\n"


class LabelTable:
    """The labels of a signal, in a file that grows."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self._path = path
        self._size = 0

    @classmethod
    def find(cls, signal: str, folder: Path) -> LabelTable | None:
        """Return the table of the run that a job's folder belongs to; None where it belongs to none."""
        paths = (parent / LABELS_FOLDER / f"{signal}.jsonl" for parent in (folder, *folder.parents))
        return next((cls(path) for path in paths if path.is_file()), None)

    def read_new(self) -> Iterator[Label]:
        """Yield the labels that were added since the last call; a line that is still being written waits.

        Raises:
            OSError: if the file cannot be read.
        """
        if self._path.stat().st_size <= self._size:
            return
        with self._path.open("rb") as file:
            file.seek(self._size)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._size += len(whole) + len(newline)
        for line in whole.splitlines():
            yield load(Label, json.loads(line))  # type: ignore[arg-type]
