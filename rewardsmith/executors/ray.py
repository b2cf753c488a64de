"""Jobs on a Ray cluster: one of a given address, or one that is started on this machine.

A job is a task of one CPU. What it needs travels with it and what it leaves comes back, so that the nodes share no
file system with this machine. A job whose node is lost is done again on another; Ray's own retries are off, since they
would repeat a curve's points unseen. Trainings do not stop at rungs here: one that waits would hold its CPU.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

from rewardsmith.contract import records
from rewardsmith.contract.build_id import RUNNING
from rewardsmith.contract.errors import ConfigError, RunError, WorkerFailed
from rewardsmith.contract.records import CurvePoint, EvaluateJob, Job, JobResult, RenderJob, TrainJob
from rewardsmith.executors import remote_node
from rewardsmith.executors.base import Decide, OnEvent, finished, prepare, result_type, unfinished

ATTEMPTS = 4
"""How often a job is tried when its node is lost."""
POLL_S = 1.0
LEAVE_S = 30.0
"""How long closing waits for jobs to notice; they look once every `POLL_S`, between points of a curve."""
CONNECT_S, LOOK_S = 5.0, 60.0
NEEDED = ("rewardsmith", "numpy", "torch", "stable-baselines3", "gymnasium", "mujoco")
"""Packages that every node must have."""


class RayExecutor:
    """Runs jobs on a cluster."""

    def __init__(
        self,
        address: str | None,
        slots: int = 0,
        time_limit_s: float | None = None,
        memory_limit_mib: int | None = None,
    ) -> None:
        """Connect, or start a cluster, and look at its nodes.

        Args:
            address: "host:port" of the cluster's head, "auto" for the one that this machine belongs to, None to start
                one here that ends with this executor.
            slots: jobs at once; 0: as many as the cluster has CPUs, growing with it.
            time_limit_s: as in `LocalExecutor`.
            memory_limit_mib: as in `LocalExecutor`.

        Raises:
            ConfigError: if Ray is not installed, or the address is of no use.
            RunError: if no cluster answers there, or a node lacks a package.
        """
        self._ray = _imported()
        self._limits = (time_limit_s, memory_limit_mib)
        self._closed = threading.Event()
        self._running, self._idle = 0, threading.Condition()
        self._mine = not self._ray.is_initialized()
        if self._mine:
            self._connect(address, slots)
        try:
            self.differences = self._look()
        except BaseException:
            self.close()
            raise
        self.slots = slots or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._turns = threading.BoundedSemaphore(slots) if slots else nullcontext()
        options = {"num_cpus": 1, "max_retries": 0, "num_returns": "streaming"}
        self._work = self._ray.remote(**options)(remote_node.work)

    def run(self, job: Job, out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> JobResult:
        """Do a job; see `Executor.run`.

        Raises:
            ConfigError: if it is a training with rungs.
        """
        out = out.resolve()
        known = finished(job, out)
        if known is not None:
            return known
        if isinstance(job, TrainJob) and job.rungs:
            raise ConfigError("search.rungs needs executor.kind = 'local': on a cluster trainings run through")
        cause, curve = "", list[CurvePoint]()
        for _ in range(ATTEMPTS):
            with self._turns, self._counted():
                self._check_open()
                prepare(job, out)
                curve = []
                try:
                    return self._attempt(job, out, curve, on_event)
                except _Lost as loss:
                    cause = str(loss)
        return unfinished(job, "infrastructure", f"{cause} ({ATTEMPTS} tries)", tuple(curve))

    def close(self) -> None:
        """End every job, and the cluster if it was started here; see `Executor.close`."""
        self._closed.set()
        # Ray ends the thread that waits for a task of a connection that goes away: the jobs leave first.
        with self._idle:
            self._idle.wait_for(lambda: not self._running, LEAVE_S)
        if self._mine and self._ray.is_initialized():
            self._ray.shutdown()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Hold off the end of the connection while an attempt runs."""
        with self._idle:
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _attempt(self, job: Job, out: Path, curve: list[CurvePoint], on_event: OnEvent | None) -> JobResult:
        policy = Path(job.policy) if isinstance(job, EvaluateJob | RenderJob) and job.policy else None
        files = remote_node.pack(policy, remote_node.POLICY) if policy else {}
        task = self._work.remote(records.dump(job), files, self._limits)
        try:
            for kind, said in self._told(task):
                if kind == "point":
                    curve.append(records.load(CurvePoint, said))
                    if on_event:
                        on_event(curve[-1])
                elif kind == "refused":
                    raise remote_node.raised(said)
                else:
                    return self._received(job, out, *said)
        except BaseException:
            self._cancel(task)
            raise
        raise _Lost("the job's node ended it without a result")

    def _received(self, job: Job, out: Path, result: Any, files: remote_node.Files) -> JobResult:
        try:
            remote_node.unpack(files, out)
        except OSError as error:
            raise RunError(f"cannot write a job to {str(out)!r}: {error.strerror}") from error
        return finished(job, out) or records.load(result_type(job), result)

    def _told(self, task: Any) -> Iterator[remote_node.Told]:
        """Yield what a task tells.

        Raises:
            _Lost: if its node is lost.
            WorkerFailed: if the executor is closed meanwhile, or the node cannot do it.
        """
        errors = self._ray.exceptions
        while True:
            ready, _ = self._ray.wait([task], timeout=POLL_S)
            self._check_open()
            if not ready:
                continue
            try:
                told: remote_node.Told = self._ray.get(next(task))
            except StopIteration:
                return
            except errors.RayTaskError as error:
                raise WorkerFailed(f"a Ray node cannot do the job: {_last_line(error)}") from error
            except errors.RayError as error:
                self._check_open()
                raise _Lost(f"the job's node was lost: {_last_line(error)}") from error
            yield told

    def _cancel(self, task: Any) -> None:
        try:
            if self._ray.is_initialized():
                self._ray.cancel(task, force=True)
        except (ValueError, TypeError, self._ray.exceptions.RayError):
            return  # it has ended

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise WorkerFailed("the executor was closed")

    def _connect(self, address: str | None, slots: int) -> None:
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
        if address is None:
            self._ray.init(num_cpus=slots or None, include_dashboard=False, **quiet)
            return
        _check_reachable(address)
        try:
            self._ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            token = "where it wants a token, RAY_AUTH_MODE=token and RAY_AUTH_TOKEN must be set"
            raise RunError(f"no Ray cluster can be used at {address}: {_last_line(error)}; {token}") from error

    def _look(self) -> tuple[str, ...]:
        """Return how the nodes' packages differ from this machine's, in lines.

        Raises:
            RunError: if a node lacks one.
        """

        # Nested, so that it travels by value: it must run where rewardsmith is missing, too.
        def versions(names: tuple[str, ...]) -> dict[str, str | None]:
            from importlib import metadata

            found: dict[str, str | None] = {}
            for name in names:
                try:
                    found[name] = metadata.version(name)
                except metadata.PackageNotFoundError:
                    found[name] = None
            if found["rewardsmith"]:  # two checkouts may bear one version
                from rewardsmith.contract.build_id import RUNNING

                found["rewardsmith"] = RUNNING
            return found

        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = {name: metadata.version(name) for name in NEEDED} | {"rewardsmith": RUNNING}
        ask = self._ray.remote(num_cpus=0, max_retries=0)(versions)
        asked = {
            known["NodeManagerAddress"]: ask.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(known["NodeID"], soft=False)
            ).remote(NEEDED)
            for known in self._ray.nodes()
            if known["Alive"]
        }
        differences = []
        for address, answer in asked.items():
            try:
                there = self._ray.get(answer, timeout=LOOK_S)
            except (self._ray.exceptions.RayError, TimeoutError) as error:
                differences.append(f"the Ray node {address} does not answer: {_last_line(error)}")
                continue
            missing = [name for name in NEEDED if there[name] is None]
            if missing:
                install = f"pip install 'rewardsmith=={metadata.version('rewardsmith')}'"
                raise RunError(f"the Ray node {address} has no {', '.join(missing)}; there: {install}")
            other = [f"{name} {there[name]} for {here[name]}" for name in NEEDED if there[name] != here[name]]
            if other:
                differences.append(f"the Ray node {address} has {', '.join(other)}: results may differ")
        return tuple(differences)


class _Lost(Exception):
    """Raised when a job ends without a result because its node did."""


def _imported() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ConfigError("executor.kind = 'ray' needs a package: pip install 'rewardsmith[ray]'") from error
    return ray


def _check_reachable(address: str) -> None:
    """Say within seconds that nothing is there; Ray itself would try for a minute.

    Raises:
        ConfigError: if it is no address of a cluster's head.
        RunError: if nothing answers.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address:
        wanted = "'host:port' of the cluster's head, such as 10.0.0.1:6379, or 'auto'"
        raise ConfigError(f"executor.address = {address!r}: {wanted}")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        why = f"{error.strerror or error}; `ray start --head` starts one"
        raise RunError(f"no Ray cluster answers at {address}: {why}") from error


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
