"""Executor of a Ray cluster: one of a given address, or one that is started on this machine.

A job is a task of one CPU, and of one GPU where its environments are simulated on one and the cluster has any. Its
files are sent with it and its results are sent back, so that the nodes share no file system with this machine. A job
whose node is lost is done again on another; Ray's own retries are off, since they would repeat a curve's points
unnoticed. Trainings do not stop at rungs here: one that waits would hold its CPU.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

from rewardsmith.contract import import_path, records
from rewardsmith.contract.build_id import RUNNING_BUILD
from rewardsmith.contract.errors import ConfigError, RunError, WorkerFailed
from rewardsmith.contract.records import CurvePoint, Job
from rewardsmith.executors import remote_node
from rewardsmith.executors.base import (
    Decide,
    OnEvent,
    R,
    load_finished,
    prepare_folder,
    refuse_rungs,
    unwritable_job_error,
)
from rewardsmith.executors.local import is_resident
from rewardsmith.spec.addresses import is_host_and_port

logger = logging.getLogger(__name__)

ATTEMPTS = 4
"""How often a job is tried when its node is lost."""
POLL_S = 1.0
LEAVE_S = 30.0
"""How long closing waits for jobs to notice; they look once every `POLL_S`, between points of a curve."""
CONNECT_S, LOOK_S = 5.0, 60.0
NO_MODULES = "/"
"""Folder in which Ray is started: its workers import modules from it before all others."""
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
        """Connect to a cluster or start one, and compare the packages of its nodes.

        Args:
            address: "host:port" of the cluster's head, "auto" for the one that this machine belongs to, None to start
                one here that ends with this executor.
            slots: jobs at once; 0: as many as the cluster has CPUs, growing with it.
            time_limit_s: as in `LocalExecutor`.
            memory_limit_mib: as in `LocalExecutor`.

        Raises:
            ConfigError: if Ray is not installed, or the address is wrong.
            RunError: if no cluster answers there, or a node lacks a package.
        """
        self._ray = _import_ray()
        self._limits = (time_limit_s, memory_limit_mib)
        self._closed = threading.Event()
        self._running, self._idle = 0, threading.Condition()
        self._owns_cluster = not self._ray.is_initialized()
        if self._owns_cluster:
            self._connect(address, slots)
        try:
            self.differences = self._compare_nodes()
        except BaseException:
            self.close()
            raise
        self.slots = slots or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._free_slots = threading.BoundedSemaphore(slots) if slots else nullcontext()
        options = {"num_cpus": 1, "max_retries": 0, "num_returns": "streaming"}
        self._work = self._ray.remote(**options)(remote_node.run_remote_job)

    def run(self, job: Job[R], out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> R:
        """Do a job; see `Executor.run`.

        Raises:
            ConfigError: if it is a training with rungs.
        """
        out = out.resolve()
        earlier_result = load_finished(job, out)
        if earlier_result is not None:
            return earlier_result
        refuse_rungs(job)
        cause, curve = "", list[CurvePoint]()
        for number in range(1, ATTEMPTS + 1):
            with self._free_slots, self._count_running():
                self._check_open()
                prepare_folder(job, out)
                logger.info("%s job is sent to the cluster from %s, attempt %d", job.kind, out, number)
                curve = []
                try:
                    result = self._run_attempt(job, out, curve, on_event)
                except _NodeLost as loss:
                    cause = str(loss)
                    logger.warning("%s job in %s failed, attempt %d of %d: %s", job.kind, out, number, ATTEMPTS, cause)
                else:
                    logger.info("%s job in %s ends as %s", job.kind, out, result.status)
                    return result
        return job.build_unfinished("infrastructure", f"{cause} ({ATTEMPTS} tries)", tuple(curve))

    def close(self) -> None:
        """End every job, and the cluster if it was started here; see `Executor.close`."""
        self._closed.set()
        # Ray ends the thread that waits for a task of a connection that goes away: the jobs leave first.
        with self._idle:
            self._idle.wait_for(lambda: not self._running, LEAVE_S)
        if self._owns_cluster and self._ray.is_initialized():
            self._ray.shutdown()

    @contextmanager
    def _count_running(self) -> Iterator[None]:
        """Hold off the end of the connection while an attempt runs."""
        with self._idle:
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _run_attempt(self, job: Job[R], out: Path, curve: list[CurvePoint], on_event: OnEvent | None) -> R:
        policy = Path(job.policy_folder) if job.policy_folder else None
        files = remote_node.read_files(policy, remote_node.POLICY) if policy else {}
        work = self._work.options(num_gpus=1) if self._needs_gpu(job) else self._work
        task = work.remote(records.dump(job), files, self._limits)
        try:
            for kind, content in self._receive_messages(task):
                if kind == "point":
                    curve.append(records.load(CurvePoint, content))
                    if on_event:
                        on_event(curve[-1])
                elif kind == "refused":
                    raise remote_node.rebuild_error(content)
                else:
                    return self._store_result(job, out, *content)
        except BaseException:
            self._cancel(task)
            raise
        raise _NodeLost("the job's node ended it without a result")

    def _needs_gpu(self, job: Job[R]) -> bool:
        """Return whether a job reserves a GPU: where its environments are simulated on one, and the cluster has any."""
        return is_resident(job) and self._ray.cluster_resources().get("GPU", 0) >= 1

    def _store_result(self, job: Job[R], out: Path, result: Any, files: remote_node.Files) -> R:
        try:
            remote_node.write_files(files, out)
        except OSError as error:
            raise unwritable_job_error(out, error) from error
        return load_finished(job, out) or records.load(job.result_type, result)

    def _receive_messages(self, task: Any) -> Iterator[remote_node.RemoteMessage]:
        """Yield the messages of a task.

        Raises:
            _NodeLost: if its node is lost.
            WorkerFailed: if the executor is closed meanwhile, or the node cannot do it.
        """
        errors = self._ray.exceptions
        while True:
            ready, _ = self._ray.wait([task], timeout=POLL_S)
            self._check_open()
            if not ready:
                continue
            try:
                message: remote_node.RemoteMessage = self._ray.get(next(task))
            except StopIteration:
                return
            except errors.RayTaskError as error:
                raise WorkerFailed(f"a Ray node cannot do the job: {_last_line(error)}") from error
            except errors.RayError as error:
                self._check_open()
                raise _NodeLost(f"the job's node was lost: {_last_line(error)}") from error
            yield message

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
        import_path.clean_this_environment()
        if address is None:
            with contextlib.chdir(NO_MODULES):
                self._ray.init(num_cpus=slots or None, include_dashboard=False, **quiet)
            return
        _check_reachable(address)
        try:
            with contextlib.chdir(NO_MODULES):
                self._ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            token = "where it wants a token, RAY_AUTH_MODE=token and RAY_AUTH_TOKEN must be set"
            raise RunError(f"no Ray cluster can be used at {address}: {_last_line(error)}; {token}") from error

    def _ask_versions(self) -> dict[str, Any]:
        """Ask every node at once for the versions of its packages; return address to Ray's reference to the answer."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # Nested, so that Ray sends its code: it must also run where rewardsmith is missing.
        def versions(names: tuple[str, ...]) -> dict[str, str | None]:
            from importlib import metadata

            installed: dict[str, str | None] = {}
            for name in names:
                try:
                    installed[name] = metadata.version(name)
                except metadata.PackageNotFoundError:
                    installed[name] = None
            if installed["rewardsmith"]:  # two checkouts may have the same version
                from rewardsmith.contract.build_id import RUNNING_BUILD

                installed["rewardsmith"] = RUNNING_BUILD
            return installed

        task = self._ray.remote(num_cpus=0, max_retries=0)(versions)
        answers = {}
        for node in self._ray.nodes():
            if node["Alive"]:
                placement = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                answers[node["NodeManagerAddress"]] = task.options(scheduling_strategy=placement).remote(NEEDED)
        return answers

    def _compare_nodes(self) -> tuple[str, ...]:
        """Return a line for each node whose packages differ from this machine's.

        Raises:
            RunError: if a node lacks one.
        """
        local_versions = {name: metadata.version(name) for name in NEEDED} | {"rewardsmith": RUNNING_BUILD}
        differences = []
        for address, answer in self._ask_versions().items():
            try:
                node_versions = self._ray.get(answer, timeout=LOOK_S)
            except (self._ray.exceptions.RayError, TimeoutError) as error:
                differences.append(f"the Ray node {address} does not answer: {_last_line(error)}")
                continue
            missing = [name for name in NEEDED if node_versions[name] is None]
            if missing:
                install = f"pip install 'rewardsmith=={metadata.version('rewardsmith')}'"
                raise RunError(f"the Ray node {address} has no {', '.join(missing)}; there: {install}")
            different = [
                f"{name} {node_versions[name]} for {local_versions[name]}"
                for name in NEEDED
                if node_versions[name] != local_versions[name]
            ]
            if different:
                differences.append(f"the Ray node {address} has {', '.join(different)}: results may differ")
        return tuple(differences)


class _NodeLost(Exception):
    """Raised when a job ends without a result because its node was lost."""


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ConfigError("executor.kind = 'ray' needs a package: pip install 'rewardsmith[ray]'") from error
    return ray


def _check_reachable(address: str) -> None:
    """Raise within seconds if nothing answers; Ray itself would try for a minute.

    Raises:
        ConfigError: if it is not the address of a cluster's head.
        RunError: if nothing answers.
    """
    if address == "auto":
        return
    if not is_host_and_port(address):
        allowed = "'host:port' of the cluster's head, such as 10.0.0.1:6379, or 'auto'"
        raise ConfigError(f"executor.address = {address!r}: {allowed}")
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        why = f"{error.strerror or error}; `ray start --head` starts one"
        raise RunError(f"no Ray cluster answers at {address}: {why}") from error


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
