"""Messages from a running job and its worker to the orchestrator, one JSON line each.

CurveProgress   a new point of the learning curve
RungReached     a training waits at a rung; the answer is GO_ON or STOP
CaptionsSeen    a training has met new captions of a learned signal; no answer follows on this line
JobRefused      the user's input, or this machine, does not allow the job; the orchestrator raises the error again
JobCrashed      the machinery failed; the traceback lies in worker.log in the job's folder
JobEnded        the job's process has ended; sent by the worker that started it
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
class CurveProgress:
    """A new point of the learning curve."""

    point: CurvePoint
    kind: Literal["progress"] = "progress"


@dataclass(frozen=True)
class RungReached:
    """A training waits at a rung."""

    rung: Rung
    kind: Literal["reached"] = "reached"


@dataclass(frozen=True)
class CaptionsSeen:
    """A training has met captions that it has not reported before; labels of them arrive in the run's label table."""

    signal: str
    """Name of the learned signal."""
    captions: tuple[str, ...]
    """The newest first."""
    kind: Literal["captions"] = "captions"


@dataclass(frozen=True)
class JobRefused:
    """The job cannot be done as it is; nothing is to be retried."""

    error: str
    """Name of the class in `rewardsmith.contract.errors`."""
    message: str
    kind: Literal["refused"] = "refused"

    def to_error(self) -> errors.RewardsmithError:
        """Return the error that was raised in the worker.

        >>> JobRefused("TaskError", "no such signal").to_error()
        TaskError('no such signal')
        """
        cls: type[errors.RewardsmithError] = getattr(errors, self.error)
        return cls(self.message)


@dataclass(frozen=True)
class JobCrashed:
    """The machinery around the job failed."""

    cause: str
    kind: Literal["crashed"] = "crashed"


@dataclass(frozen=True)
class JobEnded:
    """The job's process has ended."""

    code: int
    """Its exit code; minus the signal's number where a signal killed it."""
    kind: Literal["ended"] = "ended"


JobMessage = CurveProgress | RungReached | CaptionsSeen | JobRefused | JobCrashed | JobEnded


def encode_message(message: JobMessage) -> bytes:
    """Return the message as a line."""
    return json.dumps(dump(message)).encode() + b"\n"


def decode_message(line: bytes) -> JobMessage:
    """Return the message of a line.

    >>> decode_message(encode_message(JobEnded(-9)))
    JobEnded(code=-9, kind='ended')
    """
    return load(JobMessage, json.loads(line))  # type: ignore[arg-type]
