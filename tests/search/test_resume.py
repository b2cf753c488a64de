"""A search that is killed and resumed ends as the uninterrupted one does."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes.journals import canonical_events

from rewardsmith.search.storage.journal import read_journal

COMMAND = [sys.executable, "-m", "rewardsmith"]
SEARCH = ["design", "Swing up and stay up", "--env", "Pendulum-v1", "--designer", "symbolic", "--population", "3"]
SMALL = ["--generations", "2", "--steps", "8192", "--jobs", "2", "--set", "search.final_seeds=1"]
LIMIT_S = 180.0


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, output
    return output


def journal(run: Path) -> list:
    return canonical_events(read_journal(run / "journal.jsonl"))


def orphans(run: Path) -> list[int]:
    """Return the processes that still work below a run directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                links = [str(link.readlink()) for link in (entry / "fd").iterdir()]
            except OSError:
                continue
            if any(link.startswith(str(run)) for link in links):
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> tuple[Path, float]:
    """Run the search without a kill; return its directory and its seconds."""
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    began = time.monotonic()
    finish(start(*SEARCH, *SMALL, "--out", str(run)))
    return run, time.monotonic() - began


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3, 4))])
def test_a_run_killed_at_random_moments_gives_the_uninterrupted_journal(uninterrupted, tmp_path, seed):
    whole, seconds = uninterrupted
    run, rng, kills = tmp_path / "run", random.Random(seed), 0
    process = start(*SEARCH, *SMALL, "--out", str(run))
    for moment in sorted(rng.uniform(0.15, 0.9) for _ in range(2)):
        time.sleep(moment * seconds / 2)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        again = ["resume", str(run)] if (run / "config.toml").exists() else [*SEARCH, *SMALL, "--out", str(run)]
        process = start(*again)
    finish(process)
    assert kills > 0
    assert journal(run) == journal(whole)
    assert (run / "reward.py").read_text() == (whole / "reward.py").read_text()


def test_an_interrupt_says_how_to_go_on_and_leaves_no_process(tmp_path):
    process, journal = start(*SEARCH, *SMALL, "--out", str(tmp_path / "run")), tmp_path / "run" / "journal.jsonl"
    patience = time.monotonic() + 60
    while not (journal.exists() and b"/designer/" in journal.read_bytes()):
        assert time.monotonic() < patience
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"rewardsmith resume {tmp_path / 'run'}" in output
    time.sleep(0.5)
    assert orphans(tmp_path / "run") == []


def test_a_finished_run_answers_at_once(uninterrupted):
    run, seconds = uninterrupted
    before = (run / "journal.jsonl").read_bytes()
    began = time.monotonic()
    output = finish(start("resume", str(run)))
    assert time.monotonic() - began < max(5.0, seconds / 2)
    assert "The best program" in output
    assert (run / "journal.jsonl").read_bytes() == before
