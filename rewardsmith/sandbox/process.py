"""The trusted end of a reward process: lays out inputs, bounds the time, checks what comes back and adds it up.

The same for every backend: a `Channel` brings messages and arrays, and nothing that it brings is believed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from rewardsmith.contract import build_id
from rewardsmith.contract.errors import RewardFailed, SandboxUnavailable, WorkerFailed
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import STATES, RewardProgram, Scores, Transitions
from rewardsmith.contract.text import flatten_text
from rewardsmith.sandbox.channel import START_TIMEOUT_S, Channel, ProcessHangup
from rewardsmith.sandbox.inside import wire
from rewardsmith.sandbox.inside.wire import Array, Bools

FIRST_CAPACITY = 256
"""Transitions that the first process has room for; a call with more opens a new, larger process."""
CODES = ("error", "memory", "shape", "killed")
"""Codes that a process may give its own failure."""


@dataclass(frozen=True)
class ProgramLayout:
    """The shapes of a program's inputs."""

    signals: Mapping[str, tuple[int, ...]]
    """Every signal that a program may read, to the shape of one transition's value."""
    action_shape: tuple[int, ...]
    """(a,)"""


class RewardProcess(Protocol):
    """A program that can be asked for scores; a context manager that closes it."""

    program: RewardProgram
    layers: tuple[str, ...]
    """Names of the layers of the seal that hold it, e.g. "seccomp", "landlock"."""

    def score(self, transitions: Transitions, memory: Mapping[str, Array] | None = None) -> Scores:
        """Return the scores of n transitions; see `SealedReward.score`."""

    def walk(self, transitions: Transitions, ended: Bools, memory: Mapping[str, Array]) -> Scores:
        """Return the scores of steps that follow each other in time; see `SealedReward.walk`."""

    def close(self) -> None:
        """End the process."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class TermNames:
    """The names and weights of an answer's terms; the same from call to call, so they are checked once."""

    payload: bytes
    names: tuple[str, ...]
    weights: Array
    """(k, 1)"""


class SealedReward:
    """A reward program in a sealed process.

    Attributes:
        program: what runs in it.
        layers: names of the layers that hold it, e.g. "seccomp", "landlock".
    """

    def __init__(
        self,
        program: RewardProgram,
        layout: ProgramLayout,
        limits: Limits,
        connect: Callable[[wire.Spec, int], Channel],
    ) -> None:
        """Start the process and wait until it is sealed; the text is compiled while the caller goes on.

        Args:
            program: what to run.
            layout: the shapes of the signals and the action.
            limits: what the process may use.
            connect: opens a channel for a spec and a number of transitions.

        Raises:
            SandboxUnavailable: if the process cannot be sealed.
            WorkerFailed: if it cannot be started, or is of another version.
        """
        self.program = program
        self._spec = build_spec(program, layout, limits)
        self._timeout_s = limits.call_timeout_s
        self._connect = connect
        self._failure: RewardFailed | None = None
        self._channel: Channel | None = None
        self._views: dict[int, wire.Inputs] = {}
        self._term_names = TermNames(b"", (), np.empty((0, 1)))
        self._open_channel(FIRST_CAPACITY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def score(self, transitions: Transitions, memory: Mapping[str, Array] | None = None) -> Scores:
        """Return the scores of n transitions.

        Args:
            transitions: the action, every signal that the program names and the layout has, and `terminated` where the
                program takes it.
            memory: memory name to (n,); None stands for the values at an episode's start.

        Raises:
            RewardFailed: if the program misbehaved. That ends the process, and later calls raise it again.
            WorkerFailed: if the process was closed, or something other than the program ended it.
            ValueError: if the transitions do not fit the layout.
        """
        start = {name: np.full(transitions.n, value) for name, value in self.program.memory.items()}
        never = np.zeros((1, transitions.n), np.bool_)
        return self._score_steps(transitions, never, start if memory is None else memory)

    def walk(self, transitions: Transitions, ended: Bools, memory: Mapping[str, Array]) -> Scores:
        """Return the scores of T steps of r transitions each, walked through in time order, the memory handed on.

        One call of the process, however many steps: the program is called once per step, inside. The limit of a
        call's wall clock holds for the walk as a whole.

        Args:
            transitions: T * r, step after step; the rows of a step are the same environments at each.
            ended: (T, r), where an episode ended with the transition: memory is reset there before the next step.
            memory: memory name to (r,), before the first step.

        Returns:
            Totals and terms of all transitions, and the memory (r,) that the next walk begins with.

        Raises:
            RewardFailed: if the program misbehaved; as `score`.
            WorkerFailed: as `score`.
            ValueError: if the transitions do not fit the layout.
        """
        scores = self._score_steps(transitions, ended, memory)
        values = {
            name: np.where(ended[-1], self.program.memory[name], value[-ended.shape[1] :])
            for name, value in scores.memory.items()
        }
        return Scores(scores.total, scores.terms, values)

    def _score_steps(self, transitions: Transitions, ended: Bools, memory: Mapping[str, Array]) -> Scores:
        """Return the scores of (T, r) transitions, the memory (T * r,) after each among them."""
        n, rows = transitions.n, ended.shape[1]
        if n < 1 or ended.size != n:
            raise ValueError(f"{n} transitions in {ended.shape[0]} steps of {rows}")
        channel = self._provide_channel(n)
        self._fill_inputs(channel, transitions, ended, memory)
        try:
            return self._collect_scores(channel, self._request_scores(channel, n, rows), n)
        except RewardFailed as error:
            self._failure = _copy_failure(error)
            self.close()
            raise
        except WorkerFailed:
            self.close()
            raise

    def close(self) -> None:
        """End the process; later calls of `score` raise. May be called twice."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None
        self._views = {}

    def _open_channel(self, capacity: int) -> None:
        """Start a process for at most `capacity` transitions a call and wait until it is sealed."""
        channel = self._channel = self._connect(self._spec, capacity)
        self._views = {}
        self._ready = self._asked = False
        try:
            kind, payload = channel.answer(0, START_TIMEOUT_S)
        except (TimeoutError, ProcessHangup) as error:
            self.close()
            reason = str(error) or f"it was not sealed within {START_TIMEOUT_S:g} s"
            raise WorkerFailed(f"a reward process did not start: {reason}") from error
        if kind == wire.UNSEALED:
            self.close()
            reason = flatten_text(payload.decode(errors="replace"))
            raise SandboxUnavailable(
                f"a reward program cannot be sealed here: {reason}; use --sandbox docker, "
                "and see what `rewardsmith doctor` says"
            )
        its, *layers = payload.decode("ascii", "replace").split(",")
        if kind != wire.SEALED or its != wire.VERSION:
            self.close()
            raise build_id.build_upgrade_error("its reward processes are of another version")
        self.layers = tuple(layers)

    def _provide_channel(self, n: int) -> Channel:
        """Return a channel that can take n transitions and is not in the middle of a call."""
        if self._failure is not None:
            raise _copy_failure(self._failure)
        if self._channel is None:
            raise WorkerFailed("the reward process was closed")
        if n > self._channel.capacity or self._asked:
            capacity = max(n, 2 * self._channel.capacity) if n > self._channel.capacity else self._channel.capacity
            self.close()
            self._open_channel(capacity)
        assert self._channel is not None
        return self._channel

    def _fill_inputs(
        self, channel: Channel, transitions: Transitions, ended: Bools, memory: Mapping[str, Array]
    ) -> None:
        """Lay the transitions into the input arena, and what the first step remembers."""
        n, rows = transitions.n, ended.shape[1]
        if n not in self._views:
            self._views[n] = channel.inputs(n)
        groups: dict[str, Mapping[str, Array] | Mapping[str, Bools]] = {
            "action": {"action": transitions.action},
            "before": transitions.before,
            "after": transitions.after,
            "start": transitions.start,
            "terminated": {} if transitions.terminated is None else {"terminated": transitions.terminated},
            "memory": memory,
            "episode": {"ended": ended.ravel().astype(np.float64)},
        }
        for group, name, view in self._views[n]:
            if group == "memory":
                view = view[:rows]
            array = groups[group].get(name)
            if array is None or array.shape != view.shape:
                has = "nothing" if array is None else f"shape {array.shape}"
                raise ValueError(f"{group}.{name} must have shape {view.shape}, has {has}")
            view[...] = array

    def _request_scores(self, channel: Channel, n: int, rows: int) -> bytes:
        """Return the names of the terms, once the scores lie in the output arena."""
        if not self._ready:
            self._expect_message(channel, wire.READY, 0, 0)
            self._ready = True
        self._asked = True
        names = self._expect_message(channel, wire.SCORED, n, rows)
        self._asked = False
        return names

    def _expect_message(self, channel: Channel, kind: int, n: int, rows: int) -> bytes:
        """Return the payload of the next message, which must be of this kind; if n is not 0, call first."""
        try:
            if n:
                channel.call(n, rows, self._timeout_s)
            got, payload = channel.answer(n, self._timeout_s)
        except TimeoutError:
            doing = f"to score {n:,} transitions" if n else "to run its top level"
            text = f"the program took longer than {self._timeout_s:g} s {doing}"
            raise RewardFailed(text, code="timeout") from None
        except ProcessHangup as error:
            raise RewardFailed(str(error), code=error.code) from None
        except ValueError as error:
            raise _forgery_error(str(error)) from None
        if got == kind:
            return payload
        raise self._read_failure(payload) if got == wire.FAILED else _forgery_error(f"a message of kind {got}")

    def _read_failure(self, payload: bytes) -> RewardFailed:
        """Return the failure that a process told of itself."""
        try:
            fields = json.loads(payload)
            code, text, line = fields["code"], fields["message"], fields["line"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return _forgery_error("a failure that cannot be read")
        is_line = line is None or (type(line) is int and 0 < line <= len(self.program.source.splitlines()))
        if code not in CODES or not isinstance(text, str) or not is_line:
            return _forgery_error("a failure that cannot be read")
        return RewardFailed(flatten_text(text), code=code, line=line)

    def _collect_scores(self, channel: Channel, payload: bytes, n: int) -> Scores:
        """Check what lies in the output arena and add it up."""
        if payload != self._term_names.payload:
            self._term_names = self._read_names(payload)
        names, weights, m = self._term_names.names, self._term_names.weights, len(self._spec.memory)
        rows = channel.outputs(n, len(names))
        with np.errstate(all="ignore"):
            total: Array = np.add.reduce(weights * rows[m:])
            # What is not finite stays so under multiplication and addition; a sum may also overflow by itself.
            if not math.isfinite(np.add.reduce(total) + (np.add.reduce(rows[:m], axis=None) if m else 0.0)):
                self._check_finite(names, rows, total)
        memory = dict(zip(self.program.memory, rows, strict=False))
        return Scores(total, dict(zip(names, rows[m:], strict=True)), memory)

    def _check_finite(self, names: tuple[str, ...], rows: Array, total: Array) -> None:
        """Raise if a term, a memory or a sum is not finite, and name the first that is not."""
        labels = (*(f"memory.{name}" for name in self.program.memory), *(f"term {name!r}" for name in names))
        for label, row in (*zip(labels, rows, strict=True), ("the weighted sum of the terms", total)):
            wrong = np.flatnonzero(~np.isfinite(row))
            if len(wrong):
                where = f"{len(wrong):,} of {len(row):,} transitions, first at {wrong[0]}: {row[wrong[0]]}"
                raise RewardFailed(f"{label} is not finite for {where}", code="not-finite")

    def _read_names(self, payload: bytes) -> TermNames:
        names = tuple(payload.decode("ascii", "replace").split("\n"))
        if len(set(names)) != len(names) or len(names) > self._spec.max_terms or not all(map(wire.is_term_name, names)):
            raise _forgery_error("names that no terms have")
        return TermNames(payload, names, np.array([[self.program.weight(name)] for name in names]))


def build_spec(program: RewardProgram, layout: ProgramLayout, limits: Limits) -> wire.Spec:
    """Build the spec of a reward process; of the signals it has only those that the program names."""
    inputs: list[tuple[str, str, tuple[int, ...]]] = []
    if "action" in program.arguments:
        inputs.append(("action", "action", layout.action_shape))
    if "terminated" in program.arguments:
        inputs.append(("terminated", "terminated", ()))
    for state in STATES:
        if state in program.arguments:
            named = program.reads.get(state, ())
            inputs += [(state, name, layout.signals[name]) for name in named if name in layout.signals]
    inputs += [("memory", name, ()) for name in program.memory]
    if program.memory:
        inputs.append(("episode", "ended", ()))
    return wire.Spec(
        source=program.source,
        arguments=program.arguments,
        inputs=tuple(inputs),
        catalogue=tuple(layout.signals),
        memory=tuple(program.memory.items()),
        max_terms=limits.max_terms,
    )


def _copy_failure(failure: RewardFailed) -> RewardFailed:
    """Return the failure without its traceback, which would keep the arenas alive."""
    return RewardFailed(str(failure), code=failure.code, line=failure.line)


def _forgery_error(what: str) -> RewardFailed:
    return RewardFailed(f"the program answered past its harness: {what}", code="protocol")
