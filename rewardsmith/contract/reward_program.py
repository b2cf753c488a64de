"""The reward contract, and its parser, which reads a reward program from its text without running it.

    WEIGHTS = {"progress": 1.0, "effort": 0.05}

    def reward(before, action, after):
        return {"progress": after.torso_velocity, "effort": -np.sum(action**2, axis=1)}

A program scores n transitions in one call: axis 0 of every array is the transition, every array but `terminated` is
float64. The arguments are taken by name, any subset of `ARGUMENTS`:

before, after   the signals before and after the action, as attributes, (n, *shape)
action          (n, a), what was sent to the environment; a discrete action is its number, (n, 1)
terminated      (n,) of bool: whether the environment ended the episode with the transition; never at a time limit
start           the signals at the episode's first state, (n, *shape)
memory          named (n,) arrays, declared as `MEMORY = {"best": 0.0}` with their values at an episode's start;
                the program assigns them in time order (`memory.best = np.maximum(memory.best, after.height)`)

The total is the sum of WEIGHTS[name] * term; a term without a weight counts 1. The trusted side computes it.
A program may name the signals that the policies trained on it observe: `OBSERVATION = ["height", "speed"]`.
`np`, `math` and `shaping` are there without an import.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.findings import join_messages, limit_findings
from rewardsmith.contract.records import Finding
from rewardsmith.contract.state_reads import STATES as STATES
from rewardsmith.contract.state_reads import find_signal_reads

if TYPE_CHECKING:
    from rewardsmith.contract.fitness import Rollout

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
ARGUMENTS = ("before", "action", "after", "terminated", "start", "memory")
DECLARATIONS = ("WEIGHTS", "MEMORY", "OBSERVATION")
"""Names of the top level that are read from the text."""
PROVIDED_MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "np": ("numpy",),
    "math": ("math",),
    "shaping": ("shaping", "rewardsmith.shaping"),
}
"""Name that every program has without an import, to the paths that import its module."""
DECLARATION_RULE = "assign it at the top level, alone on the left of `=`"

MAX_SOURCE_CHARS = 50_000
"""Longer texts are refused unread: no honest reward needs them, and a parser bomb does."""
MAX_MEMORY_NAMES = 64
"""Names in MEMORY: each is an array that is laid out again at every step."""
MAX_OBSERVED_SIGNALS = 256
"""Names in OBSERVATION."""
CACHED_PROGRAMS = 256
"""Parsed programs that are kept; about the candidates of one search."""


@dataclass(frozen=True)
class Transitions:
    """n transitions as a reward process takes them; all arrays float64 but `terminated`."""

    action: Array
    """(n, a)."""
    before: Mapping[str, Array] = field(default_factory=dict)
    """Signal name to (n, *shape); only the signals that the program names."""
    after: Mapping[str, Array] = field(default_factory=dict)
    start: Mapping[str, Array] = field(default_factory=dict)
    terminated: Bools | None = None
    """(n,), where the environment's rule ended the episode; None where the program does not take it."""

    @property
    def n(self) -> int:
        """Number of transitions."""
        return int(self.action.shape[0])

    def select_rows(self, rows: NDArray[np.intp]) -> Transitions:
        """Return a copy of the chosen transitions."""
        states = {state: {name: array[rows] for name, array in getattr(self, state).items()} for state in STATES}
        terminated = None if self.terminated is None else self.terminated[rows]
        return Transitions(self.action[rows], **states, terminated=terminated)

    @classmethod
    def of_episode(cls, program: RewardProgram, episode: Rollout) -> Transitions:
        """Return the transitions of one episode as a program takes them.

        Raises:
            KeyError: if the episode lacks a signal that the program names.
        """
        first = {name: episode.start[name][None] for name in program.signals}
        reads, length = program.reads, len(episode.actions)
        before = {name: np.concatenate([first[name], episode.signals[name][:-1]]) for name in reads["before"]}
        after = {name: episode.signals[name] for name in reads["after"]}
        start = {name: np.repeat(first[name], length, axis=0) for name in reads["start"]}

        terminated = None
        if "terminated" in program.arguments:
            terminated = np.zeros(length, np.bool_)
            terminated[-1:] = episode.terminated
        return cls(episode.actions, before, after, start, terminated)

    @classmethod
    def concatenate(cls, parts: Sequence[Transitions]) -> Transitions:
        """Join the transitions of at least one part, in order; all parts have the same signals."""
        states: dict[str, dict[str, Array]] = {}
        for state in STATES:
            signals = [getattr(part, state) for part in parts]
            states[state] = {name: np.concatenate([part[name] for part in signals]) for name in signals[0]}
        action = np.concatenate([part.action for part in parts])
        ends = [part.terminated for part in parts if part.terminated is not None]
        return cls(action, **states, terminated=np.concatenate(ends) if ends else None)


@dataclass(frozen=True)
class Scores:
    """The scores that a reward process returned for n transitions."""

    total: Array
    """(n,): the weighted sum."""
    terms: Mapping[str, Array]
    """Term name to (n,), before the weight."""
    memory: Mapping[str, Array] = field(default_factory=dict)
    """Memory name to (n,) after the call."""


@dataclass(frozen=True)
class RewardProgram:
    """A program whose text satisfies the parts of the contract that can be read from it."""

    source: str
    weights: Mapping[str, float]
    memory: Mapping[str, float]
    """Memory name to its value at an episode's start."""
    arguments: tuple[str, ...]
    """Names of the function's arguments, in its order."""
    reads: Mapping[str, tuple[str, ...]]
    """"before", "after" and "start" to the signals that the text names on them, sorted."""
    observation: tuple[str, ...] = ()
    """Signals that the policy observes, as the program declares them; empty where it declares nothing."""

    @property
    def signals(self) -> tuple[str, ...]:
        """Every signal that the program names, sorted."""
        return tuple(sorted({name for names in self.reads.values() for name in names}))

    def weight(self, term: str) -> float:
        """Return the term's weight; 1 where the program gives none."""
        return self.weights.get(term, 1.0)


@lru_cache(maxsize=CACHED_PROGRAMS)
def parse_program(source: str) -> RewardProgram:
    r"""Parse a program's text; the same text is parsed once.

    Where a proposal or a candidate is at hand, its property `program` is this.

    >>> parse_program("WEIGHTS = {'up': 2}\ndef reward(after):\n    return {'up': after.height}").reads["after"]
    ('height',)

    Raises:
        ProgramError: if the text is no program; `findings` says why, each with its line.
    """
    tree = _parse_syntax(source)
    findings: list[Finding] = []
    function = _find_reward_function(tree, findings)
    weights = _read_number_dict(tree, "WEIGHTS", findings)
    memory = _read_number_dict(tree, "MEMORY", findings)
    findings += _find_excess_memory(tree, memory)
    observation = _read_observation(tree, findings)
    findings += _find_unread_declarations(tree)
    arguments = _check_arguments(function, findings) if function else ()
    if function and not any(isinstance(node, ast.Return) and node.value for node in ast.walk(function)):
        findings.append(
            Finding("no-return", "reward() returns nothing; return a dict of term name to array", line=function.lineno)
        )
    if memory and "memory" not in arguments and function:
        findings.append(
            Finding("memory-unused", "MEMORY is declared, but reward() takes no `memory`", "warning", function.lineno)
        )
    if any(finding.severity == "error" for finding in findings):
        raise build_program_error(findings)
    return RewardProgram(source, weights, memory, arguments, find_signal_reads(tree), observation)


def build_program_error(findings: Sequence[Finding]) -> ProgramError:
    """Build the error for findings of which at least one is an error; its attribute `findings` holds all of them."""
    limited = limit_findings(findings)
    error = ProgramError(join_messages([finding for finding in limited if finding.severity == "error"]))
    error.findings = tuple(limited)
    return error


def _parse_syntax(source: str) -> ast.Module:
    if len(source) > MAX_SOURCE_CHARS:
        message = f"the program has {len(source):,} characters; at most {MAX_SOURCE_CHARS:,} are allowed"
        raise build_program_error([Finding("too-long", message)])
    try:
        return python_ast.parse_module(source)
    except SyntaxError as error:
        raise build_program_error([Finding("syntax", f"{error.msg}", line=error.lineno)]) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise build_program_error(
            [Finding("syntax", f"the text cannot be parsed: {error or type(error).__name__}")]
        ) from error


def _find_reward_function(tree: ast.Module, findings: list[Finding]) -> ast.FunctionDef | None:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "reward"]
    if not functions:
        others = ", ".join(repr(node.name) for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
        has = f" (it defines {others})" if others else ""
        findings.append(Finding("no-function", f"the program defines no function `reward` at its top level{has}"))
        return None
    if len(functions) > 1:
        findings.append(Finding("two-functions", "`reward` is defined twice; keep one", line=functions[1].lineno))
    return functions[-1]


def _check_arguments(function: ast.FunctionDef, findings: list[Finding]) -> tuple[str, ...]:
    args = function.args
    names = tuple(arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs))
    allowed = ", ".join(ARGUMENTS)
    if args.posonlyargs or args.vararg or args.kwarg or args.defaults or any(args.kw_defaults):
        message = f"reward() takes plain arguments without *, / or defaults, any subset of: {allowed}"
        findings.append(Finding("signature", message, line=function.lineno))
    for name in names:
        if name not in ARGUMENTS:
            message = f"reward() has an argument {name!r}; allowed are: {allowed}"
            findings.append(Finding("signature", message, line=function.lineno))
    return names


def _read_number_dict(tree: ast.Module, name: str, findings: list[Finding]) -> dict[str, float]:
    """Read the dict of numbers assigned to `name` at the top level; {} if there is no such dict."""
    node = find_assignment(tree, name)
    if node is None:
        return {}
    try:
        numbers = {key: 1.0 * number for key, number in ast.literal_eval(node.value).items()}  # type: ignore[arg-type]
        sound = all(key.isidentifier() and math.isfinite(number) for key, number in numbers.items())
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, MemoryError):
        sound = False
    if sound:
        return numbers
    message = f"{name} must be a literal dict of names to finite numbers, e.g. {name} = {{'progress': 1.0}}"
    findings.append(Finding(name.lower(), message, line=node.lineno))
    return {}


def _find_excess_memory(tree: ast.Module, memory: Mapping[str, float]) -> list[Finding]:
    """Find that MEMORY has more names than are allowed."""
    node = find_assignment(tree, "MEMORY")
    if node is None or len(memory) <= MAX_MEMORY_NAMES:
        return []
    message = f"MEMORY has {len(memory):,} names; at most {MAX_MEMORY_NAMES} are allowed"
    return [Finding("memory-names", message, line=node.lineno)]


def _read_observation(tree: ast.Module, findings: list[Finding]) -> tuple[str, ...]:
    """Read the names that OBSERVATION declares, each once; () if it declares nothing."""
    node = find_assignment(tree, "OBSERVATION")
    if node is None:
        return ()
    try:
        names = ast.literal_eval(node.value) if node.value is not None else None
    except (ValueError, TypeError, RecursionError, MemoryError):
        names = None
    if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
        if len(names) <= MAX_OBSERVED_SIGNALS:
            return tuple(dict.fromkeys(names))
        message = f"OBSERVATION has {len(names):,} names; at most {MAX_OBSERVED_SIGNALS} are allowed"
    else:
        message = "OBSERVATION must be a literal list of at least one signal's name, e.g. OBSERVATION = ['height']"
    findings.append(Finding("observation", message, line=node.lineno))
    return ()


def _find_unread_declarations(tree: ast.Module) -> list[Finding]:
    """Find declarations that are bound in a way that is not read: in a function, in a tuple, by `:=`."""
    read = {id(target) for node in tree.body for target in _list_assigned_names(node)}
    return [
        Finding(node.id.lower(), f"{node.id} is declared where it is not read; {DECLARATION_RULE}", line=node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in DECLARATIONS
        if id(node) not in read
    ]


def _list_assigned_names(node: ast.stmt) -> list[ast.Name]:
    """List the names that a statement assigns as a whole: `a` in `a = 1`, none in `a, b = 1, 2`."""
    targets: Sequence[ast.expr] = ()
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = (node.target,)
    return [target for target in targets if isinstance(target, ast.Name)]


def find_assignment(tree: ast.Module, name: str) -> ast.Assign | ast.AnnAssign | None:
    """Find the last top-level assignment to `name`: the one that counts when the text runs."""
    last: ast.Assign | ast.AnnAssign | None = None
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in [
            target.id for target in _list_assigned_names(node)
        ]:
            last = node
    return last


def imports_only_provided(node: ast.stmt) -> bool:
    """Return whether a statement imports only what every program has anyway, or a feature of the parser."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.Import) and all(
        alias.name in PROVIDED_MODULES.get(alias.asname or alias.name, ()) for alias in node.names
    )
