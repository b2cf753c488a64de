"""The list of system calls that a sealed process may make, assembled into a seccomp-BPF filter.

Everything that is not on the list ends the process. `ALLOWED` and `DENIED` are the whole policy; `assemble_filter`
turns them into the instructions that the kernel runs before every call.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

from . import syscalls

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""How the kernel names the machine in what it shows a filter (linux/audit.h)."""

KILL, TRAP, DENY, ALLOW = 0x80000000, 0x00030000, 0x00050000 | errno.EACCES, 0x7FFF0000
"""Verdicts: end the process at once; signal SIGSYS, whose handler names the call and ends the process; let the call
fail with "permission denied"; let it pass."""

LOAD, AND, EQUALS, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
"""BPF instructions: A = data[k]; A &= k; jump if A == k; jump if A >= k; verdict k."""

INSTRUCTION_BYTES = 8
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16
"""Offsets in struct seccomp_data; an argument is 8 bytes, and little-endian machines have its low half first."""

X32_BIT = 0x40000000
"""Set in the numbers of x86_64's second, 32-bit set of calls, which the list does not know."""

PROT_EXEC, MAP_ANONYMOUS = 0x4, 0x20
MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE = 4, 8, 14, 15
FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, FUTEX_COMMAND = 0, 1, 9, 10, 0x7F


@dataclass(frozen=True)
class ArgumentCheck:
    """A condition on an argument: its low 32 bits, masked, are one of the values."""

    argument: int
    mask: int
    values: tuple[int, ...]


@dataclass(frozen=True)
class SyscallRule:
    """A system call that passes if every check holds, and why the process needs it."""

    name: str
    why: str
    checks: tuple[ArgumentCheck, ...] = ()


_NOT_EXECUTABLE = ArgumentCheck(2, PROT_EXEC, (0,))
_ANY_BITS = 0xFFFFFFFF

ALLOWED = (
    SyscallRule("read", "wait for a call on descriptor 0, the only one that can be read",
         (ArgumentCheck(0, _ANY_BITS, (0,)),)),
    SyscallRule("write", "answer on descriptor 1; 2 is closed, so that C code that complains there does no harm",
         (ArgumentCheck(0, _ANY_BITS, (1, 2)),)),
    SyscallRule("mmap", "malloc and NumPy: private memory that no file backs and that cannot be executed",
         (_NOT_EXECUTABLE, ArgumentCheck(3, MAP_ANONYMOUS, (MAP_ANONYMOUS,)))),
    SyscallRule("munmap", "malloc gives memory back"),
    SyscallRule("mremap", "realloc of large blocks"),
    SyscallRule("mprotect", "malloc grows an arena; never executable", (_NOT_EXECUTABLE,)),
    SyscallRule("brk", "malloc's heap"),
    SyscallRule("madvise", "NumPy asks for huge pages, malloc returns free ones",
         (ArgumentCheck(2, _ANY_BITS, (MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE)),)),
    SyscallRule("futex", "the interpreter's locks; only plain waiting and waking",
         (ArgumentCheck(1, FUTEX_COMMAND, (FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET)),)),
    SyscallRule("clock_gettime", "the interpreter's timed locks where the kernel offers no clock without a call"),
    SyscallRule("restart_syscall", "the kernel resumes a wait after the process was stopped and continued"),
    SyscallRule("exit", "end"),
    SyscallRule("exit_group", "end"),
)  # fmt: skip
"""What passes, most frequent first; `docs/sandbox.md` says what each is worth to an attacker."""

DENIED = (
    SyscallRule("openat", "the parser looks for the file of a text with a syntax error, and takes a no for an answer"),
)
"""What fails without ending the process."""


def assemble_filter(machine: str) -> bytes:
    """Return the filter as an array of struct sock_filter, for `os.uname().machine`."""
    program = [
        _load_word(ARCH_AT),
        _jump_if(EQUALS, AUDIT_ARCH[machine], 1, 0),
        _return_verdict(KILL),
        _load_word(NUMBER_AT),
    ]
    if machine == "x86_64":
        program += [_jump_if(AT_LEAST, X32_BIT, 0, 1), _return_verdict(KILL)]
    for verdict, rules in ((ALLOW, ALLOWED), (DENY, DENIED)):
        for rule in rules:
            program += _assemble_block(syscalls.TABLES[machine][rule.name], rule.checks, verdict)
    return b"".join([*program, _return_verdict(TRAP)])


def _assemble_block(number: int, checks: tuple[ArgumentCheck, ...], verdict: int) -> list[bytes]:
    """Return the instructions for one call: skipped for any other call, else the verdict or, if a check fails, TRAP."""
    body: list[bytes] = []
    for check in checks:
        body += [_load_word(ARGUMENTS_AT + 8 * check.argument), struct.pack("<HBBI", AND, 0, 0, check.mask)]
        for position, value in enumerate(check.values):
            to_the_end_of_the_check = len(check.values) - position
            body.append(_jump_if(EQUALS, value, to_the_end_of_the_check, 0))
        body.append(_return_verdict(TRAP))
    body.append(_return_verdict(verdict))
    return [_jump_if(EQUALS, number, 0, len(body)), *body]


def _load_word(offset: int) -> bytes:
    return struct.pack("<HBBI", LOAD, 0, 0, offset)


def _jump_if(test: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("<HBBI", test, if_true, if_false, value)


def _return_verdict(verdict: int) -> bytes:
    return struct.pack("<HBBI", RETURN, 0, 0, verdict)
