"""Callbacks of a search: the live view, plain lines, JSON lines, trackers, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rewardsmith.contract.records import Brief, Candidate, CurvePoint, Result


class SearchCallback:
    """Base class of callbacks; the loop calls the methods from several threads, and each does nothing by default."""

    def on_search_start(self, trainings: int, env_steps: int) -> None:
        """The search begins, with at most `trainings` of `env_steps` each."""

    def on_generation_start(self, brief: Brief) -> None:
        """A generation begins."""

    def on_stage(self, owner: str, stage: str) -> None:
        """An owner of trainings (see `layout`), such as "g0c01" or "final/g0c01", enters a stage such as "train"."""

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        """A training has a new point on its curve; `training` is its key in the journal."""

    def on_training_end(self, training: str) -> None:
        """A training ended, or was already finished."""

    def on_candidate_end(self, candidate: Candidate) -> None:
        """A candidate has its fitness, or the reason why it has none."""

    def on_notice(self, text: str) -> None:
        """There is something that the user should know."""

    def on_search_end(self, result: Result) -> None:
        """The search has its result."""


class NullCallback(SearchCallback):
    """Tells nobody."""


class CallbackList(SearchCallback):
    """Forwards every event to several callbacks, in their order."""

    def __init__(self, callbacks: Sequence[SearchCallback]) -> None:
        """Take the callbacks."""
        self.callbacks = callbacks


def _forward(event: str) -> Callable[..., None]:
    def call_all(self: CallbackList, *arguments: Any, **named: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(*arguments, **named)

    return call_all


for _event in [name for name in vars(SearchCallback) if name.startswith("on_")]:
    setattr(CallbackList, _event, _forward(_event))
