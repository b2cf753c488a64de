"""Jobs on a real Ray cluster of two nodes on this machine, with token authentication, one of which is killed."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from rewardsmith.api import planning, searches
from rewardsmith.api.sweep import SweepStore
from rewardsmith.api.sweep.sweeps import sweep
from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, RunError, TaskError, WorkerFailed
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Evaluation, Training, TrainJob
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.search.storage import Run

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
os.environ.update(TOKEN)  # Ray reads them while it is imported
ray = pytest.importorskip("ray")

from rewardsmith.executors.ray import RayExecutor  # noqa: E402

PROGRAM = "def reward(after):\n    return {'up': -after.obs[:, 0] ** 2}\n"
SWEEP = {
    "tasks": ["inverted_pendulum"],
    "presets": ["symbolic"],
    "seeds": 2,
    "settings": {
        "search": {"population": 2, "generations": 2, "env_steps": 14_336, "final_seeds": 1, "baseline": False},
        "evaluation": {"episodes": 2, "final_episodes": 2},
    },
}


class Cluster:
    """A head and nodes, as `ray start` makes them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.start("--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={folder}")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Start the head or a node, with one CPU."""
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus=1", "--node-ip-address=127.0.0.1"]
        subprocess.run(
            [*command, "--disable-usage-stats", *options],
            check=True,
            capture_output=True,
            timeout=120,
        )

    def join(self) -> int:
        """Add a node and return its process's number."""
        before = self.raylets()
        self.start(f"--address={self.address}")
        (new,) = self.raylets() - before
        return new

    def raylets(self) -> set[int]:
        """Return the processes of this cluster's nodes."""
        found = set()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"/raylet") and str(self.folder).encode() in b" ".join(words):
                found.add(int(path.parent.name))
        return found

    def stop(self) -> None:
        """End every process of the cluster."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.folder).encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                    os.kill(int(path.parent.name), signal.SIGKILL)
            except OSError:
                continue


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path("/tmp") / f"rs-ray-{os.getpid()}"  # a socket's path may not be long
    cluster = Cluster(folder)
    yield cluster
    if ray.is_initialized():
        ray.shutdown()
    cluster.stop()


@pytest.fixture
def executor(cluster: Cluster) -> Iterator[RayExecutor]:
    executor = RayExecutor(cluster.address)
    yield executor
    executor.close()


def training(seed: int = 0, steps: int = 4_096) -> TrainJob:
    return TrainJob(EnvSpec("InvertedPendulum-v5"), PROGRAM, "obs[-1, 1]", seed, steps)


def test_a_training_is_bit_for_bit_what_it_is_here_and_its_policy_can_be_evaluated(
    executor: RayExecutor, tmp_path: Path
) -> None:
    points = []
    there = executor.run(training(), tmp_path / "there", points.append)
    local = LocalExecutor(1)
    try:
        here = local.run(training(), tmp_path / "here")
        assert isinstance(there, Training)
        assert isinstance(here, Training)
        assert (there.status, there.curve) == (here.status, here.curve) == ("ok", tuple(points))
        for name in ("policy.safetensors", "policy.json"):
            assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
        job = EvaluateJob(EnvSpec("InvertedPendulum-v5"), str(tmp_path / "there"), "obs[-1, 1]", (5, 6))
        far, near = executor.run(job, tmp_path / "far"), local.run(job, tmp_path / "near")
    finally:
        local.close()
    assert isinstance(far, Evaluation)
    assert isinstance(near, Evaluation)
    assert far.episodes == near.episodes
    assert (tmp_path / "far" / "episodes.npz").stat().st_size > 0


def test_a_node_with_other_files_of_rewardsmith_is_named(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [line for line in _differences(cluster) if "rewardsmith" in line] == []
    monkeypatch.setattr("rewardsmith.executors.ray.RUNNING_BUILD", "0.1.0+of-another-checkout")
    (line,) = _differences(cluster)
    assert "for 0.1.0+of-another-checkout: results may differ" in line


def _differences(cluster: Cluster) -> tuple[str, ...]:
    executor = RayExecutor(cluster.address)
    executor.close()
    return executor.differences


def test_a_finished_job_answers_without_the_cluster(executor: RayExecutor, tmp_path: Path) -> None:
    first = executor.run(training(), tmp_path / "job")
    executor.close()
    assert executor.run(training(), tmp_path / "job") == first


def test_what_a_user_got_wrong_is_raised_here(executor: RayExecutor, tmp_path: Path) -> None:
    job = TrainJob(EnvSpec("NoSuchThing-v0"), PROGRAM, "obs[-1, 0]", 0, 1_024)
    with pytest.raises(TaskError, match="NoSuchThing"):
        executor.run(job, tmp_path / "job")


def test_rungs_are_refused_in_a_line(executor: RayExecutor, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs executor"):
        executor.run(replace(training(), rungs=(2_048,)), tmp_path / "job")


def test_closing_ends_a_job_that_runs(executor: RayExecutor, tmp_path: Path) -> None:
    threading.Timer(3.0, executor.close).start()
    with pytest.raises(WorkerFailed, match="closed"):
        executor.run(training(steps=50_000_000), tmp_path / "job")


def test_a_sweep_whose_node_is_killed_in_the_middle_is_complete_and_has_no_result_twice(
    cluster: Cluster, tmp_path: Path
) -> None:
    node = cluster.join()
    killed = threading.Event()

    def kill() -> None:
        """Kill the node once trainings run on both."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and not killed.is_set():
            busy = [path for path in tmp_path.glob("sweep/shared/train-*/job.json")]
            if len([path for path in busy if not (path.parent / "result.json").exists()]) >= 2:
                time.sleep(1.0)
                os.kill(node, signal.SIGKILL)
                killed.set()
            time.sleep(0.05)

    threading.Thread(target=kill, daemon=True).start()
    executor = RayExecutor(cluster.address)
    try:
        assert executor.slots == 2
        found = sweep(SWEEP, out=tmp_path / "sweep", executor=executor)
    finally:
        executor.close()
    assert killed.is_set()
    assert node not in cluster.raylets()
    assert [(one.status, one.cause) for one in found.outcomes] == [("ok", None)] * 2
    journal = (tmp_path / "sweep" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["data"]["cell"] for line in journal) == sorted(one.cell for one in found.outcomes)
    for cell in SweepStore.open_readonly(tmp_path / "sweep").cells.iterdir():
        counts = Counter(event.key for event in Run.open(cell).read_events())
        assert set(counts.values()) == {1}
        result = Run.open(cell).read_result()
        assert result is not None
        trainings = [training for one in result.candidates for training in one.trainings]
        assert len(trainings) == 4
        assert all(training.status == "ok" for training in trainings)


@pytest.mark.slow
def test_a_search_over_ray_finds_what_it_finds_here(cluster: Cluster, tmp_path: Path) -> None:
    shape = {"population": 1, "generations": 1, "env_steps": 4_096, "final_seeds": 2, "designer": "symbolic"}
    results = []
    for kind in ("ray", "local"):
        layer = {"search": shape, "executor": {"kind": kind, "address": cluster.address if kind == "ray" else None}}
        plan = planning.plan_search("Balance the pole.", "inverted_pendulum", overrides=layer)
        results.append(searches.continue_run(searches.create_run(plan, tmp_path / kind)))
    assert results[0].reported == results[1].reported
    assert records.dump(results[0].baselines) == records.dump(results[1].baselines)


def test_a_cluster_that_is_not_there_is_said_so_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(RunError, match="no Ray cluster answers at"):
        RayExecutor(f"127.0.0.1:{free_port()}")
    assert time.monotonic() - began < 10


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="host:port"):
        RayExecutor("ray://somewhere:10001")


@pytest.mark.slow
def test_a_wrong_token_is_said_in_a_line(cluster: Cluster) -> None:
    script = (
        "from rewardsmith.executors.ray import RayExecutor\n"
        "from rewardsmith.contract.errors import RunError\n"
        f"try:\n    RayExecutor({cluster.address!r})\n"
        "except RunError as error:\n    print(error)\n"
    )
    environment = os.environ | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    said = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=False
    ).stdout
    assert "no Ray cluster can be used at" in said
    assert "RAY_AUTH_TOKEN" in said


@pytest.mark.parametrize(
    ("env_id", "gpus", "expected"),
    [
        ("mjlab:Mjlab-Cartpole-Balance", 2.0, True),
        ("mjlab:Mjlab-Cartpole-Balance", 0.0, False),
        ("Hopper-v5", 2.0, False),
    ],
)
def test_a_job_that_simulates_on_a_gpu_reserves_one_where_there_is_one(env_id, gpus, expected):
    reserved = []

    class Work:
        def options(self, **options):
            reserved.append(options)
            return self

        def remote(self, *arguments):
            raise InterruptedError

    executor = object.__new__(RayExecutor)
    executor._ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 4.0, "GPU": gpus})
    executor._work, executor._limits = Work(), (None, None)
    with pytest.raises(InterruptedError):
        executor._run_attempt(TrainJob(EnvSpec(env_id), PROGRAM, "length", 0, 10), Path(), [], None)
    assert reserved == ([{"num_gpus": 1}] if expected else [])
