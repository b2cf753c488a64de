"""A case of the sandbox's contract: a text that a reward process is handed, and what must come of it.

No static check looks at the texts. Most of them first climb out of the names that a program is given, as any
determined text can (`PRELUDE`), so that what is proven is the seal and not the manners of the harness. A refusal by
the seal names the system call, which shows that the attempt got as far as the kernel.
"""

from __future__ import annotations

import os
import platform
import tempfile
import textwrap
from dataclasses import dataclass

from rewardsmith.sandbox.inside.syscalls import TABLES

MACHINE = platform.machine()
NUMBERS = TABLES.get(MACHINE, {})
CANARY = f"{tempfile.gettempdir()}/rewardsmith-canary-{os.getpid()}"
"""A file that the tests make, readable and writeable by everybody."""

PRELUDE = f"""
sys = next(c for c in object.__subclasses__() if c.__name__ == "catch_warnings").__init__.__globals__["sys"]
posix, ctypes, real = sys.modules["posix"], sys.modules["ctypes"], sys.modules["builtins"]
libc = ctypes.CDLL(None)
canary = {CANARY!r}
"""
"""Code that recovers what the harness withholds: the real builtins, the raw system interface, and C."""


@dataclass(frozen=True)
class Refused:
    """The program fails, with this code and a message that matches."""

    code: str
    says: str = ""


@dataclass(frozen=True)
class Scored:
    """The program is scored: an honest text, or one whose attempt does nothing."""


@dataclass(frozen=True)
class Contained:
    """Either: it reaches only itself. The figures are finite, and the next process is as good as the first."""


@dataclass(frozen=True)
class Case:
    """A text and its verdict."""

    name: str
    text: str
    verdict: Refused | Scored | Contained
    untested: str = ""
    """Why this machine cannot run it."""
    timeout_s: float = 10.0


def attack(name: str, statements: str, verdict: Refused | Scored | Contained, timeout_s: float = 10.0) -> Case:
    """Return a case whose statements run inside reward()."""
    body = textwrap.indent(textwrap.dedent(statements).strip(), "    ")
    text = f"{PRELUDE}\ndef reward(before, action, after):\n{body}\n    return {{'a': after.x}}\n"
    return Case(name, text, verdict, timeout_s=timeout_s)


def system_call(call: str, arguments: str = "0, 0, 0, 0, 0, 0", name: str | None = None) -> Case:
    """Return a case that makes a system call, whose name the refusal must tell."""
    statements = f"libc.syscall({NUMBERS.get(call, -1)}, {arguments})"
    case = attack(name or f"call {call}", statements, Refused("killed", rf"system call \({call}\)"))
    untested = "" if call in NUMBERS else f"not tested: {MACHINE} has no system call {call}"
    return Case(case.name, case.text, case.verdict, untested)


def honest(name: str, text: str) -> Case:
    """Return a case that must be scored."""
    return Case(name, textwrap.dedent(text), Scored())


OPEN = Refused("error", r"PermissionError: \[Errno 13\] Permission denied")
NO_PROCESS = Refused("killed", r"system call \((clone3?|v?fork|gettid)\)")
OUT_OF_MEMORY = Refused("memory", "MemoryError")
LATE = Refused("timeout", "took longer than 0.3 s")
