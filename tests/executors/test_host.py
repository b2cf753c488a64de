"""Capacity of a machine, read from system files, and the warning if more is requested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rewardsmith.executors import host

System = Callable[..., Path]


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Write the files of a system, by path below its root, and return the root."""

    def write(**files: str) -> Path:
        places = {"meminfo": "proc/meminfo"}
        for name, text in files.items():
            path = tmp_path / places.get(name, f"sys/fs/cgroup/{name.replace('_', '.')}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def meminfo(mib: int) -> str:
    return f"MemTotal:       64000000 kB\nMemAvailable:   {mib * 1024} kB\nCached: 5 kB\n"


def test_free_memory_is_what_the_system_can_give_new_processes(system: System) -> None:
    assert host.measure_free_memory_mib(system(meminfo=meminfo(900))) == 900


def test_a_containers_share_of_the_memory_counts(system: System) -> None:
    root = system(meminfo=meminfo(9000), memory_max=f"{1024 << 20}\n", memory_current=f"{300 << 20}\n")
    assert host.measure_free_memory_mib(root) == 724


def test_a_container_without_a_limit_has_what_the_machine_has(system: System) -> None:
    root = system(meminfo=meminfo(900), memory_max="max\n", memory_current="5000\n", cpu_max="max 100000\n")
    assert host.measure_free_memory_mib(root) == 900
    assert host.count_cores(root) == host.count_cores(Path("/nowhere"))


def test_a_system_that_does_not_say_is_taken_to_have_enough(tmp_path: Path) -> None:
    assert host.measure_free_memory_mib(tmp_path) is None
    assert host.choose_slots(4, None) == 4
    assert host.describe_overload(4, 4, None) is None


def test_a_containers_share_of_the_cores_counts(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert host.count_cores(system(cpu_max="150000 100000\n")) == 2
    assert host.count_cores(system(cpu_max="9900000 100000\n")) == 8


@pytest.mark.parametrize(("cores", "memory_mib"), [(1, 8_000), (8, 300), (1, 50)])
def test_a_small_machine_runs_one_job_at_a_time(cores: int, memory_mib: int) -> None:
    assert host.choose_slots(cores, memory_mib) == 1


@pytest.mark.parametrize(
    ("jobs", "cores", "memory_mib", "said"),
    [
        (2, 1, 8_000, "2 jobs at once on 1 core: "),
        (64, 8, 9_000, "64 jobs at once need about 22,400 MiB of memory, 9,000 MiB are free: fewer"),
        (1, 1, 200, "a job needs about 350 MiB of memory, 200 MiB are free: the system may kill it"),
    ],
)
def test_more_than_the_machine_carries_is_told(jobs: int, cores: int, memory_mib: int, said: str) -> None:
    assert (host.describe_overload(jobs, cores, memory_mib) or "").startswith(said)


def test_the_default_never_asks_for_more_cores_than_there_are() -> None:
    for memory_mib in (100, 400, 1_000, 10_000):
        assert (host.describe_overload(host.choose_slots(4, memory_mib), 4, memory_mib) is None) == (memory_mib >= 350)
