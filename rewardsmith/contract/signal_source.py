"""The language of a signal's `source`, which says where the worker reads a value; never evaluated as Python.

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


def _wrap_angle(angle: Array) -> Array:
    """Return the angle in [-pi, pi)."""
    wrapped: Array = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped


def _vector_length(vector: Array) -> Array:
    """Return the Euclidean length over every axis but the first."""
    flat = vector.reshape(len(vector), -1)
    return np.asarray(np.sqrt(np.add.reduce(flat * flat, axis=1)))


def _vector_direction(vector: Array) -> Array:
    """Return the direction of plane vectors (n, 2) in [-pi, pi], anti-clockwise from the first axis."""
    return np.asarray(np.arctan2(vector[:, 1], vector[:, 0]))


FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "wrap": _wrap_angle,
    "cos": np.cos,
    "sin": np.sin,
    "norm": _vector_length,
    "angle": _vector_direction,
}

ENVIRONMENT_REWARD = "environment_reward"
"""The field that is the environment's reward of the step."""
FORMER_ENVIRONMENT_REWARD = "own_reward"
"""The former name of this field and of its signal; still read in sources and fitness expressions."""
_REVEALING_KEYS = re.compile(
    r"reward|(^|_)rew(_|$)|return|score|cost|penalt|bonus|profit|surviv|success|succeed|solved|near_object"
    r"|goal_?(met|reach)|(^|_)(is|at|in|reached?)_goal(_|$)"
    r"|(^|_)(win|won|fail|failed|failure|complete|completed|completion|passed|done|accomplished|finished|terminated)(_|$)",
    re.IGNORECASE,
)
"""Keys of `info` that carry the environment's reward, a part of it, or a verdict on the task.

`near_object` is a term of the environment's reward in some tasks of Meta-World.
"""
_WORD_BORDERS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^0-9A-Za-z]+")
"""Borders of the words of a key: taskCompleted, task-completed and "task completed" are task_completed."""


def current_name(name: str) -> str:
    """Return the present name of a field or a signal that has been renamed; any other name as it is.

    >>> current_name("own_reward"), current_name("qpos")
    ('environment_reward', 'qpos')
    """
    return ENVIRONMENT_REWARD if name == FORMER_ENVIRONMENT_REWARD else name


@dataclass(frozen=True)
class FieldReference:
    """A field of the simulation, indexed."""

    field: str
    indices: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Constant:
    """A constant."""

    value: float


@dataclass(frozen=True)
class SignedSum:
    """A sum or a difference: left + sign * right."""

    left: Node
    sign: int
    right: Node


@dataclass(frozen=True)
class FunctionCall:
    """A function of FUNCTIONS with its argument."""

    function: str
    argument: Node


Node = FieldReference | Constant | SignedSum | FunctionCall

_TOKEN = re.compile(
    r"\s*(?:(?P<slice>-?\d*:-?\d*(?::-?\d+)?(?=\s*[\],]))|(?P<int>-?\d+)(?=\s*[\],])"
    r"|(?P<number>\d+\.?\d*)|(?P<name>[A-Za-z_][\w.:/]*)|(?P<quoted>'[^']*'|\"[^\"]*\")|(?P<op>[\[\](),+-]))"
)


def parse(source: str) -> Node:
    """Parse the text of a source.

    >>> parse("xpos[torso,2]")
    FieldReference(field='xpos', indices=('torso', 2))

    Raises:
        TaskError: if the text is no source, with the place marked.
    """
    return _Parser(source).parse_source()


def list_field_references(node: Node) -> tuple[FieldReference, ...]:
    """List the fields that a source reads, in their order."""
    if isinstance(node, FieldReference):
        return (node,)
    if isinstance(node, Constant):
        return ()
    if isinstance(node, FunctionCall):
        return list_field_references(node.argument)
    return list_field_references(node.left) + list_field_references(node.right)


def may_leak_reward(key: str) -> bool:
    """Return whether an entry of `info` may reveal the environment's reward or its verdict to a program.

    >>> [key for key in ("reward_ctrl", "is_success", "x_velocity", "distance_penalty") if not may_leak_reward(key)]
    ['x_velocity']
    """
    return bool(_REVEALING_KEYS.search(_WORD_BORDERS.sub("_", key)))


def quote_info_key(key: str) -> str | None:
    r"""Return the source that reads an entry of `info`; None where the key holds both kinds of quotes.

    >>> quote_info_key("x"), quote_info_key('a"b'), quote_info_key("it's" + '"')
    ('info["x"]', 'info[\'a"b\']', None)
    """
    quote = next((mark for mark in ('"', "'") if mark not in key), None)
    return None if quote is None else f"info[{quote}{key}{quote}]"


def find_privileged_field(source: str) -> str | None:
    """Return the first field of a source that no program may read; None where a program may read all of them.

    >>> find_privileged_field("info[is_success]"), find_privileged_field("own_reward"), find_privileged_field("qpos[0]")
    ('info[is_success]', 'environment_reward', None)

    Raises:
        TaskError: if the text is no source.
    """
    for ref in list_field_references(parse(source)):
        if ref.field == ENVIRONMENT_REWARD:
            return ENVIRONMENT_REWARD
        if ref.field == "info" and any(isinstance(index, str) and may_leak_reward(index) for index in ref.indices):
            return f"info[{','.join(map(str, ref.indices))}]"
    return None


class _Parser:
    """A recursive-descent parser of one source."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._scan())
        self.position = 0

    def parse_source(self) -> Node:
        node = self.parse_sum()
        if self.position < len(self.tokens):
            raise self.error_here("the source should end here")
        return node

    def parse_sum(self) -> Node:
        node = self.parse_atom()
        while self.next_token() in {"+", "-"}:
            sign = 1 if self.take_token() == "+" else -1
            node = SignedSum(node, sign, self.parse_atom())
        return node

    def parse_atom(self) -> Node:
        if self.next_kind() == "number":
            return Constant(float(self.take_token()))
        if self.next_kind() != "name":
            raise self.error_here("a field such as qpos, xpos or obs should stand here")
        name = self.take_token()
        if self.next_token() == "(":
            return self.parse_call(name)
        return FieldReference(current_name(name), self.parse_indices())

    def parse_call(self, name: str) -> Node:
        if name not in FUNCTIONS:
            self.position -= 1
            raise self.error_here(f"no function {name!r}; there are {', '.join(FUNCTIONS)}")
        self.take_token()
        argument = self.parse_sum()
        self.expect_token(")")
        return FunctionCall(name, argument)

    def parse_indices(self) -> tuple[Index, ...]:
        if self.next_token() != "[":
            return ()
        self.take_token()
        indices = [self.parse_index()]
        while self.next_token() == ",":
            self.take_token()
            indices.append(self.parse_index())
        self.expect_token("]")
        return tuple(indices)

    def parse_index(self) -> Index:
        kind = self.next_kind()
        if kind == "int":
            return int(self.take_token())
        if kind == "slice":
            return slice(*(int(part) if part else None for part in self.take_token().split(":")))
        if kind == "quoted":
            return self.take_token()[1:-1]
        if kind == "name":
            return self.take_token()
        raise self.error_here("a number, a slice or a name should stand here")

    def expect_token(self, token: str) -> None:
        if self.next_token() != token:
            raise self.error_here(f"{token!r} should stand here")
        self.take_token()

    def next_kind(self) -> str:
        return self.tokens[self.position][0] if self.position < len(self.tokens) else ""

    def next_token(self) -> str:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def take_token(self) -> str:
        self.position += 1
        return self.tokens[self.position - 1][1]

    def error_here(self, message: str) -> TaskError:
        place = self.tokens[self.position][2] if self.position < len(self.tokens) else len(self.text)
        return _source_error(self.text, place, message)

    def _scan(self) -> list[tuple[str, str, int]]:
        """Split the text into tokens: kind, text and position of each."""
        tokens, place, end = [], 0, len(self.text.rstrip())
        while place < end:
            match = _TOKEN.match(self.text, place)
            if match is None:
                blanks = len(self.text[place:]) - len(self.text[place:].lstrip())
                raise _source_error(self.text, place + blanks, "this character belongs to no source")
            kind = str(match.lastgroup)
            tokens.append((kind, match[kind], match.start(kind)))
            place = match.end()
        return tokens


def _source_error(text: str, place: int, message: str) -> TaskError:
    return TaskError(f"signal source {text!r}: {message}\n  {text}\n  {' ' * place}^")
