"""A fuzzer of the seal: system calls with arguments drawn at random, each made inside a sealed process.

Whatever is called, the process ends or the call fails; nothing outside of it changes. A process makes some calls that
the filter lets pass, with any arguments, and then one that it must refuse.

    REWARDSMITH_FUZZ_S=600 pytest -s tests/sandbox/test_syscall_fuzz.py        # ten minutes, with a new seed
    REWARDSMITH_FUZZ_SEED=123 pytest tests/sandbox/test_syscall_fuzz.py        # the calls of an earlier seed
"""

from __future__ import annotations

import collections
import os
import random
import resource
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fakes.processes import children
from fakes.sandbox_backends import LAYOUT, transitions, unchecked
from fakes.sandbox_case import NUMBERS, PRELUDE

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.records import Limits
from rewardsmith.sandbox import Zygote, open_process
from rewardsmith.sandbox.inside import seccomp_filter
from rewardsmith.sandbox.inside.seal import NOBODY

TIME_S = float(os.environ.get("REWARDSMITH_FUZZ_S", "10"))
SEED = int(os.environ.get("REWARDSMITH_FUZZ_SEED", secrets.randbelow(2**32)))
LISTED = {rule.name: NUMBERS[rule.name] for rule in (*seccomp_filter.ALLOWED, *seccomp_filter.DENIED) if NUMBERS}
ENDINGS = ("exit", "exit_group", "read", "write")
"""Listed calls that end the process, wait for an answer or forge one: made last, if at all."""
PASSING_CALLS = (0, 0, 8, 32)
"""Calls that pass, before the last one: some processes make many, and may crash over them."""
AT_ONCE = 4
"""Processes that run side by side."""
NAME = b"/rewardsmith-fuzz"
"""Name for objects that a call may try to create in the folders of shared memory and message queues."""
BLANK_TIME = "zeros"
"""Time out of a wait: none of them lasts."""

Argument = int | str
"""A number, or the name of a buffer."""
Call = tuple[int, tuple[Argument, ...]]

TEXT = (
    PRELUDE
    + """
def buffer(content, size=8192):
    return ctypes.create_string_buffer(content, max(size, len(content) + 1))

BUFFERS = {{name: buffer(content) for name, content in {buffers!r}.items()}}

def reward(action):
    for number, arguments in {calls!r}:
        words = [ctypes.addressof(BUFFERS[word]) if isinstance(word, str) else word for word in arguments]
        libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, words))
    return {{"a": 1.0}}
"""
)


@dataclass
class Canaries:
    """Things outside that a call might reach: files, a process, sockets, and the state of this machine."""

    folder: Path
    process: subprocess.Popen[bytes]
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket

    @property
    def buffers(self) -> dict[str, bytes]:
        """Contents of the buffers that a call's arguments point at."""
        port = self.tcp.getsockname()[1]
        loopback = bytes((127, 0, 0, 1)) + bytes(8)
        return {
            "file": str(self.folder / "file").encode(),
            "new": str(self.folder / "new").encode(),
            "folder": str(self.folder).encode(),
            "root": b"/",
            "shell": b"/bin/sh",
            "memory": b"/proc/self/mem",
            "name": NAME,
            "tcp": socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + loopback,
            "unix": socket.AF_UNIX.to_bytes(2, sys.byteorder) + str(self.folder / "socket").encode(),
            "zeros": b"",
            "junk": bytes(range(1, 256)) * 8,
        }

    def describe_state(self) -> dict[str, object]:
        """Return everything that must stay as it is."""
        pid, file = self.process.pid, self.folder / "file"
        status = file.stat()
        return {
            "files": sorted(path.name for path in self.folder.iterdir()),
            "file": (file.read_text(), status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns),
            "process": (self.process.poll(), os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid)),
            "limits": [resource.prlimit(pid, limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS)],
            "own": (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0), os.getpgid(0), os.getsid(0)),
            "machine": (os.uname()[1:], Path("/proc/self/mounts").read_text()),
            "connections": [_has_input(line) for line in (self.tcp, self.udp, self.unix)],
            "shared memory": [
                Path(f"{place}{NAME.decode()}").exists() for place in ("/dev/shm", "/dev/mqueue", "/tmp")
            ],
            "System V": _list_sysv_objects(),
        }


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    """Canaries that anybody may change, by the user's rights."""
    folder = Path(tempfile.mkdtemp(prefix="rewardsmith-fuzz-"))
    folder.chmod(0o777)
    (folder / "file").write_text("untouched")
    (folder / "file").chmod(0o666)
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        subprocess.Popen(["sleep", "100000"]) as process,
    ):
        udp.bind(("127.0.0.1", tcp.getsockname()[1]))
        unix.bind(str(folder / "socket"))
        unix.listen()
        try:
            yield Canaries(folder, process, tcp, udp, unix)
        finally:
            process.kill()
            shutil.rmtree(folder)


@pytest.mark.skipif(not NUMBERS, reason="not tested: no table of system calls for this machine")
@pytest.mark.parametrize("user", [None, NOBODY], ids=["same-user", "unprivileged"])
def test_no_call_that_a_sealed_process_makes_reaches_anything(
    canaries: Canaries, user: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if user is not None and os.geteuid() != 0:
        pytest.skip("not tested: this user is unprivileged already, which `same-user` tests")
    state, others = canaries.describe_state(), set(children(os.getpid()))  # of earlier tests in this process
    rng = random.Random(f"{SEED}-{user}")
    outcomes: collections.Counter[str] = collections.Counter()
    made = processes = 0
    with Zygote(user) as zygote, ThreadPoolExecutor(AT_ONCE) as pool:
        check_honest_program(zygote)
        start = time.monotonic()
        while time.monotonic() - start < TIME_S / 2:
            batches = [draw_calls(rng, canaries.process.pid) for _ in range(2 * AT_ONCE)]
            for calls, outcome in zip(
                batches, pool.map(partial(make_calls, zygote, canaries.buffers), batches), strict=True
            ):
                processes += 1
                outcomes[outcome] += 1
                made += len(calls) if outcome in ("refused", "scored") else 1  # else it is not known how far it came
                assert outcome != "scored" or calls[-1][0] in LISTED.values(), f"seed {SEED}: {calls[-1]} passed"

        seconds = time.monotonic() - start
        check_honest_program(zygote)  # whatever was called, the next process is as good as the first

    with capsys.disabled():
        rate = f"{made:,} calls in {processes:,} processes in {seconds:.0f} s, {made / seconds:,.0f} calls/s"
        print(f"\nsyscall fuzz as {'this user' if user is None else user}: seed {SEED}, {rate}; {dict(outcomes)}")
    assert canaries.describe_state() == state, f"seed {SEED}"
    assert not set(children(os.getpid())) - others, f"seed {SEED}"
    assert outcomes["refused"] > processes / 4, outcomes


def check_honest_program(zygote: Zygote) -> None:
    """Make sure that an honest program gets the scores that it should."""
    program = unchecked("def reward(action):\n    return {'a': action[:, 0]}")
    with open_process(program, LAYOUT, Limits("local"), zygote) as process:
        np.testing.assert_array_equal(process.score(transitions()).total, transitions().action[:, 0])


def draw_calls(rng: random.Random, pid: int) -> list[Call]:
    """Draw the calls of one process."""
    return [*(draw_passing_call(rng) for _ in range(rng.choice(PASSING_CALLS))), draw_last_call(rng, pid)]


def draw_passing_call(rng: random.Random) -> Call:
    """Draw a call that the filter lets pass, with arguments that its checks allow, or nearly."""
    name = rng.choice([name for name in LISTED if name not in ENDINGS])
    arguments = [draw_argument(rng, 0) for _ in range(6)]
    if name == "mmap":
        arguments[2], arguments[3] = (
            rng.choice((0, 1, 2, 3)),
            0x20 | rng.choice((1, 2, 0x12, 0x4022, rng.getrandbits(20))),
        )
    elif name == "mprotect":
        arguments[2] = rng.choice((0, 1, 2, 3))
    elif name == "madvise":
        arguments[2] = rng.choice((4, 8, 14, 15))
    elif name == "futex":
        arguments[1], arguments[3] = rng.choice((0, 1, 9, 10, 0x80, 0x181)), BLANK_TIME
    return LISTED[name], tuple(arguments)


def draw_last_call(rng: random.Random, pid: int) -> Call:
    """Draw a call that the filter must refuse, or in rare cases one that ends the process or forges an answer."""
    kind = rng.random()
    if kind < 0.7:
        number = rng.choice([number for name, number in NUMBERS.items() if name not in LISTED])
    elif kind < 0.8:
        number = rng.randrange(1024)
    elif kind < 0.88:
        number = seccomp_filter.X32_BIT | rng.randrange(600)
    elif kind < 0.95:
        number = rng.getrandbits(31) * rng.choice((1, -1))
    else:
        number = LISTED[rng.choice(ENDINGS)]
    arguments = [draw_argument(rng, pid) for _ in range(6)]
    if number == NUMBERS["read"]:
        arguments[2] = 0  # it would wait for a call that never comes
    elif number == NUMBERS["futex"]:
        arguments[3] = BLANK_TIME
    return number, tuple(arguments)


def draw_argument(rng: random.Random, pid: int) -> Argument:
    """Draw a number of any size, a descriptor, a process or a buffer."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice((0, 1, 2, 3, 4, 5, 9, 17, 4096, 0x1000000, -1, -2, -100))
    if kind < 0.45:
        return rng.choice((pid, -pid, os.getpid(), 1, -1))
    if kind < 0.6:
        return 1 << rng.randrange(63)
    if kind < 0.7:
        return rng.getrandbits(64) - 2**63
    return rng.choice(("file", "new", "folder", "root", "shell", "memory", "name", "tcp", "unix", "zeros", "junk"))


def make_calls(zygote: Zygote, buffers: dict[str, bytes], calls: list[Call]) -> str:
    """Make the calls inside a sealed process; return how it ended.

    "refused" is the refusal of the last call by name or by signal; any other failure is named by its code.
    """
    text = TEXT.format(buffers=buffers, calls=calls)
    with open_process(unchecked(text), LAYOUT, Limits("local", call_timeout_s=3.0, memory_mib=256), zygote) as process:
        try:
            process.score(transitions())
        except RewardFailed as failure:
            return "refused" if "forbidden system call" in str(failure) else failure.code
    return "scored"


def _has_input(line: socket.socket) -> bool:
    """Return whether somebody has connected or sent something."""
    line.setblocking(False)
    try:
        line.recv(1) if line.type == socket.SOCK_DGRAM else line.accept()
    except BlockingIOError:
        return False
    return True


def _list_sysv_objects() -> list[str]:
    """Return the System V objects of this user and of nobody."""
    users = {str(os.geteuid()), str(NOBODY)}
    found = []
    for kind in ("shm", "msg", "sem"):
        for row in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]:
            if users & set(row.split()[2:]):
                found.append(f"{kind} {row.split()[:2]}")
    return found
