"""The sandbox checks of `rewardsmith doctor`: they seal a process, and say which layers held it."""

from __future__ import annotations

import contextlib
import platform
from functools import partial

import numpy as np

from rewardsmith.contract.errors import SandboxUnavailable, WorkerFailed
from rewardsmith.contract.records import DoctorCheck, Limits
from rewardsmith.contract.reward_program import Transitions, parse_program
from rewardsmith.sandbox.layers import describe_layers
from rewardsmith.sandbox.local import LocalChannel, Zygote
from rewardsmith.sandbox.process import ProgramLayout, SealedReward

_TRIVIAL_PROGRAM = "def reward(action):\n    return {'effort': -np.sum(action**2, axis=1)}\n"
_BEST_EFFORT = {
    "landlock": (
        "Landlock refuses files, TCP and signals once more",
        "a kernel since 5.13 with Landlock in its `lsm=` list",
    ),
    "namespaces": (
        "an empty network, no sight of other processes",
        "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0)",
    ),
    "empty-root": ("the root of all paths is an empty folder", "the same as for namespaces"),
    "no-privileges": ("an ordinary user without capabilities", "do not run as root"),
}
"""Layer to its effect, and to what the machine needs for it."""


def check_sandbox() -> tuple[DoctorCheck, ...]:
    """Check sealing, which the local backend needs; its additional layers; and the Docker backend."""
    try:
        layers = _list_seal_layers()
    except (SandboxUnavailable, WorkerFailed) as error:
        fix = "use --sandbox docker, or a Linux kernel with seccomp on x86_64 or aarch64"
        docker = _check_docker()
        return (DoctorCheck("seal", False, str(error), fix, needed=not docker.ok), docker)
    extra = tuple(
        DoctorCheck(name, True, detail, needed=False)
        if name in layers
        else DoctorCheck(name, False, "missing; the seal holds without it", fix, needed=False)
        for name, (detail, fix) in _BEST_EFFORT.items()
    )
    return (
        DoctorCheck("seal", True, f"a program was run in it on {platform.machine()}: {describe_layers(layers)}"),
        *extra,
        _check_docker(),
    )


def _list_seal_layers() -> tuple[str, ...]:
    """Seal a process, run a program in it, and return the layers that held it."""
    program, layout, limits = parse_program(_TRIVIAL_PROGRAM), ProgramLayout({}, (1,)), Limits()
    with Zygote() as zygote:
        connect = partial(LocalChannel, zygote, memory_mib=limits.memory_mib)
        with SealedReward(program, layout, limits, connect) as process:
            process.score(Transitions(np.ones((1, 1))))
            return process.layers


def _check_docker() -> DoctorCheck:
    try:
        from rewardsmith.sandbox.docker import connect_engine

        with contextlib.closing(connect_engine()) as client:
            version = client.version()["Version"]
    except SandboxUnavailable as error:
        fix = "only --sandbox docker needs it: start Docker, or set DOCKER_HOST"
        return DoctorCheck("docker", False, str(error), fix, needed=False)
    return DoctorCheck("docker", True, f"engine {version}", needed=False)
