"""rewardsmith: describe in a sentence what a simulated agent should do; it writes, trains and measures the reward.

design          search for a reward program
resume          continue an interrupted search
Result          the outcome of a search
sweep           run a matrix of searches
Sweep           the state of a sweep
load_reward     read a reward program from a file
RewardProgram   a program that satisfies the contract
Task            the task of a search
__version__     the installed version

The command `rewardsmith` does the same and more; docs/ describes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewardsmith.api.searches import design, resume
    from rewardsmith.api.sweep.sweeps import Sweep, sweep
    from rewardsmith.contract.records import Result
    from rewardsmith.contract.reward_program import RewardProgram, load_reward
    from rewardsmith.spec.task_cards import Task

    __version__: str

__all__ = ["Result", "RewardProgram", "Sweep", "Task", "__version__", "design", "load_reward", "resume", "sweep"]

_HOMES = {
    "Result": "contract.records",
    "RewardProgram": "contract.reward_program",
    "Sweep": "api.sweep.sweeps",
    "Task": "spec.task_cards",
    "design": "api.searches",
    "load_reward": "contract.reward_program",
    "resume": "api.searches",
    "sweep": "api.sweep.sweeps",
}
"""Public name to the module that defines it."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import rewardsmith` alone costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("rewardsmith")
    if name not in _HOMES:
        raise AttributeError(f"module 'rewardsmith' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(f"rewardsmith.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, for completion in an interpreter."""
    return sorted({*globals(), *__all__})
