"""The language of a signal's `source`: where the worker reads a value, parsed once and never evaluated as Python.

qpos[0]   qvel[1:3]   obs[3]   state[0]        numbers and slices
xpos[torso]   xpos[torso,2]   qpos[hip_joint]  a name of the model stands for its rows
info[x_position]   sensordata["left foot"]     a name that is no identifier stands in quotes
xpos[fingertip] - xpos[target]                 differences and sums, also with a number: qpos[rootz] + 0.7
wrap(state[0])   norm(qvel[0:2])               one of FUNCTIONS; angle(xvelp[torso,0:2]) is a direction
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError

Array = NDArray[np.float64]
Index = int | slice | str


def _wrap(angle: Array) -> Array:
    """Return the angle in [-pi, pi)."""
    wrapped: Array = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped


def _norm(vector: Array) -> Array:
    """Return the Euclidean length over every axis but the first."""
    return np.asarray(np.sqrt(np.sum(vector.reshape(len(vector), -1) ** 2, axis=1)))


def _angle(vector: Array) -> Array:
    """Return the direction of plane vectors (n, 2) in [-pi, pi], anti-clockwise from the first axis."""
    return np.asarray(np.arctan2(vector[:, 1], vector[:, 0]))


FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "wrap": _wrap,
    "cos": np.cos,
    "sin": np.sin,
    "norm": _norm,
    "angle": _angle,
}

OWN_REWARD = "own_reward"
"""The field that is the environment's own reward of the step."""
_TELLS = re.compile(
    r"reward|(^|_)rew(_|$)|return|score|cost|penalt|bonus|surviv|success|solved|near_object"
    r"|goal_?(met|reach)|(^|_)(win|won|fail|failed|failure|complete|completed|passed)(_|$)",
    re.IGNORECASE,
)
"""Keys of `info` that carry the environment's own reward, a part of it, or a verdict on the task.

`near_object` is a term of the own reward in some tasks of Meta-World.
"""


@dataclass(frozen=True)
class Ref:
    """A field of the simulation, indexed."""

    field: str
    indices: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Combined:
    """left + sign * right."""

    left: Node
    sign: int
    right: Node


@dataclass(frozen=True)
class Applied:
    """A function of FUNCTIONS, applied."""

    function: str
    argument: Node


Node = Ref | Number | Combined | Applied

_TOKEN = re.compile(
    r"\s*(?:(?P<slice>-?\d*:-?\d*(?::-?\d+)?(?=\s*[\],]))|(?P<int>-?\d+)(?=\s*[\],])"
    r"|(?P<number>\d+\.?\d*)|(?P<name>[A-Za-z_][\w.:/]*)|(?P<quoted>'[^']*'|\"[^\"]*\")|(?P<op>[\[\](),+-]))"
)


def parse(source: str) -> Node:
    """Read a source.

    >>> parse("xpos[torso,2]")
    Ref(field='xpos', indices=('torso', 2))

    Raises:
        TaskError: if the text is no source, with the place marked.
    """
    return _Parser(source).whole()


def refs(node: Node) -> tuple[Ref, ...]:
    """Return the fields that a source reads, in their order."""
    if isinstance(node, Ref):
        return (node,)
    if isinstance(node, Number):
        return ()
    if isinstance(node, Applied):
        return refs(node.argument)
    return refs(node.left) + refs(node.right)


def leaks(key: str) -> bool:
    """Tell whether an entry of `info` may tell a program the environment's own reward or verdict.

    >>> [key for key in ("reward_ctrl", "is_success", "x_velocity", "distance_penalty") if not leaks(key)]
    ['x_velocity']
    """
    return bool(_TELLS.search(key))


def leak(source: str) -> str | None:
    """Return what a source reads that no program may know; None where all of it is fit for one.

    >>> leak("info[is_success]"), leak("own_reward"), leak("qpos[0]")
    ('info[is_success]', 'own_reward', None)

    Raises:
        TaskError: if the text is no source.
    """
    for ref in refs(parse(source)):
        if ref.field == OWN_REWARD:
            return OWN_REWARD
        if ref.field == "info" and any(isinstance(index, str) and leaks(index) for index in ref.indices):
            return f"info[{','.join(map(str, ref.indices))}]"
    return None


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._scan())
        self.at = 0

    def whole(self) -> Node:
        node = self.sum()
        if self.at < len(self.tokens):
            raise self.error("the source should end here")
        return node

    def sum(self) -> Node:
        node = self.atom()
        while self.peek() in {"+", "-"}:
            sign = 1 if self.take() == "+" else -1
            node = Combined(node, sign, self.atom())
        return node

    def atom(self) -> Node:
        if self.kind() == "number":
            return Number(float(self.take()))
        if self.kind() != "name":
            raise self.error("a field such as qpos, xpos or obs should stand here")
        name = self.take()
        if self.peek() == "(":
            return self.applied(name)
        return Ref(name, self.indices())

    def applied(self, name: str) -> Node:
        if name not in FUNCTIONS:
            self.at -= 1
            raise self.error(f"no function {name!r}; there are {', '.join(FUNCTIONS)}")
        self.take()
        argument = self.sum()
        self.expect(")")
        return Applied(name, argument)

    def indices(self) -> tuple[Index, ...]:
        if self.peek() != "[":
            return ()
        self.take()
        found = [self.index()]
        while self.peek() == ",":
            self.take()
            found.append(self.index())
        self.expect("]")
        return tuple(found)

    def index(self) -> Index:
        kind = self.kind()
        if kind == "int":
            return int(self.take())
        if kind == "slice":
            return slice(*(int(part) if part else None for part in self.take().split(":")))
        if kind in {"name", "quoted"}:
            return self.take().strip("'\"")
        raise self.error("a number, a slice or a name should stand here")

    def expect(self, token: str) -> None:
        if self.peek() != token:
            raise self.error(f"{token!r} should stand here")
        self.take()

    def kind(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][1]

    def error(self, message: str) -> TaskError:
        place = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.text)
        return _refusal(self.text, place, message)

    def _scan(self) -> list[tuple[str, str, int]]:
        tokens, place, end = [], 0, len(self.text.rstrip())
        while place < end:
            match = _TOKEN.match(self.text, place)
            if match is None:
                blanks = len(self.text[place:]) - len(self.text[place:].lstrip())
                raise _refusal(self.text, place + blanks, "this belongs to no source")
            kind = str(match.lastgroup)
            tokens.append((kind, match[kind], match.start(kind)))
            place = match.end()
        return tokens


def _refusal(text: str, place: int, message: str) -> TaskError:
    return TaskError(f"signal source {text!r}: {message}\n  {text}\n  {' ' * place}^")
