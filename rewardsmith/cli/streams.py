"""Standard streams of the command: open, and able to write every character in some form."""

from __future__ import annotations

import io
import os
import sys

STREAMS = ("stdin", "stdout", "stderr")
"""Names of the streams; the place of each is the number of its descriptor."""


def prepare_streams() -> None:
    """Open the streams that the shell closed (`>&-`), and replace characters that an encoding lacks.

    Call it before anything else is opened: a file would get the number of a closed stream, and what processes print
    would be written into it.
    """
    for descriptor, name in enumerate(STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")
