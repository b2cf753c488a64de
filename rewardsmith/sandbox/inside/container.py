"""The first process of a container: forks the one reward process that the container is for, and watches over it.

Calls come over stdin and answers go over stdout, each message followed by its arrays. The supervisor ends the
container when stdin closes, so that nothing outlives a killed parent, not even an endless loop; and it says on
stderr, which the reward process does not have, how that process ended.
"""

from __future__ import annotations

import io
import mmap
import os
import select
import signal
import sys
from typing import NoReturn

from . import harness, seal, syscalls, wire, zygote


class StreamArenas:
    """Arenas in the process's own memory, filled from stdin and emptied to stdout."""

    def __init__(self, spec: wire.Spec, stdin: io.RawIOBase, inputs: mmap.mmap, outputs: mmap.mmap) -> None:
        self._spec, self._stdin = spec, stdin
        self._inputs, self._outputs = memoryview(inputs), memoryview(outputs)

    def receive_call(self) -> tuple[int, int]:
        """Wait for a call and its inputs; return n and r."""
        _, n, rows = wire.CALLED.unpack(read_bytes(self._stdin, wire.CALLED.size))
        read_into(self._stdin, self._inputs[: self._spec.input_bytes(n)])
        return n, rows

    def inputs(self, n: int) -> wire.Inputs:
        """Return read-only views of the input arena."""
        return wire.map_inputs(self._spec, self._inputs.toreadonly(), n)

    def outputs(self, n: int, terms: int) -> wire.Array:
        """Return the output arena as (m + terms, n)."""
        return wire.map_outputs(self._spec, self._outputs, n, terms)

    def send_scores(self, n: int, names: bytes, terms: int) -> None:
        """Answer a call."""
        harness.send_message(wire.pack_message(wire.SCORED, names))
        left = self._outputs[: self._spec.output_bytes(n, terms)]
        while left:
            left = left[os.write(1, left) :]


def main() -> NoReturn:
    """Start from the command line: the path of `shaping`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    imported = zygote.import_modules(sys.argv[1])
    seal.drop_privileges()
    stdin = io.FileIO(0, closefd=False)
    _, memory, input_bytes, output_bytes, spec_bytes = zygote.FORK.unpack(read_bytes(stdin, zygote.FORK.size))
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        arenas = mmap.mmap(-1, input_bytes), mmap.mmap(-1, output_bytes)
        layers = ("container", *zygote.enter_seal(imported, supervisor, memory + input_bytes + output_bytes))
        harness.send_message(wire.pack_sealed(layers))
        text = read_bytes(stdin, spec_bytes)
        harness.run_program(text, lambda spec: StreamArenas(spec, stdin, *arenas), imported.shaping)
    os.close(1)
    supervise_process(pid)


def supervise_process(process: int) -> NoReturn:
    """Wait until the process ends or stdin closes; say how it ended."""
    poller = select.poll()
    poller.register(syscalls.make_syscall("pidfd_open", process, 0), select.POLLIN)
    poller.register(0, 0)
    poller.poll()
    os.write(2, b"%d\n" % zygote.end_process(process))
    os._exit(0)


def read_bytes(stdin: io.RawIOBase, size: int) -> bytes:
    """Return exactly so many bytes."""
    buffer = bytearray(size)
    read_into(stdin, memoryview(buffer))
    return bytes(buffer)


def read_into(stdin: io.RawIOBase, buffer: memoryview) -> None:
    """Fill the buffer; end the process when the other end hangs up."""
    while buffer:
        got = stdin.readinto(buffer)
        if not got:
            os._exit(0)
        buffer = buffer[got:]
