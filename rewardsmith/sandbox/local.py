"""Reward processes on this machine: forks of a warm zygote, fed through shared memory."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import importlib.util
import mmap
import os
import platform
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

from rewardsmith.contract.errors import SandboxUnavailable, WorkerFailed
from rewardsmith.sandbox.channel import build_exit_error
from rewardsmith.sandbox.inside import wire
from rewardsmith.sandbox.inside.syscalls import TABLES, make_syscall
from rewardsmith.sandbox.inside.wire import Array
from rewardsmith.sandbox.inside.zygote import ANSWER, END, FORK

MIB = 1 << 20
PASSED_ON = ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE")
"""Variables of the environment without which Python or NumPy may not start on some machines; none is a secret."""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
DETERMINISTIC = {"PYTHONHASHSEED": "0"}
"""A set of names has the same order in every process."""
BOOT = "import sys; sys.path[:0] = sys.argv[4:]; from inside.zygote import main; main()"
END_TIMEOUT_S = 5.0
ROOT_PREFIX = "rewardsmith-root-"
"""Beginning of the names of the empty folders that become zygotes' root folders."""
STALE_S = 7 * 86_400.0
"""Age from which such a folder is taken for one that a killed zygote left: no job runs for a week."""
MFD_CLOEXEC, MFD_ALLOW_SEALING = 1, 2
F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE = 1033, 2, 4, 0x10
"""Constants of memfd_create and fcntl; builds of Python for old C libraries lack their names and the function."""


def can_seal() -> bool:
    """Return whether this machine's kernel can seal a process."""
    return platform.machine() in TABLES and Path("/proc/sys/kernel/seccomp/actions_avail").exists()


class Zygote:
    """The trusted end of a zygote; starts it, and asks it for forks. Safe to share between threads.

    It starts in the background: the first fork waits until it is ready.
    """

    def __init__(self, user: int | None = None) -> None:
        """Start the zygote.

        Args:
            user: number of the user that it becomes before anything else, which takes root; None stays who it is.

        Raises:
            SandboxUnavailable: if this is not Linux.
        """
        if not sys.platform.startswith("linux"):
            raise SandboxUnavailable(
                f"reward programs are sealed by Linux's seccomp, which {sys.platform} lacks; use --sandbox docker"
            )
        self._lock = threading.Lock()
        self._pending_answers = 0
        _remove_stale_roots()
        self._root = tempfile.mkdtemp(prefix=ROOT_PREFIX)
        if user is not None:
            os.chown(self._root, user, -1)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here = Path(__file__).parent
        numpy = importlib.util.find_spec("numpy")
        assert numpy is not None and numpy.origin is not None
        started_with = str(here.parent / "contract" / "shaping.py"), self._root, str(-1 if user is None else user)
        imported_from = str(here), str(Path(numpy.origin).parents[1])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-S", "-B", "-c", BOOT, *started_with, *imported_from],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env=ONE_THREAD | DETERMINISTIC | {name: os.environ[name] for name in PASSED_ON if name in os.environ},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fork_process(self, descriptors: tuple[int, int, int, int], memory: int, sizes: tuple[int, int, int]) -> int:
        """Fork a reward process and return its number, which `end_process` takes.

        Args:
            descriptors: calls to read, answers to write, the input arena, the output arena.
            memory: bytes that it may use for itself.
            sizes: bytes of the two arenas, and of the spec that lies in the input arena.

        Raises:
            WorkerFailed: if the zygote has ended.
        """
        return self._send_request(FORK.pack(b"fork", memory, *sizes), descriptors)

    def end_process(self, process: int) -> int:
        """Kill a reward process, if it still runs; return its exit code, or minus the signal that ended it.

        Raises:
            WorkerFailed: if the zygote has ended, and every process with it.
        """
        return self._send_request(END.pack(b"end ", process))

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it and every process that it forked. May be called twice."""
        self._control.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()
        with contextlib.suppress(FileNotFoundError):
            Path(self._root).rmdir()

    def _send_request(self, request: bytes, descriptors: tuple[int, ...] = ()) -> int:
        try:
            with self._lock:
                while self._pending_answers:  # to a caller that was interrupted
                    self._control.recv(ANSWER.size)
                    self._pending_answers -= 1
                socket.send_fds(self._control, [request], descriptors)
                self._pending_answers += 1
                answer = self._control.recv(ANSWER.size)
                self._pending_answers -= 1
        except OSError:
            answer = b""
        if len(answer) != ANSWER.size:
            raise WorkerFailed(f"the zygote of the reward processes has ended: {self._last_words()}")
        number: int = ANSWER.unpack(answer)[0]
        return number

    def _last_words(self) -> str:
        stderr = self._process.stderr
        assert stderr is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_TIMEOUT_S)
        text = b"" if self.alive or stderr.closed else stderr.read()
        lines = text.decode(errors="replace").splitlines() or [f"exit code {self._process.returncode}"]
        return lines[-1]


_shared: dict[int, Zygote] = {}
_shared_lock = threading.Lock()


def shared_zygote() -> Zygote:
    """Return this process's zygote, started on first use; a fork of this process gets its own.

    Raises:
        SandboxUnavailable: if this is not Linux.
    """
    with _shared_lock:
        zygote = _shared.get(os.getpid())
        if zygote is not None and not zygote.alive:
            zygote.close()
            zygote = None
        if zygote is None:
            zygote = _shared[os.getpid()] = Zygote()
            atexit.register(_close_shared, os.getpid())
        return zygote


def _close_shared(process: int) -> None:
    if process == os.getpid() and process in _shared:
        _shared.pop(process).close()


class LocalChannel:
    """A fork of a zygote, its pipes and its shared memory."""

    def __init__(self, zygote: Zygote, spec: wire.Spec, capacity: int, memory_mib: int) -> None:
        """Fork and feed a process; it seals itself in the background.

        Raises:
            WorkerFailed: if the zygote has ended.
        """
        self.capacity = capacity
        self._zygote, self._spec = zygote, spec
        self._process: int | None = None
        self._received = b""
        self._views: dict[tuple[int, int], Array] = {}

        # Two pipes, and two arenas in shared memory; the text lies where the inputs will
        text = spec.to_bytes()
        sizes = max(spec.input_bytes(capacity), len(text)), spec.output_bytes(capacity, spec.max_terms)
        calls, self._calls = os.pipe()
        self._answers, answers = os.pipe()
        arenas = _create_shared_memory(sizes[0]), _create_shared_memory(sizes[1])
        self._inputs, self._outputs = (mmap.mmap(arena, size) for arena, size in zip(arenas, sizes, strict=True))

        # Fork the process, which gets the other ends
        try:
            with contextlib.suppress(OSError):  # kernels before 5.1 lack it
                fcntl.fcntl(arenas[0], F_ADD_SEALS, F_SEAL_FUTURE_WRITE)
            self._inputs[: len(text)] = text
            self._process = zygote.fork_process((calls, answers, *arenas), memory_mib * MIB, (*sizes, len(text)))
        finally:
            if self._process is None:
                os.close(self._calls)
                os.close(self._answers)
            for descriptor in (calls, answers, *arenas):
                os.close(descriptor)
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)

    def inputs(self, n: int) -> wire.Inputs:
        """Return the arrays to fill before a call."""
        return wire.map_inputs(self._spec, self._inputs, n)

    def call(self, n: int, rows: int, timeout_s: float) -> None:
        """Ask for the scores of the transitions that lie in `inputs(n)`."""
        # A process that has ended breaks the pipe; how it ended is told where its answer is missing.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._calls, wire.CALLED.pack(wire.CALL, n, rows))

    def answer(self, n: int, timeout_s: float) -> tuple[int, bytes]:
        """Wait for a message and return its kind and payload."""
        deadline = time.monotonic() + timeout_s
        while True:
            split = wire.split_message(self._received)
            if split is not None:
                kind, payload, self._received = split
                return kind, payload
            left_ms = (deadline - time.monotonic()) * 1000
            if left_ms <= 0 or not self._poll.poll(left_ms):
                raise TimeoutError
            data = os.read(self._answers, wire.MAX_BYTES)
            if not data:
                assert self._process is not None
                raise build_exit_error(self._end_process(self._process))
            self._received += data

    def outputs(self, n: int, terms: int) -> Array:
        """Return a copy of the outputs (m + terms, n) of the last answer."""
        view = self._views.get((n, terms))
        if view is None:
            view = self._views[n, terms] = wire.map_outputs(self._spec, self._outputs, n, terms)
        return view.copy()

    def close(self) -> None:
        """End the process. May be called twice."""
        if self._process is not None:
            # Without its zygote, a process has ended already.
            with contextlib.suppress(WorkerFailed):
                self._end_process(self._process)

    def _end_process(self, process: int) -> int:
        """End the process and return how it ended."""
        self._process = None
        os.close(self._calls)
        os.close(self._answers)
        return self._zygote.end_process(process)


def _remove_stale_roots() -> None:
    """Remove the empty root folders that killed zygotes left behind."""
    with contextlib.suppress(OSError):
        oldest = time.time() - STALE_S
        for folder in Path(tempfile.gettempdir()).glob(f"{ROOT_PREFIX}*"):
            with contextlib.suppress(OSError):
                if folder.lstat().st_mtime < oldest:
                    folder.rmdir()  # which fails for a folder of another user, a link, and one that holds something


def _create_shared_memory(size: int) -> int:
    descriptor = make_syscall("memfd_create", b"rewardsmith", MFD_CLOEXEC | MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    # Cut short by the other side, it would kill this process at the next access.
    fcntl.fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
    return descriptor
