"""rewardsmith: describe in a sentence what a simulated agent should do; it writes, trains and measures the reward.

design          search for a reward program
refine          give feedback on a search, and run its next generation
resume          continue an interrupted search
load_result     read the result of a search
Result          the outcome of a search: show, export, wrap an environment, act with the policy
SearchCallback  base class of callbacks, which receive the events of a search
sweep           run a matrix of searches
Sweep           the state of a sweep
load_reward     read a reward program from a file, as a function that runs it in the sandbox
RewardFunction  a reward program as a function
RewardProgram   a program that satisfies the contract
Task            the task of a search: `Task.load("Hopper-v5")`
__version__     the installed version

The command `rewardsmith` does the same and more; docs/ describes it, docs/python.md these names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewardsmith.api.calls import design, load_result, refine, resume
    from rewardsmith.api.results import SearchResult as Result
    from rewardsmith.api.reward_function import RewardFunction, load_reward
    from rewardsmith.api.sweep.sweeps import Sweep, sweep
    from rewardsmith.contract.reward_program import RewardProgram
    from rewardsmith.search.callbacks import SearchCallback
    from rewardsmith.spec.task_cards import Task

    __version__: str

__all__ = [
    "Result",
    "RewardFunction",
    "RewardProgram",
    "SearchCallback",
    "Sweep",
    "Task",
    "__version__",
    "design",
    "load_result",
    "load_reward",
    "refine",
    "resume",
    "sweep",
]

_HOMES = {
    "Result": "api.results.SearchResult",
    "RewardFunction": "api.reward_function.RewardFunction",
    "RewardProgram": "contract.reward_program.RewardProgram",
    "SearchCallback": "search.callbacks.SearchCallback",
    "Sweep": "api.sweep.sweeps.Sweep",
    "Task": "spec.task_cards.Task",
    "design": "api.calls.design",
    "load_result": "api.calls.load_result",
    "load_reward": "api.reward_function.load_reward",
    "refine": "api.calls.refine",
    "resume": "api.calls.resume",
    "sweep": "api.sweep.sweeps.sweep",
}
"""Public name to the place of its definition."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import rewardsmith` alone costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("rewardsmith")
    if name not in _HOMES:
        raise AttributeError(f"module 'rewardsmith' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    module, _, defined = _HOMES[name].rpartition(".")
    return getattr(import_module(f"rewardsmith.{module}"), defined)


def __dir__() -> list[str]:
    """Return the public names, for completion in an interpreter."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
