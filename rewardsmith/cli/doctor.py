"""`rewardsmith doctor`: what works on this machine, and the fix for what does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.console import say, say_json
from rewardsmith.contract import opengl, records
from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.contract.records import Check, EnvSpec, Probe, ProbeJob
from rewardsmith.contract.text import counted
from rewardsmith.executors import host as hardware

RENDER_TIMEOUT_S = 120.0
LITTLE_DISK_GIB = 2.0


def doctor(
    cleanup: Annotated[bool, typer.Option("--cleanup", help="Remove what killed runs left: containers.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say what works on this machine: sealing, Docker, simulation, rendering, the model's endpoint."""
    if cleanup:
        removed = remove_leftovers()
        names = f": {', '.join(removed)}" if removed else ""
        say(f"removed {counted(len(removed), 'leftover container')}{names}")
        return
    results = run_checks()
    if json_:
        say_json([records.dump(check) for check in results])
    else:
        for check in results:
            mark = "ok" if check.ok else "no" if check.needed else "without"
            say(f"{mark:<8} {check.name:<14} {check.detail}")
            if not check.ok and check.fix:
                say(f"{'':<23} fix: {check.fix}")
    if any(check.needed and not check.ok for check in results):
        raise typer.Exit(1)


def run_checks() -> tuple[Check, ...]:
    """Return every check of this machine; takes some seconds."""
    from rewardsmith import llm, sandbox

    return (*sandbox.report(), simulation(), rendering(), video(), llm.report(), machine())


def remove_leftovers() -> tuple[str, ...]:
    """Remove the containers that killed runs left behind; return their names."""
    from rewardsmith import sandbox

    return sandbox.cleanup()


def simulation() -> Check:
    """Start a worker and look at an environment, as every search begins."""
    from rewardsmith.executors.local import LocalExecutor

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
    for backend in opengl.order(os.environ):
        command = [sys.executable, "-m", "rewardsmith.worker.video.render_check"]
        environment = {"PATH": os.defpath, opengl.VARIABLE: backend, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=RENDER_TIMEOUT_S, env=environment)
            found = json.loads(answer.stdout.splitlines()[-1]) if answer.stdout.strip() else {"ok": False, "detail": ""}
        except (subprocess.TimeoutExpired, ValueError):
            found = {"ok": False, "detail": "no answer"}
        if found["ok"]:
            return Check("rendering", True, f"{backend}: {found['detail']}; videos use it", needed=False)
        tried.append(f"{backend}: {found['detail'] or 'it crashed'}")
    fix = f"{opengl.INSTALL}; a search itself needs no rendering"
    return Check("rendering", False, "; ".join(tried), fix, needed=False)


def video() -> Check:
    """Say which kind of video is written."""
    if opengl.container() == "mp4":
        return Check("video", True, f"mp4 (h264), by PyAV {metadata.version('av')}", needed=False)
    fix = "pip install 'rewardsmith[video]'"
    return Check("video", False, "animated WebP; mp4 (h264) needs PyAV", fix, needed=False)


def machine() -> Check:
    """Count cores, and look at the room for runs."""
    cores, free_gib = hardware.cores(), shutil.disk_usage(Path.cwd()).free / 2**30
    enough = free_gib >= LITTLE_DISK_GIB
    return Check("machine", enough, f"{cores} cores, {free_gib:.0f} GiB free here", "make room for runs/ on this disk")
