"""A whole search whose programs run in containers."""

import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes.sandbox_backends import docker_opener

from rewardsmith.sandbox import docker as backend

pytestmark = pytest.mark.docker


def ancestors(pid: int) -> set[int]:
    """Return a process and those that it descends from, as far as they are still there."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        while pid > 0:
            found.add(pid)
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def test_a_search_runs_its_programs_in_containers_and_leaves_none(tmp_path):
    docker_opener()
    command = [sys.executable, "-m", "rewardsmith", "design", "Stay up", "--env", "InvertedDoublePendulum-v5"]
    small = ["--population", "2", "--generations", "1", "--steps", "4096", "--set", "search.final_seeds=0", "--json"]
    out = ["--designer", "symbolic", "--sandbox", "docker", "--out", str(tmp_path / "run")]
    search = subprocess.Popen([*command, *small, *out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen: set[str] = set()
    done = threading.Event()

    with contextlib.closing(backend.connect_engine()) as client:

        def ours() -> set[str]:
            running = client.containers.list(all=True, ignore_removed=True, filters={"label": backend.LABEL})
            owners = {one.id: int(one.labels[backend.LABEL].rpartition(":")[2]) for one in running}
            return {id for id, pid in owners.items() if search.pid in ancestors(pid)}

        def watch() -> None:
            while not done.wait(0.2):
                seen.update(ours())

        watcher = threading.Thread(target=watch)
        watcher.start()
        output, errors = search.communicate(timeout=300)
        done.set()
        watcher.join()
        left = seen & {one.id for one in client.containers.list(all=True, ignore_removed=True)}
    assert search.returncode == 0, errors
    result = json.loads(output.splitlines()[-1])
    assert [candidate["status"] for candidate in result["candidates"]] == ["ok", "ok"]
    assert len(seen) >= 2
    assert left == set()
