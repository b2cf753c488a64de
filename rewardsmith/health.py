"""What works on this machine: the checks behind `rewardsmith doctor`, each with the fix for what does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from rewardsmith import graphics
from rewardsmith import machine as hardware
from rewardsmith.errors import RewardsmithError
from rewardsmith.records import Check, EnvSpec, Probe, ProbeJob

RENDER_TIMEOUT_S = 120.0
LITTLE_DISK_GIB = 2.0


def checks() -> tuple[Check, ...]:
    """Return every check of this machine; takes some seconds."""
    from rewardsmith import llm, sandbox

    return (*sandbox.report(), simulation(), rendering(), video(), llm.report(), machine())


def cleanup() -> tuple[str, ...]:
    """Remove the containers that killed runs left behind; return their names."""
    from rewardsmith import sandbox

    return sandbox.cleanup()


def simulation() -> Check:
    """Start a worker and look at an environment, as every search begins."""
    from rewardsmith.jobs import LocalExecutor

    name, job = "simulation", ProbeJob(EnvSpec("Hopper-v5"), 0, 64)
    with tempfile.TemporaryDirectory() as folder:
        executor = LocalExecutor(1)
        try:
            probe = executor.run(job, Path(folder) / "probe")
        except RewardsmithError as error:
            return Check(name, False, str(error), "install the pinned versions: pip install -c constraints.txt .")
        finally:
            executor.close()
    assert isinstance(probe, Probe)  # the executor answers a job with its own kind of result
    detail = "a worker stepped Hopper-v5" if probe.status == "ok" else str(probe.cause)
    return Check(name, probe.status == "ok", detail, "install the pinned versions: pip install -c constraints.txt .")


def rendering() -> Check:
    """Try the ways to render without a screen, each in a process of its own."""
    tried = []
    for backend in graphics.order(os.environ):
        command = [sys.executable, "-m", "rewardsmith.worker.rendering"]
        environment = {"PATH": os.defpath, graphics.VARIABLE: backend, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=RENDER_TIMEOUT_S, env=environment)
            found = json.loads(answer.stdout.splitlines()[-1]) if answer.stdout.strip() else {"ok": False, "detail": ""}
        except (subprocess.TimeoutExpired, ValueError):
            found = {"ok": False, "detail": "no answer"}
        if found["ok"]:
            return Check("rendering", True, f"{backend}: {found['detail']}; videos use it", needed=False)
        tried.append(f"{backend}: {found['detail'] or 'it crashed'}")
    fix = f"{graphics.INSTALL}; a search itself needs no rendering"
    return Check("rendering", False, "; ".join(tried), fix, needed=False)


def video() -> Check:
    """Say which kind of video is written."""
    if graphics.container() == "mp4":
        return Check("video", True, f"mp4 (h264), by PyAV {metadata.version('av')}", needed=False)
    fix = "pip install 'rewardsmith[video]'"
    return Check("video", False, "animated WebP; mp4 (h264) needs PyAV", fix, needed=False)


def machine() -> Check:
    """Count cores, and look at the room for runs."""
    cores, free_gib = hardware.cores(), shutil.disk_usage(Path.cwd()).free / 2**30
    enough = free_gib >= LITTLE_DISK_GIB
    return Check("machine", enough, f"{cores} cores, {free_gib:.0f} GiB free here", "make room for runs/ on this disk")
