"""rewardsmith: tell it in a sentence what a simulated agent should do; it writes, trains and measures the reward.

design         search for a reward program                   resume   go on with an interrupted search
sweep          a matrix of searches                          Sweep    what came of it
load_reward    read a reward program from a file             Task     what to search for
RewardProgram  a program that satisfies the contract         Result   the outcome of a search
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewardsmith.api.searches import design, resume
    from rewardsmith.api.sweep.sweeps import Sweep, sweep
    from rewardsmith.contract.records import Result
    from rewardsmith.contract.reward_program import RewardProgram, load_reward
    from rewardsmith.spec.task_cards import Task

__all__ = ["Result", "RewardProgram", "Sweep", "Task", "design", "load_reward", "resume", "sweep"]

_HOMES = {
    "RewardProgram": "contract.reward_program",
    "Result": "contract.records",
    "Sweep": "api.sweep.sweeps",
    "Task": "spec.task_cards",
    "design": "api.searches",
    "load_reward": "contract.reward_program",
    "resume": "api.searches",
    "sweep": "api.sweep.sweeps",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import rewardsmith` alone costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rewardsmith' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(f"rewardsmith.{_HOMES[name]}"), name)
