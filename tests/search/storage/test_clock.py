"""The clock of a run: it counts over sessions, and a kill loses no more than a moment."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from rewardsmith.search.storage import Clock


def test_a_later_session_goes_on_where_the_earlier_ended(tmp_path):
    file = tmp_path / "clock.json"
    with Clock(file):
        time.sleep(0.05)
    with Clock(file) as again:
        assert again.wall_s >= 0.05
    assert json.loads(file.read_text())["wall_s"] >= 0.05


def test_a_kill_loses_no_more_than_a_moment(tmp_path):
    file = tmp_path / "clock.json"
    program = f"import pathlib, time; from rewardsmith.search.storage import Clock\n\
with Clock(pathlib.Path({str(file)!r}), every_s=0.05) as clock:\n    print('go', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"go\n"
    deadline = time.monotonic() + 30
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with Clock(file) as again:
        assert again.wall_s > 0.2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"wall_s": "x"}', '{"wall_s": NaN}', '{"wall_s": -5}'])
def test_a_file_that_cannot_be_read_counts_as_none(tmp_path, content):
    (tmp_path / "clock.json").write_text(content)
    with Clock(tmp_path / "clock.json") as clock:
        assert clock.wall_s < 5
