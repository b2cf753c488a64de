"""Reward processes in containers: no network, nothing to write to, no capability, and the same seal inside.

For machines whose kernel cannot seal a process, and for those who want both. The only module that imports `docker`.
The engine's own variables apply (DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH), and REWARDSMITH_SANDBOX_BASE names
the image that the sandbox's image is built on.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import os
import re
import signal
import socket
import struct
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import numpy as np
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, ImageNotFound
from docker.utils import kwargs_from_env

from rewardsmith.contract.errors import SandboxUnavailable, WorkerFailed
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.sandbox.channel import START_TIMEOUT_S, ProcessHangup, build_exit_error
from rewardsmith.sandbox.inside import wire
from rewardsmith.sandbox.inside.wire import Array
from rewardsmith.sandbox.inside.zygote import FORK

LABEL = "rewardsmith.reward-process"
"""Label of every container; its value is HOST:PID of the process that owns it."""
IMAGE = "rewardsmith-sandbox"
BASE_VARIABLE = "REWARDSMITH_SANDBOX_BASE"
FIRST_CAPACITY = 4096
"""Transitions that a container is made for at least; making another one takes half a second."""
MIB = 1 << 20
INTERPRETER_MIB = 128
"""Memory of Python and NumPy, twice: the supervisor and the reward process. Measured: 2 x 31 MiB, mostly shared."""
MOST_PIDS = 16
"""The engine's own start-up takes several; inside, no process can make another."""
CHUNK = 1 << 16
FRAME = struct.Struct(">BxxxI")
"""The engine's header of each piece of output: the stream that it is from, its length."""
STDOUT = 1
HOST = re.sub(r"[^\w.-]", "-", socket.gethostname())


def connect_engine() -> docker.DockerClient:
    """Return a client of the engine that DOCKER_HOST or the current context of `docker` names.

    Raises:
        SandboxUnavailable: if no engine answers.
    """
    settings = ContextAPI.kwargs_from_context() | kwargs_from_env()
    address = str(settings.get("base_url"))
    try:
        if address.startswith("unix://") and not Path(address.removeprefix("unix://")).is_socket():
            raise FileNotFoundError("there is no such socket")
        client = docker.DockerClient(**settings)
        client.ping()
    except (DockerException, OSError) as error:
        fix = "start Docker, or name the engine's address in DOCKER_HOST"
        raise SandboxUnavailable(f"no Docker engine answers at {address}: {error}; {fix}") from error
    return client


def provide_image(client: docker.DockerClient) -> str:
    """Return the name of the sandbox's image; build it where the engine lacks this version's.

    Raises:
        SandboxUnavailable: if it cannot be built.
    """
    context = _build_context()
    arguments = {"NUMPY": f"numpy=={importlib.metadata.version('numpy')}"}
    if BASE_VARIABLE in os.environ:
        arguments["BASE"] = os.environ[BASE_VARIABLE]
    name = f"{IMAGE}:{hashlib.sha256(context + repr(arguments).encode()).hexdigest()[:16]}"
    try:
        client.images.get(name)
    except ImageNotFound:
        _build_image(client, name, context, arguments)
    return name


def _build_image(client: docker.DockerClient, name: str, context: bytes, arguments: Mapping[str, str]) -> None:
    archive = io.BytesIO(context)
    try:
        client.images.build(
            fileobj=archive, custom_context=True, tag=name, buildargs=dict(arguments), rm=True, labels={LABEL: "image"}
        )
    except (DockerException, OSError) as error:
        raise SandboxUnavailable(
            f"the sandbox's image cannot be built: {error}; where the base image cannot be fetched, name one that has "
            f"Python 3.11 or newer and NumPy in {BASE_VARIABLE}"
        ) from error


def _build_context() -> bytes:
    """Return the image's files as a tar archive, the same bytes for the same files."""
    package = Path(__file__).parent
    files = {
        "Dockerfile": find_data_folder("sandbox") / "Dockerfile",
        "shaping.py": package.parent / "contract" / "shaping.py",
    }
    files |= {f"inside/{path.name}": path for path in sorted((package / "inside").glob("*.py"))}
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, path in files.items():
            content = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def remove_containers() -> tuple[str, ...]:
    """Remove containers whose owner, a process of this machine, has ended; return their names.

    Raises:
        SandboxUnavailable: if no engine answers.
    """
    removed = []
    with contextlib.closing(connect_engine()) as client:
        for container in client.containers.list(all=True, ignore_removed=True, filters={"label": LABEL}):
            host, _, pid = container.labels[LABEL].rpartition(":")
            if host == HOST and not _is_running(int(pid)):
                _remove_container(container)
                removed.append(str(container.name))
    return tuple(removed)


def _is_running(pid: int) -> bool:
    """Return whether a process of this machine runs; True on Windows, where asking would end it."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove_container(container: Any) -> None:
    """Kill and remove a container, which may be ending by itself meanwhile."""
    with contextlib.suppress(APIError, OSError):
        container.remove(force=True)


class DockerChannel:
    """A container with one reward process, fed through its stdin and stdout."""

    def __init__(self, spec: wire.Spec, capacity: int, memory_mib: int) -> None:
        """Make and start a container; the process in it seals itself in the background.

        Raises:
            SandboxUnavailable: if no engine answers, or the image cannot be built.
            WorkerFailed: if the engine cannot start the container.
        """
        self.capacity = max(capacity, FIRST_CAPACITY)
        self._spec, self._memory_mib = spec, memory_mib
        self._inputs = bytearray(spec.input_bytes(self.capacity))
        self._frames, self._stdout, self._last_words, self._scores = b"", b"", b"", b""
        text = spec.to_bytes()
        sizes = len(self._inputs) or 1, spec.output_bytes(self.capacity, spec.max_terms)
        self._client = connect_engine()
        self._container: Any = None
        self._stream: Any = None
        try:
            self._start_container(provide_image(self._client), sum(sizes))
            request = FORK.pack(b"fork", memory_mib * MIB, *sizes, len(text))
            self._send_all(request + text, time.monotonic() + START_TIMEOUT_S)
        except (DockerException, OSError) as error:
            self.close()
            raise WorkerFailed(f"the container of a reward process did not start: {error}") from error
        except SandboxUnavailable:
            self.close()
            raise

    def _start_container(self, image: str, arenas: int) -> None:
        """Create the container, attach to it and start it, in this order, so that no output is missed."""
        memory = (self._memory_mib + INTERPRETER_MIB) * MIB + arenas
        self._container = self._client.containers.create(
            image,
            stdin_open=True,
            auto_remove=True,
            network_mode="none",
            ipc_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            user="65534:65534",
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=MOST_PIDS,
            nano_cpus=1_000_000_000,
            log_config=docker.types.LogConfig(type="none"),
            use_config_proxy=False,
            labels={LABEL: f"{HOST}:{os.getpid()}"},
        )
        self._stream = self._container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        # Over a unix socket or TCP the client gives a file around the socket, which has no timeout of its own.
        self._socket: Any = getattr(self._stream, "_sock", self._stream)
        self._container.start()

    def inputs(self, n: int) -> wire.Inputs:
        """Return the arrays to fill before a call."""
        return wire.map_inputs(self._spec, memoryview(self._inputs), n)

    def call(self, n: int, rows: int, timeout_s: float) -> None:
        """Send the transitions that lie in `inputs(n)`, and ask for their scores."""
        self._scores = b""
        inputs = memoryview(self._inputs)[: self._spec.input_bytes(n)]
        # A container that has ended breaks the connection; how it ended is told where its answer is missing.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._send_all(b"".join((wire.CALLED.pack(wire.CALL, n, rows), inputs)), time.monotonic() + timeout_s)

    def answer(self, n: int, timeout_s: float) -> tuple[int, bytes]:
        """Wait for a message, and for the scores that follow it; return its kind and payload."""
        deadline = time.monotonic() + timeout_s
        while True:
            split = wire.split_message(self._stdout)
            if split is not None:
                kind, payload, rest = split
                scores = self._score_bytes(n, payload) if kind == wire.SCORED else 0
                if len(rest) >= scores:
                    self._scores, self._stdout = rest[:scores], rest[scores:]
                    return kind, payload
            self._receive_output(deadline)

    def outputs(self, n: int, terms: int) -> Array:
        """Return a copy of the outputs (m + terms, n) of the last answer."""
        return np.array(wire.map_outputs(self._spec, memoryview(self._scores), n, terms))

    def close(self) -> None:
        """End the process and remove the container. May be called twice."""
        if self._client is None:
            return
        if self._stream is not None:
            self._socket.close()
            self._stream.close()
        if self._container is not None:
            _remove_container(self._container)
        self._client.close()
        self._client = None

    def _score_bytes(self, n: int, names: bytes) -> int:
        terms = names.count(b"\n") + 1
        if terms > self._spec.max_terms:
            raise ValueError(f"{terms} terms")
        return self._spec.output_bytes(n, terms)

    def _send_all(self, data: bytes, deadline: float) -> None:
        """Send all of the data; a process that does not read it runs into the deadline."""
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        self._socket.sendall(data)

    def _receive_output(self, deadline: float) -> None:
        """Take in some output."""
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        data = self._socket.recv(CHUNK)
        if not data:
            raise self._build_hangup()
        self._frames += data
        while len(self._frames) >= FRAME.size:
            stream, length = FRAME.unpack_from(self._frames)
            end = FRAME.size + length
            if len(self._frames) < end:
                return
            piece, self._frames = self._frames[FRAME.size : end], self._frames[end:]
            if stream == STDOUT:
                self._stdout += piece
            else:
                self._last_words = piece

    def _build_hangup(self) -> Exception:
        """Return what to raise for a container whose output has ended."""
        try:
            status = int(self._last_words)
        except ValueError:
            return WorkerFailed("the container of a reward process was ended from outside")
        if status == -signal.SIGKILL:
            return ProcessHangup(
                "memory", f"the program used more than the container's {self._memory_mib} MiB of memory"
            )
        return build_exit_error(status)
