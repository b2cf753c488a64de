"""The reward process: the only place where a reward program runs, sealed so that it can do no harm.

open_process         starts a program in a sealed process, on this machine or in a container
check_sandbox        checks which layers of the seal work on this machine, and how to get the others
remove_containers    removes containers that a killed run left behind

process    the trusted end, the same for every backend      inside/    the code behind the border
channel    the interface between it and the backends        local      sealed processes on this machine
layers     the layers of the seal, in words
doctor     the checks of `rewardsmith doctor`               docker     sealed processes in containers
recorded, recorded_scores    recorded episodes and transitions on disk; their scores
"""

from __future__ import annotations

from functools import partial

from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.sandbox.doctor import check_sandbox
from rewardsmith.sandbox.inside.harness import IMPORTS
from rewardsmith.sandbox.local import LocalChannel, Zygote, can_seal, shared_zygote
from rewardsmith.sandbox.process import ProgramLayout, RewardProcess, SealedReward

__all__ = ["IMPORTS", "ProgramLayout", "RewardProcess", "Zygote", "check_sandbox", "open_process", "remove_containers"]


def open_process(
    program: RewardProgram, layout: ProgramLayout, limits: Limits, zygote: Zygote | None = None
) -> RewardProcess:
    """Start a program in a sealed process and return it.

    The text is compiled in the background; an error in it is raised by the first call of `score`.

    Args:
        program: the reward program to run.
        layout: the shapes of the signals and the action.
        limits: the backend, and what the process may use.
        zygote: what the local backend forks from; None takes this process's own, started on first use.

    Raises:
        SandboxUnavailable: if the process cannot be sealed; says what to do.
        WorkerFailed: if it cannot be started.
    """
    if limits.backend == "docker" or (limits.backend == "auto" and not can_seal()):
        from rewardsmith.sandbox.docker import DockerChannel

        return SealedReward(program, layout, limits, partial(DockerChannel, memory_mib=limits.memory_mib))
    connect = partial(LocalChannel, zygote or shared_zygote(), memory_mib=limits.memory_mib)
    return SealedReward(program, layout, limits, connect)


def remove_containers() -> tuple[str, ...]:
    """Remove the containers of processes that have ended; return their names.

    Raises:
        SandboxUnavailable: if no Docker engine answers.
    """
    from rewardsmith.sandbox.docker import remove_containers as remove_containers

    return remove_containers()
