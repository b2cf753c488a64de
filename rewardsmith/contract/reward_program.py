"""The reward contract: what a reward program is, read from its text without running it.

    WEIGHTS = {"progress": 1.0, "effort": 0.05}

    def reward(before, action, after):
        return {"progress": after.torso_velocity, "effort": -np.sum(action**2, axis=1)}

A program scores n transitions in one call: axis 0 of every array is the transition, every array is float64.
Its arguments are taken by name, any subset of `ARGUMENTS`:

before, after   the signals before and after the action, as attributes, (n, *shape)
action          (n, a), what was sent to the environment; a discrete action is its number, (n, 1)
start           the signals at the episode's first state, (n, *shape)
memory          named (n,) arrays, declared as `MEMORY = {"best": 0.0}` with their values at an episode's start;
                the program assigns them in time order (`memory.best = np.maximum(memory.best, after.height)`)

The total is the sum of WEIGHTS[name] * term; a term without a weight counts 1. The trusted side computes it.
`np`, `math` and `shaping` are there without an import.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import Finding

Array = NDArray[np.float64]
ARGUMENTS = ("before", "action", "after", "start", "memory")
STATES = ("before", "after", "start")
"""The arguments whose attributes are signals."""
EXPORT_RULE = "# " + "-" * 64 + " "
EXPORTED = "the reward program"
"""What stands over the parts of an exported file, and over the program's."""
_EXPORTED = re.compile(rf"^{EXPORT_RULE}{EXPORTED}\n(.*?)(?=^{EXPORT_RULE}|\Z)", re.MULTILINE | re.DOTALL)

MAX_SOURCE_CHARS = 50_000
"""Longer texts are refused unread: no honest reward needs them, and a parser bomb does."""


@dataclass(frozen=True)
class Transitions:
    """n transitions as a reward process takes them; all arrays float64."""

    action: Array
    """(n, a)."""
    before: Mapping[str, Array] = field(default_factory=dict)
    """Signal name to (n, *shape); only the signals that the program names."""
    after: Mapping[str, Array] = field(default_factory=dict)
    start: Mapping[str, Array] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """How many transitions there are."""
        return int(self.action.shape[0])


@dataclass(frozen=True)
class Scores:
    """What a reward process gave for n transitions."""

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

    @property
    def signals(self) -> tuple[str, ...]:
        """Every signal that the program names, sorted."""
        return tuple(sorted({name for names in self.reads.values() for name in names}))

    def weight(self, term: str) -> float:
        """Return the term's weight; 1 where the program gives none."""
        return self.weights.get(term, 1.0)


def parse(source: str) -> RewardProgram:
    r"""Read a program's text.

    >>> parse("WEIGHTS = {'up': 2}\ndef reward(after):\n    return {'up': after.height}").reads["after"]
    ('height',)

    Raises:
        ProgramError: if the text is no program; `findings` says why, each with its line.
    """
    tree = _syntax(source)
    findings: list[Finding] = []
    function = _reward_function(tree, findings)
    weights = _literal(tree, "WEIGHTS", findings)
    memory = _literal(tree, "MEMORY", findings)
    arguments = _arguments(function, findings) if function else ()
    if function and not any(isinstance(node, ast.Return) and node.value for node in ast.walk(function)):
        findings.append(
            Finding("no-return", "reward() returns nothing; return a dict of term name to array", line=function.lineno)
        )
    if memory and "memory" not in arguments and function:
        findings.append(
            Finding("memory-unused", "MEMORY is declared, but reward() takes no `memory`", "warning", function.lineno)
        )
    if any(finding.severity == "error" for finding in findings):
        raise refusal(findings)
    return RewardProgram(source, weights, memory, arguments, reads(tree))


def load_reward(path: Path | str) -> RewardProgram:
    """Read a reward program from a file.

    Raises:
        ProgramError: if the file cannot be read as text, or its text is no program.
    """
    text = _read(Path(path))
    program, exported = parse(_in_place(text)), _EXPORTED.search(text)  # an error names the line in the file
    return parse(exported[1].strip("\n") + "\n") if exported else program


def read_source(path: Path) -> str:
    """Read the text of a reward file, which need not be a program.

    Of a file that `rewardsmith export` wrote it is the program's part, on the lines that it has in the file.

    Raises:
        ProgramError: if it cannot be read as text.
    """
    return _in_place(_read(path))


def _in_place(text: str) -> str:
    exported = _EXPORTED.search(text)
    return text if exported is None else "\n" * text.count("\n", 0, exported.start(1)) + exported[1]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ProgramError(f"cannot read the reward file {str(path)!r}: {reason}") from error


def reweigh(source: str, weights: Mapping[str, float]) -> str:
    r"""Return the program with other weights; the rest of its text stays as it is, comments included.

    >>> text = "WEIGHTS = {'up': 2}  # tuned\ndef reward(after):\n    return {'up': after.height}"
    >>> reweigh(text, {"up": 0.5}).splitlines()[0]
    "WEIGHTS = {'up': 0.5}  # tuned"

    Args:
        source: a program.
        weights: term name to weight; a term that it does not name keeps its own.

    Raises:
        ProgramError: if the text is no program.
    """
    parse(source)
    tree = python_ast.module(source)
    written = {name: repr(float(weight)) for name, weight in weights.items()}
    node = _assignment(tree, "WEIGHTS")
    if node is None:
        first = next(statement for statement in tree.body if not _is_preamble(statement))
        return edited(source, [(first, "before", f"WEIGHTS = {{{_items(written)}}}\n\n\n")])
    literal = node.value
    assert isinstance(literal, ast.Dict)  # `parse` has read it as a dict of numbers
    edits: list[Edit] = []
    named = {str(ast.literal_eval(key)): value for key, value in zip(literal.keys, literal.values, strict=True) if key}
    for name, value in named.items():
        if name in written:
            edits.append((value, "instead", written.pop(name)))
    if written:
        edits.append((literal, "inside", _items(written) + (", " if named else "")))
    return edited(source, edits)


def refusal(findings: Sequence[Finding]) -> ProgramError:
    """Return the error for findings of which at least one is an error; they hang on it as `findings`."""
    errors = [finding for finding in findings if finding.severity == "error"]
    error = ProgramError("; ".join(f"line {f.line}: {f.message}" if f.line else f.message for f in errors))
    error.findings = tuple(findings)
    return error


def reads(tree: ast.AST) -> dict[str, tuple[str, ...]]:
    """Return the attributes that the text names on `before`, `after` and `start`."""
    named: dict[str, set[str]] = {state: set() for state in STATES}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in named:
            named[node.value.id].add(node.attr)
    return {state: tuple(sorted(names)) for state, names in named.items()}


def _syntax(source: str) -> ast.Module:
    if len(source) > MAX_SOURCE_CHARS:
        message = f"the program has {len(source):,} characters; at most {MAX_SOURCE_CHARS:,} are allowed"
        raise refusal([Finding("too-long", message)])
    try:
        return python_ast.module(source)
    except SyntaxError as error:
        raise refusal([Finding("syntax", f"{error.msg}", line=error.lineno)]) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise refusal([Finding("syntax", f"the text cannot be parsed: {error or type(error).__name__}")]) from error


def _reward_function(tree: ast.Module, findings: list[Finding]) -> ast.FunctionDef | None:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "reward"]
    if not functions:
        others = ", ".join(repr(node.name) for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
        has = f" (it defines {others})" if others else ""
        findings.append(Finding("no-function", f"the program defines no function `reward` at its top level{has}"))
        return None
    if len(functions) > 1:
        findings.append(Finding("two-functions", "`reward` is defined twice; keep one", line=functions[1].lineno))
    return functions[-1]


def _arguments(function: ast.FunctionDef, findings: list[Finding]) -> tuple[str, ...]:
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


def _literal(tree: ast.Module, name: str, findings: list[Finding]) -> dict[str, float]:
    """Return the dict of numbers assigned to `name` at the top level; {} where there is none."""
    node = _assignment(tree, name)
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


def _assignment(tree: ast.Module, name: str) -> ast.Assign | ast.AnnAssign | None:
    """Return the last top-level assignment to `name`: the one that counts when the text runs."""
    found: ast.Assign | ast.AnnAssign | None = None
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                found = node
    return found


# ---------------------------------------------------------------- editing the text

Edit = tuple[ast.AST, Literal["before", "inside", "instead"], str]
"""A node, where the text goes (before it, after its opening bracket, or in its place), and the text."""


def _is_preamble(statement: ast.stmt) -> bool:
    """Return whether nothing may stand before it: a docstring or an import."""
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return docstring or isinstance(statement, ast.Import | ast.ImportFrom)


def _items(written: Mapping[str, str]) -> str:
    return ", ".join(f'"{name}": {number}' for name, number in written.items())


def edited(source: str, edits: list[Edit]) -> str:
    """Return the text with the edits made; a node's columns count UTF-8 bytes."""
    data = source.encode()
    lines = [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", data))]
    spans: list[tuple[int, int, bytes]] = []
    for node, place, text in edits:
        decorators = getattr(node, "decorator_list", [])
        start = lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        if place == "before":
            start = lines[decorators[0].lineno - 1] if decorators else start
        if place == "inside":
            start += 1
        spans.append((start, end if place == "instead" else start, text.encode()))
    for start, end, new in sorted(spans, reverse=True):
        data = data[:start] + new + data[end:]
    return data.decode()
