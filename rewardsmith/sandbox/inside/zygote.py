"""Imports NumPy once, then forks a reward process for each request that comes over a socket.

It never sees a program: the text lies in shared memory that only the fork maps, and the fork reads it after it was
sealed. The socket is descriptor 0. The zygote ends when the socket closes or its parent dies, and every fork ends
with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import mmap
import os
import select
import signal
import socket
import struct
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from . import harness, seal, syscalls, wire

FORK = struct.Struct("<4sQQQQ")
"""b"fork", then bytes of: memory, the input arena, the output arena, the program's spec. With it come four
descriptors: calls to read, answers to write, the two arenas. The answer is the process's number."""
END = struct.Struct("<4sq")
"""b"end ", then the process's number. The answer is its exit code, or minus the signal that ended it."""
ANSWER = struct.Struct("<q")

CONTROL = 0
"""Descriptor of the socket."""
MOST_DESCRIPTORS = 256
"""The zygote has a handful of them, numbered from 0."""


@dataclass(frozen=True)
class ImportedModules:
    """The modules that every reward process starts with."""

    shaping: types.ModuleType
    mapped: int
    """Bytes of address space that the imports take."""


def main() -> NoReturn:
    """Start from the command line: the path of `shaping`, an empty folder, and the user to become or -1."""
    shaping, root, user = sys.argv[1:4]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trusted = watch_process(os.getppid())
    imported = import_modules(shaping)
    if int(user) >= 0:
        seal.become_user(int(user))
    layers = ["namespaces"] if seal.enter_namespaces() else []
    launcher = os.getpid()
    pid = os.fork()
    if pid == 0:
        layers += withdraw_rights(root)
        # In a process namespace of its own the zygote is number 1, and its parent number 0.
        seal.die_with_parent(0 if "namespaces" in layers else launcher)
        serve_requests(imported, tuple(layers), trusted)
    os.close(CONTROL)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)


def watch_process(process: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None where the kernel has none."""
    with contextlib.suppress(OSError):
        return syscalls.make_syscall("pidfd_open", process, 0)
    return None


def import_modules(shaping: str) -> ImportedModules:
    """Import all that programs use; nothing can be imported afterwards."""
    spec = importlib.util.spec_from_file_location("shaping", shaping)
    assert spec is not None and spec.loader is not None, shaping
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    harness.prepare_interpreter()
    os.environ.clear()
    gc.collect()
    gc.freeze()
    pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]
    return ImportedModules(module, int(pages) * mmap.PAGESIZE)


def withdraw_rights(root: str) -> list[str]:
    """Give up the file system and all privileges; return the layers that this gave."""
    has_empty_root = seal.enter_empty_root(root)
    has_no_privileges = seal.drop_privileges()
    return ["empty-root"] * has_empty_root + ["no-privileges"] * has_no_privileges


def serve_requests(imported: ImportedModules, layers: tuple[str, ...], trusted: int | None) -> NoReturn:
    """Answer requests until the other end hangs up or ends."""
    requests = socket.socket(fileno=CONTROL)
    poller = select.poll()
    for descriptor in (CONTROL, trusted):
        if descriptor is not None:
            poller.register(descriptor, select.POLLIN)
    while True:
        if trusted in [descriptor for descriptor, _ in poller.poll()]:
            os._exit(0)
        data, descriptors, _, _ = socket.recv_fds(requests, 256, 4)
        if data[:4] == b"fork":
            answer = fork_process(imported, layers, data, descriptors)
        elif data[:4] == b"end ":
            answer = end_process(END.unpack(data)[1])
        else:
            os._exit(0)
        requests.send(ANSWER.pack(answer))


def fork_process(imported: ImportedModules, layers: tuple[str, ...], request: bytes, descriptors: list[int]) -> int:
    """Fork a reward process and return its number."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _, memory, input_bytes, output_bytes, spec_bytes = FORK.unpack(request)
        calls, answers, inputs, outputs = descriptors
        arenas = mmap.mmap(inputs, input_bytes, prot=mmap.PROT_READ), mmap.mmap(outputs, output_bytes)
        os.dup2(calls, 0)
        os.dup2(answers, 1)
        layers += enter_seal(imported, parent, memory + input_bytes + output_bytes)
        text = arenas[0][:spec_bytes]
        # From here on the trusted side lays inputs over the text.
        harness.send_message(wire.pack_sealed(layers))
        harness.run_program(text, lambda spec: harness.SharedArenas(spec, *arenas), imported.shaping)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def enter_seal(imported: ImportedModules, parent: int, memory: int) -> tuple[str, ...]:
    """Seal this process, a fork of `parent` that has its arenas mapped and its pipes at 0 and 1; return the layers."""
    os.closerange(2, MOST_DESCRIPTORS)
    try:
        seal.die_with_parent(parent)
        return seal.seal_process(imported.mapped + memory, harness.end_on_forbidden_call)
    except (seal.SealError, OSError, ValueError) as error:
        harness.send_message(wire.pack_message(wire.UNSEALED, str(error).encode()))
        os._exit(1)


def end_process(process: int) -> int:
    """Kill a reward process, if it still runs, and return how it ended."""
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
