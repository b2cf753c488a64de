"""What a running job and its worker say to the orchestrator, one JSON line each.

Progress     a point of the learning curve
Reached      a training waits at a rung; it is answered with GO_ON or STOP
Refused      the user's input, or this machine, does not allow the job: raised again by the orchestrator
Crashed      the machinery failed; the traceback lies in worker.log beside the job
Ended        the job's process has ended, said by the worker that started it
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from rewardsmith.contract import errors
from rewardsmith.contract.records import CurvePoint, Rung, dump, load

GO_ON = b"go on\n"
STOP = b"stop\n"


@dataclass(frozen=True)
class Progress:
    """A new point of the learning curve."""

    point: CurvePoint
    kind: Literal["progress"] = "progress"


@dataclass(frozen=True)
class Reached:
    """A training waits at a rung."""

    rung: Rung
    kind: Literal["reached"] = "reached"


@dataclass(frozen=True)
class Refused:
    """The job cannot be done as it is; nothing is to be retried."""

    error: str
    """Name of the class in `rewardsmith.contract.errors`."""
    message: str
    kind: Literal["refused"] = "refused"

    def raised(self) -> errors.RewardsmithError:
        """Return the error that was raised in the worker.

        >>> Refused("TaskError", "no such signal").raised()
        TaskError('no such signal')
        """
        cls: type[errors.RewardsmithError] = getattr(errors, self.error)
        return cls(self.message)


@dataclass(frozen=True)
class Crashed:
    """The machinery around the job failed."""

    cause: str
    kind: Literal["crashed"] = "crashed"


@dataclass(frozen=True)
class Ended:
    """The job's process has ended."""

    code: int
    """Its exit code; minus the signal's number where a signal killed it."""
    kind: Literal["ended"] = "ended"


Message = Progress | Reached | Refused | Crashed | Ended


def encode(message: Message) -> bytes:
    """Return the message as a line."""
    return json.dumps(dump(message)).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of a line.

    >>> decode(encode(Ended(-9)))
    Ended(code=-9, kind='ended')
    """
    return load(Message, json.loads(line))  # type: ignore[arg-type]
