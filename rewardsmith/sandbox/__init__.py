"""The reward process: the one place where a reward program runs, sealed so that it can do no harm.

open_process    starts a program in a sealed process, here or in a container
report          what of the seal works on this machine, and what to do about the rest
cleanup         removes containers that a killed run left behind

process    the trusted end, the same for every backend      inside/    what runs behind the border
channel    the seam between it and the backends             local      sealed processes on this machine
doctor     looks at what works here                         docker     sealed processes in containers
"""

from __future__ import annotations

from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.sandbox.doctor import report
from rewardsmith.sandbox.inside.harness import IMPORTS
from rewardsmith.sandbox.local import LocalChannel, Zygote, can_seal, shared_zygote
from rewardsmith.sandbox.process import Layout, RewardProcess, SealedReward

__all__ = ["IMPORTS", "Layout", "RewardProcess", "Zygote", "cleanup", "open_process", "report"]


def open_process(program: RewardProgram, layout: Layout, limits: Limits, zygote: Zygote | None = None) -> RewardProcess:
    """Start a program in a sealed process and return it.

    The text is compiled in the background; what is wrong with it, the first call of `score` raises.

    Args:
        program: what to run.
        layout: the shapes of the signals and the action.
        limits: the backend, and what the process may use.
        zygote: what the local backend forks from; None takes this process's own, started on first use.

    Raises:
        SandboxUnavailable: if the process cannot be sealed; says what to do.
        WorkerFailed: if it cannot be started.
    """
    if limits.backend == "docker" or (limits.backend == "auto" and not can_seal()):
        from rewardsmith.sandbox.docker import DockerChannel

        return SealedReward(
            program, layout, limits, lambda spec, capacity: DockerChannel(spec, capacity, limits.memory_mib)
        )
    source = zygote or shared_zygote()
    return SealedReward(
        program, layout, limits, lambda spec, capacity: LocalChannel(source, spec, capacity, limits.memory_mib)
    )


def cleanup() -> tuple[str, ...]:
    """Remove the containers of processes that have ended; return their names.

    Raises:
        SandboxUnavailable: if no Docker engine answers.
    """
    from rewardsmith.sandbox.docker import cleanup as remove_containers

    return remove_containers()
