"""`rewardsmith doctor`: checks of this machine, with a fix for each that fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_json, print_line
from rewardsmith.cli.options import JsonOption
from rewardsmith.contract import import_path, opengl
from rewardsmith.contract.text import pluralize

if TYPE_CHECKING:
    from rewardsmith.contract.records import DoctorCheck

# Each check imports what it needs: the command's help must not wait for it.

RENDER_TIMEOUT_S = 120.0
MIN_FREE_DISK_GIB = 2.0
PINNED_VERSIONS = "install the pinned versions: pip install -c constraints.txt ."


def doctor(
    cleanup: Annotated[bool, typer.Option("--cleanup", help="Remove containers that killed runs left behind.")] = False,
    json_: JsonOption = False,
) -> None:
    """Check this machine: sandbox, Docker, simulation, rendering, the model's endpoint."""
    from rewardsmith.contract import records

    if cleanup:
        removed = remove_leftovers()
        names = f": {', '.join(removed)}" if removed else ""
        print_line(f"removed {pluralize(len(removed), 'leftover container')}{names}")
        return
    results = run_checks()
    if json_:
        print_json([records.dump(check) for check in results])
    else:
        for check in results:
            mark = "ok" if check.ok else "no" if check.needed else "without"
            print_line(f"{mark:<8} {check.name:<14} {check.detail}")
            if not check.ok and check.fix:
                print_line(f"{'':<23} fix: {check.fix}")
    if any(check.needed and not check.ok for check in results):
        raise typer.Exit(1)


def run_checks() -> tuple[DoctorCheck, ...]:
    """Run every check of this machine; takes some seconds."""
    from rewardsmith import llm, sandbox

    return (
        *sandbox.check_sandbox(),
        check_simulation(),
        check_rendering(),
        check_video(),
        llm.check_endpoint(),
        check_machine(),
    )


def remove_leftovers() -> tuple[str, ...]:
    """Remove the containers that killed runs left behind; return their names."""
    from rewardsmith import sandbox

    return sandbox.remove_containers()


def check_simulation() -> DoctorCheck:
    """Start a worker and probe an environment, as every search does first."""
    from rewardsmith.contract.errors import RewardsmithError
    from rewardsmith.contract.records import DoctorCheck, EnvSpec, ProbeJob
    from rewardsmith.executors.local import LocalExecutor

    name, job = "simulation", ProbeJob(EnvSpec("Hopper-v5"), 0, 64)
    with tempfile.TemporaryDirectory() as folder:
        executor = LocalExecutor(1)
        try:
            probe = executor.run(job, Path(folder) / "probe")
        except RewardsmithError as error:
            return DoctorCheck(name, False, str(error), PINNED_VERSIONS)
        finally:
            executor.close()
    ok = probe.status == "ok"
    return DoctorCheck(name, ok, "a worker stepped Hopper-v5" if ok else str(probe.cause), PINNED_VERSIONS)


def check_rendering() -> DoctorCheck:
    """Try the ways to render without a screen, each in a separate process."""
    from rewardsmith.contract.records import DoctorCheck

    failures = []
    for backend in opengl.list_backends(os.environ):
        command = import_path.python_command("-m", "rewardsmith.worker.video.render_check")
        variables = {"PATH": os.defpath, opengl.VARIABLE: backend}
        variables |= import_path.build_import_environment(os.environ)
        answer = {"ok": False, "detail": ""}
        try:
            process = subprocess.run(command, capture_output=True, text=True, timeout=RENDER_TIMEOUT_S, env=variables)
            if process.stdout.strip():
                answer = json.loads(process.stdout.splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError):
            answer = {"ok": False, "detail": "no answer"}
        if answer["ok"]:
            return DoctorCheck("rendering", True, f"{backend}: {answer['detail']}; videos use it", needed=False)
        failures.append(f"{backend}: {answer['detail'] or 'it crashed'}")
    fix = f"{opengl.INSTALL}; a search itself needs no rendering"
    return DoctorCheck("rendering", False, "; ".join(failures), fix, needed=False)


def check_video() -> DoctorCheck:
    """Say which video format is written."""
    from importlib import metadata

    from rewardsmith.contract.records import DoctorCheck

    if opengl.choose_video_format() == "mp4":
        return DoctorCheck("video", True, f"mp4 (h264), by PyAV {metadata.version('av')}", needed=False)
    fix = "pip install 'rewardsmith[video]'"
    return DoctorCheck("video", False, "animated WebP; mp4 (h264) needs PyAV", fix, needed=False)


def check_machine() -> DoctorCheck:
    """Count the cores, and measure the free disk space for runs."""
    from rewardsmith.contract.records import DoctorCheck
    from rewardsmith.executors import host

    cores, free_gib = host.count_cores(), shutil.disk_usage(Path.cwd()).free / 2**30
    detail = f"{cores} cores, {free_gib:.0f} GiB free here"
    return DoctorCheck("machine", free_gib >= MIN_FREE_DISK_GIB, detail, "make room for runs/ on this disk")
