"""Takes away from a process all that a reward program does not need; there is no way back.

Mandatory, or the process refuses to go on: no_new_privs, the resource limits, and the seccomp filter of
`seccomp_filter.py`, which alone keeps every promise. Best effort on top, reported by name: Landlock (no file, no TCP,
no signal to the outside), separate namespaces, an empty root folder, an unprivileged user.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import struct
from collections.abc import Callable
from pathlib import Path

from . import seccomp_filter as policy
from . import syscalls

NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
SIGKILL, SIGSYS = 9, 31
SA_SIGINFO = 4
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER = 0x04000000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
CAPABILITY_VERSION_3 = 0x20080522

LANDLOCK_FILES = ((5, 16), (3, 15), (2, 14), (1, 13))
"""Since which version of Landlock's interface how many kinds of access to files can be refused, newest first."""
LANDLOCK_VERSION = 1
"""Flag of landlock_create_ruleset that asks for the version."""

LIMITS = {
    "no core dump": resource.RLIMIT_CORE,
    "no byte into a file": resource.RLIMIT_FSIZE,
    "no locked memory": resource.RLIMIT_MEMLOCK,
    "no new descriptor": resource.RLIMIT_NOFILE,
    "no new process or thread": resource.RLIMIT_NPROC,
    "no message queue": 12,
}
"""What a limit of zero takes away. (RLIMIT_MSGQUEUE has no name in every version of `resource`.)

There is no limit of CPU time: it would count the whole life of a process that lives as long as its training. The
wall clock outside bounds each call.
"""

libc = ctypes.CDLL(None, use_errno=True)


class SealError(Exception):
    """Raised when a mandatory layer cannot be had."""


class _SignalAction(ctypes.Structure):
    """The C library's struct sigaction."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


class _SignalInfo(ctypes.Structure):
    """The part of siginfo_t that the kernel fills in for a call that a filter refuses."""

    _fields_ = (
        ("signal", ctypes.c_int),
        ("error", ctypes.c_int),
        ("code", ctypes.c_int),
        ("address", ctypes.c_void_p),
        ("number", ctypes.c_int),
        ("arch", ctypes.c_uint),
    )


class _FilterProgram(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


_SignalHandler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.POINTER(_SignalInfo), ctypes.c_void_p)
_kept_alive: list[object] = []
"""C code points at these."""


def seal_process(address_space: int, forbidden: Callable[[str], None]) -> tuple[str, ...]:
    """Seal this process and return the layers that now hold it.

    Args:
        address_space: bytes that it may have mapped, all in all.
        forbidden: called with the name of a system call that the filter refused; has to end the process.

    Raises:
        SealError: if a mandatory layer cannot be had; the process must not go on.
    """
    machine = platform.machine()
    if machine not in syscalls.TABLES:
        raise SealError(f"no filter for the machine {machine!r}, only for {' and '.join(syscalls.TABLES)}")
    _require_success(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    _require_success(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")
    layers = ["landlock"] if apply_landlock() else []
    for limit in LIMITS.values():
        resource.setrlimit(limit, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    _install_trap(machine, forbidden)
    _install_filter(machine)
    return (*layers, "limits", "no-new-privs", "seccomp")


def die_with_parent(parent: int) -> None:
    """Let the kernel end this process when `parent`, which forked it, ends.

    Raises:
        SealError: if the parent has ended already.
    """
    _require_success(libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise SealError("the parent process has ended")


def become_user(user: int) -> None:
    """Become this user and no other; only root can."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # The change made /proc/self root's, where the maps of a user namespace are written.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def enter_namespaces() -> bool:
    """Give the processes that this one forks an empty network and no sight of others; best effort.

    Without privileges it takes a user namespace, in which the user stays who it is.
    """
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(NAMESPACES) == 0:
        return True
    if libc.unshare(NAMESPACES | CLONE_NEWUSER) != 0:
        return False
    for file, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        descriptor = os.open(f"/proc/self/{file}", os.O_WRONLY)
        os.write(descriptor, text.encode())
        os.close(descriptor)
    return True


def enter_empty_root(folder: str) -> bool:
    """Make the empty `folder` the root of all paths, and remove it, so that nothing can be made in it; best effort."""
    os.chdir(folder)
    Path(folder).rmdir()
    return bool(libc.chroot(b".") == 0)


def drop_privileges() -> bool:
    """Become nobody if this is root, and give up every capability; best effort."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            become_user(NOBODY)
    header, nothing = struct.pack("<II", CAPABILITY_VERSION_3, 0), bytes(24)
    libc.capset(header, nothing)
    return os.geteuid() != 0


def apply_landlock() -> bool:
    """Refuse all access to files, TCP ports and processes outside, as far as this kernel's Landlock goes."""
    try:
        version = syscalls.make_syscall("landlock_create_ruleset", None, 0, LANDLOCK_VERSION)
        files = next(kinds for since, kinds in LANDLOCK_FILES if version >= since)
        handled = [(1 << files) - 1]
        if version >= 4:
            handled.append(0b11)  # bind and connect of TCP
        if version >= 6:
            handled.append(0b11)  # abstract unix sockets, signals
        rules = struct.pack(f"<{len(handled)}Q", *handled)
        ruleset = syscalls.make_syscall("landlock_create_ruleset", rules, len(rules), 0)
        syscalls.make_syscall("landlock_restrict_self", ruleset, 0)
    except OSError:
        return False
    os.close(ruleset)
    return True


def _install_trap(machine: str, forbidden: Callable[[str], None]) -> None:
    """Call `forbidden` where the filter refuses a system call, on top of the program's own frames.

    A convenience for the program's author and no part of the border: the call has been refused by then, and without
    a working handler the signal ends the process.
    """

    def handler(_signal: int, info: ctypes._Pointer[_SignalInfo], _context: object) -> None:
        forbidden(syscalls.find_syscall_name(info.contents.number, machine))

    callback = _SignalHandler(handler)
    action = _SignalAction(ctypes.cast(callback, ctypes.c_void_p), flags=SA_SIGINFO)
    _kept_alive.extend((callback, action))
    _require_success(libc.sigaction(SIGSYS, ctypes.byref(action), None), "sigaction(SIGSYS)")


def _install_filter(machine: str) -> None:
    code = policy.assemble_filter(machine)
    program = _FilterProgram(len(code) // policy.INSTRUCTION_BYTES, code)
    done = libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    _require_success(done, "prctl(PR_SET_SECCOMP)")


def _require_success(result: int, call: str) -> None:
    if result != 0:
        raise SealError(f"{call} failed: {os.strerror(ctypes.get_errno())}")
