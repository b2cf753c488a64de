"""Who wants to know how a search goes: the live view, the plain lines, the JSON lines, or nobody."""

from __future__ import annotations

from typing import Protocol

from rewardsmith.contract.records import Brief, Candidate, CurvePoint, Result


class Watch(Protocol):
    """Told by the loop what happens, from several threads."""

    def started(self, trainings: int, env_steps: int) -> None:
        """The search begins; at most `trainings` of `env_steps` each lie ahead."""

    def generation(self, brief: Brief) -> None:
        """A generation begins."""

    def stage(self, candidate: str, stage: str) -> None:
        """A candidate, or a training of the final phase, enters a stage such as "design" or "train"."""

    def curve(self, training: str, point: CurvePoint) -> None:
        """A training has a new point on its curve; `training` is its key in the journal."""

    def trained(self, training: str) -> None:
        """A training ended, or was found finished."""

    def judged(self, candidate: Candidate) -> None:
        """A candidate has its fitness, or the reason why it has none."""

    def notice(self, text: str) -> None:
        """Something that the user should know."""

    def finished(self, result: Result) -> None:
        """The search has its result."""


class Silent(Watch):
    """Tells nobody."""

    def started(self, trainings: int, env_steps: int) -> None: ...
    def generation(self, brief: Brief) -> None: ...
    def stage(self, candidate: str, stage: str) -> None: ...
    def curve(self, training: str, point: CurvePoint) -> None: ...
    def trained(self, training: str) -> None: ...
    def judged(self, candidate: Candidate) -> None: ...
    def notice(self, text: str) -> None: ...
    def finished(self, result: Result) -> None: ...
