"""The bytes that cross the border: messages with a fixed header, and float64 arrays at places that both ends compute.

A call is the message CALL with n, the number of transitions, and r, how many of them are one step in time; the input
arena then holds, one after the other, each array of `Spec.inputs`, all (n, *shape) in C order, step after step. The
program is called once per step, n // r times, and its memory handed on; without memory r is n. The answer is SCORED
with the names of the terms, one per line; the output arena then holds the memory (m, n) after each step and below it
the terms (k, n). Or it is FAILED with a JSON object of code, message and line. The arenas are shared memory, or what
follows the message in a stream.

Before the first call the process says SEALED with its version and the names of the layers that hold it (or UNSEALED
and why), and after the text was compiled READY or FAILED. Nothing is ever unpickled, and the trusted side believes none
of it.
"""

from __future__ import annotations

import json
import math
import mmap
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Shape = tuple[int, ...]
Arena = mmap.mmap | memoryview
Inputs = tuple[tuple[str, str, Array], ...]
"""(group, name, array (n, *shape)); the groups are "action", "terminated", "before", "after", "start", "memory"
and "episode". Of memory the first r rows count: what the first step starts with. "terminated" is 0 or 1 here; the
program gets it as bool. "episode" is for the harness alone."""

HEADER = struct.Struct("<II")
"""Header of every message of a process: its kind, and the length of the payload that follows."""
CALLED = struct.Struct("<III")
"""A call as a whole: CALL, n, r."""
VERSION = f"{zlib.crc32(b''.join(file.read_bytes() for file in sorted(Path(__file__).parent.glob('*.py')))):08x}"
"""Version of what runs behind the border: a digest of its files, as this process started with them."""
CALL, SEALED, UNSEALED, READY, SCORED, FAILED = range(1, 7)

MAX_BYTES = 4096
"""Largest message of the process: PIPE_BUF, so that it is written as a whole."""
MAX_PAYLOAD = MAX_BYTES - HEADER.size
MAX_NAME = 64
"""Most characters of a term's name."""
MAX_MESSAGE = 600
"""Most characters of a failure's message."""
ITEM = 8
"""Bytes of a float64."""


@dataclass(frozen=True)
class Spec:
    """Everything that a reward process needs to run one program."""

    source: str
    arguments: tuple[str, ...]
    """Names of the function's arguments."""
    inputs: tuple[tuple[str, str, Shape], ...]
    """(group, name, shape of one transition's value) of every array of the input arena, in order."""
    catalogue: tuple[str, ...]
    """Every signal that exists, to name the nearest one in a message."""
    memory: tuple[tuple[str, float], ...]
    """(name, value at an episode's start)."""
    max_terms: int

    def input_bytes(self, n: int) -> int:
        """Return how much of the input arena n transitions fill."""
        return ITEM * n * sum(math.prod(shape) for _, _, shape in self.inputs)

    def output_bytes(self, n: int, terms: int) -> int:
        """Return how much of the output arena the memory and `terms` terms of n transitions fill."""
        return ITEM * n * (len(self.memory) + terms)

    def to_bytes(self) -> bytes:
        """Return the spec as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Spec:
        """Return the spec that `to_bytes` wrote."""
        fields = json.loads(data)
        inputs = tuple((group, name, tuple(shape)) for group, name, shape in fields.pop("inputs"))
        return cls(
            source=fields["source"],
            arguments=tuple(fields["arguments"]),
            inputs=inputs,
            catalogue=tuple(fields["catalogue"]),
            memory=tuple((name, value) for name, value in fields["memory"]),
            max_terms=fields["max_terms"],
        )


def map_inputs(spec: Spec, arena: Arena, n: int) -> Inputs:
    """Return (group, name, view of the input arena) for n transitions; writeable only where the arena is."""
    views, at = [], 0
    for group, name, shape in spec.inputs:
        items = n * math.prod(shape)
        views.append((group, name, np.frombuffer(arena, np.float64, items, at).reshape(n, *shape)))
        at += ITEM * items
    return tuple(views)


def map_outputs(spec: Spec, arena: Arena, n: int, terms: int) -> Array:
    """Return the output arena as (m + terms, n): the memory's rows, then the terms'."""
    rows = len(spec.memory) + terms
    return np.frombuffer(arena, np.float64, rows * n).reshape(rows, n)


def is_term_name(name: object) -> bool:
    """Return whether a term may have this name.

    >>> is_term_name("upright"), is_term_name("up right"), is_term_name("\N{FULLWIDTH LATIN SMALL LETTER A}")
    (True, False, False)
    """
    return isinstance(name, str) and name.isascii() and name.isidentifier() and len(name) <= MAX_NAME


def pack_message(kind: int, payload: bytes = b"") -> bytes:
    """Return a message of the process; the payload has at most MAX_PAYLOAD bytes."""
    return HEADER.pack(kind, len(payload)) + payload


def split_message(received: bytes) -> tuple[int, bytes, bytes] | None:
    """Return the first message's kind and payload, and what follows it; None while it is incomplete.

    >>> split_message(pack_message(READY) + b"rest")
    (4, b'', b'rest')

    Raises:
        ValueError: if it announces more than MAX_PAYLOAD.
    """
    if len(received) < HEADER.size:
        return None
    kind, length = HEADER.unpack_from(received)
    if length > MAX_PAYLOAD:
        raise ValueError(f"a message of {length} bytes")
    end = HEADER.size + length
    return (kind, received[HEADER.size : end], received[end:]) if len(received) >= end else None


def pack_failure(code: str, text: str, line: int | None) -> bytes:
    """Return the message that tells how a program failed; `text` is cut to MAX_MESSAGE characters."""
    fields: Mapping[str, object] = {"code": code, "message": text[:MAX_MESSAGE], "line": line}
    return pack_message(FAILED, json.dumps(fields, ensure_ascii=False).encode(errors="replace"))


def pack_sealed(layers: Iterable[str]) -> bytes:
    """Return the message of a process that these layers hold."""
    return pack_message(SEALED, ",".join((VERSION, *layers)).encode())
