"""Containers: their settings, and no container left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import numpy as np
import pytest
from fakes.sandbox_backends import LAYOUT, N, docker_opener, transitions

from rewardsmith.contract.errors import RewardFailed, SandboxUnavailable, WorkerFailed
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.sandbox import docker as backend
from rewardsmith.sandbox import open_process, remove_containers

pytestmark = pytest.mark.docker
IN_DOCKER = Limits("docker")
PROGRAM = parse_program("WEIGHTS = {'a': 2.0}\ndef reward(after):\n    return {'a': after.x, 'b': 1.0}\n")
ENDLESS = parse_program("def reward(after):\n    while True:\n        pass\n    return {}\n")


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    docker_opener()
    connected = backend.connect_engine()
    yield connected
    connected.close()


@pytest.fixture
def ours(client: docker.DockerClient) -> Callable[[], set[str]]:
    """A function that gives the ids of the containers of this process."""
    return lambda: owned(client, os.getpid())


def owned(client: docker.DockerClient, pid: int) -> set[str]:
    """Return the ids of the containers that a process of this machine owns."""
    label = f"{backend.LABEL}={backend.HOST}:{pid}"
    return {
        container.id for container in client.containers.list(all=True, ignore_removed=True, filters={"label": label})
    }


def gone(containers: Callable[[], set[str]], timeout_s: float = 15.0) -> bool:
    """Tell whether no container is left after a while."""
    deadline = time.monotonic() + timeout_s
    while containers() and time.monotonic() < deadline:
        time.sleep(0.1)
    return not containers()


def test_scores_are_those_of_the_same_code_in_this_process(client: docker.DockerClient) -> None:
    with open_process(PROGRAM, LAYOUT, IN_DOCKER) as process:
        for n in (N, 2048, 5000, 1):
            given = transitions(n)
            scores = process.score(given)
            np.testing.assert_array_equal(scores.total, 2.0 * given.after["x"] + 1.0)


def test_memory_is_walked_through_inside_the_container(client: docker.DockerClient) -> None:
    text = (
        "MEMORY = {'sum': 0.0}\ndef reward(after, memory):\n    memory.sum += after.x\n    return {'sum': memory.sum}\n"
    )
    given, never = transitions(6), np.zeros((3, 2), np.bool_)
    with open_process(parse_program(text), LAYOUT, IN_DOCKER) as process:
        scores = process.walk(given, never, {"sum": np.zeros(2)})
    expected = np.cumsum(given.after["x"].reshape(3, 2), axis=0)
    np.testing.assert_allclose(scores.total, expected.ravel(), rtol=1e-12)
    np.testing.assert_allclose(scores.memory["sum"], expected[-1], rtol=1e-12)


def test_the_container_has_nothing(client: docker.DockerClient, ours: Callable[[], set[str]]) -> None:
    with open_process(PROGRAM, LAYOUT, IN_DOCKER) as process:
        process.score(transitions())
        (container,) = (client.api.inspect_container(identity) for identity in ours())
    host = container["HostConfig"]
    assert host["NetworkMode"] == "none" and list(container["NetworkSettings"]["Networks"]) == ["none"]
    assert host["IpcMode"] == "none" and host["ReadonlyRootfs"] and not host["Binds"] and not container["Mounts"]
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"] and container["Config"]["User"] == "65534:65534"
    assert 0 < host["Memory"] == host["MemorySwap"] < 1 << 30
    assert host["NanoCpus"] == 10**9 and host["PidsLimit"] == backend.MOST_PIDS
    assert host["AutoRemove"] and host["LogConfig"]["Type"] == "none"
    assert {"seccomp", "no-new-privs", "limits", "container"} <= set(process.layers)


def test_no_variable_of_this_process_reaches_a_container(
    client: docker.DockerClient, ours: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    monkeypatch.setenv("HTTP_PROXY", "http://user:password@proxy")
    with open_process(PROGRAM, LAYOUT, IN_DOCKER) as process:
        process.score(transitions())
        (container,) = (client.api.inspect_container(identity) for identity in ours())
    names = {variable.partition("=")[0] for variable in container["Config"]["Env"]}
    assert names <= {"PATH", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED"} | {
        name for name in names if name.startswith(("PYTHON_", "GPG_", "LANG"))
    }
    assert "sk-planted" not in str(container) and "password" not in str(container)


def test_a_closed_process_leaves_no_container(client: docker.DockerClient, ours: Callable[[], set[str]]) -> None:
    process = open_process(PROGRAM, LAYOUT, IN_DOCKER)
    assert len(ours()) == 1
    process.close()
    process.close()
    assert gone(ours)


@pytest.mark.parametrize("text", ["raise ValueError", "while True: pass", "x = [0] * 2**40"])
def test_a_failed_process_leaves_no_container(
    client: docker.DockerClient, ours: Callable[[], set[str]], text: str
) -> None:
    program = parse_program(f"def reward(after):\n    {text}\n    return {{}}\n")
    process = open_process(program, LAYOUT, Limits("docker", call_timeout_s=0.5))
    with pytest.raises(RewardFailed):
        process.score(transitions())
    assert gone(ours)


@pytest.mark.parametrize("program", ["PROGRAM", "ENDLESS"])
def test_a_killed_parent_leaves_no_container(client: docker.DockerClient, program: str) -> None:
    script = f"""
        import sys
        sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
        from test_docker import *
        process = open_process({program}, LAYOUT, Limits("docker", call_timeout_s=600))
        print("started", flush=True)
        process.score(transitions())
        sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"started\n"
        time.sleep(0.5)
        assert len(owned(client, parent.pid)) == 1
        parent.kill()
    assert gone(lambda: owned(client, parent.pid))


def test_cleanup_removes_what_a_dead_owner_left_and_spares_the_living(client: docker.DockerClient) -> None:
    image = backend.provide_image(client)
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = client.containers.create(image, labels={backend.LABEL: f"{backend.HOST}:{ended.pid}"})
    foreign = client.containers.create(image, labels={backend.LABEL: f"another-machine:{ended.pid}"})
    try:
        with open_process(PROGRAM, LAYOUT, IN_DOCKER) as process:
            assert left.name in remove_containers()
            assert process.score(transitions()).total.shape == (N,)
        assert not owned(client, ended.pid)
        foreign.reload()
    finally:
        foreign.remove()


def test_too_much_memory_for_the_container_is_told_apart_from_a_timeout(
    client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The seal's own limit comes first, unless the container's is the lower one.
    monkeypatch.setattr(backend, "INTERPRETER_MIB", -100)
    text = "def reward(after):\n    kept = [np.ones(10**6) for _ in range(100)]\n    return {'a': after.x}\n"
    with open_process(parse_program(text), LAYOUT, Limits("docker", memory_mib=250)) as process:
        with pytest.raises(RewardFailed, match="more than the container's 250 MiB") as failure:
            process.score(transitions())
    assert failure.value.code == "memory"


def test_a_container_that_is_removed_from_outside_is_the_machines_fault(
    client: docker.DockerClient, ours: Callable[[], set[str]]
) -> None:
    with open_process(PROGRAM, LAYOUT, IN_DOCKER) as process:
        process.score(transitions())
        for identity in ours():
            client.api.kill(identity)
        with pytest.raises(WorkerFailed, match="ended from outside"):
            process.score(transitions())


def test_a_base_image_that_cannot_be_had_is_named(client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backend.BASE_VARIABLE, "rewardsmith-no-such-image:latest")
    with pytest.raises(SandboxUnavailable, match=f"cannot be built.*{backend.BASE_VARIABLE}"):
        open_process(PROGRAM, LAYOUT, IN_DOCKER)
