"""Static checks: errors that a program's text shows without running it, which its author can repair at once.

These checks are no security border: what they miss meets the sealed reward process.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterator, Sequence

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.findings import MAX_PER_CODE, count_others, limit_findings
from rewardsmith.contract.observation import DECLARATION, find_observation_fault
from rewardsmith.contract.records import Finding, Signal
from rewardsmith.contract.reward_program import ARGUMENTS, DECLARATIONS, STATES, RewardProgram, parse_program
from rewardsmith.contract.state_reads import find_state_parameters, find_state_reads

IMPORTABLE = ("numpy", "math", "numpy.linalg", "numpy.fft", "numpy.polynomial", "__future__", "typing")
SHAPING = ("shaping", "rewardsmith.shaping")
"""Modules that may be imported too: authors do so by habit, and every program has them anyway."""
NUMPY_MISFITS = {
    **dict.fromkeys(["random"], "a reward must give the same answer for the same transitions"),
    **dict.fromkeys(["load", "loadtxt", "genfromtxt", "fromfile", "memmap"], "a reward program reads no files"),
    **dict.fromkeys(["save", "savez", "savez_compressed", "savetxt"], "a reward program writes no files"),
    **dict.fromkeys(["ctypeslib", "f2py", "testing"], "arithmetic on arrays is all that a reward needs"),
}
WITHHELD = {
    **dict.fromkeys(["exec", "eval", "compile", "__import__"], "a reward program runs no other text"),
    **dict.fromkeys(["open", "input", "print"], "a reward program reads and writes nothing; return a term instead"),
    **dict.fromkeys(["breakpoint", "exit", "quit", "help"], "nobody is there while a reward program runs"),
    **dict.fromkeys(["globals", "locals", "vars"], "write the names themselves"),
    **dict.fromkeys(["getattr", "setattr", "delattr", "hasattr"], "write the attribute itself, as in after.<signal>"),
}
"""Builtins that a program must not use, each with why or what instead."""
PURE_CALLS = {"abs", "dict", "float", "frozenset", "int", "len", "list", "max", "min", "range", "set", "sum", "tuple"}
MUTATORS = {"add", "append", "clear", "discard", "extend", "fill", "insert", "pop", "popitem", "remove", "reverse"}
MUTATORS |= {"setdefault", "sort", "update"}
NO_STATE = "a program has no state of its own; declare MEMORY = {...} and take the argument `memory`"
MAX_LISTED_NAMES = 12
"""Names that a message lists, at most."""


def check_source(source: str, signals: Sequence[Signal]) -> tuple[RewardProgram | None, list[Finding]]:
    """Check a program's text, and return the program with the findings in the order of its lines.

    Args:
        source: the program's text.
        signals: the catalogue that it may read.

    Returns:
        The program, None where the text has not the form of one; and the findings.
    """
    # The contract. Other checks follow unless the text is no Python at all.
    program: RewardProgram | None = None
    findings: list[Finding] = []
    try:
        program = parse_program(source)
    except ProgramError as error:
        findings = list(error.findings)
        if any(finding.code in ("syntax", "too-long") for finding in findings):
            return None, findings

    text = _ParsedText(python_ast.parse_module(source), program)
    for check in CHECKS:
        findings += check(text)
    findings += _find_unknown_signals(text, [signal.name for signal in signals])
    findings += _check_observation(text, signals)
    return program, limit_findings(sorted(findings, key=lambda finding: finding.line or 0))


def suggest_names(name: str, known: Sequence[str]) -> str:
    """Return the part of a message that helps with a name that does not exist.

    >>> suggest_names("heigth", ["height", "pitch"])
    "did you mean 'height'?"
    """
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if not known:
        return "there are none"
    more = f" and {len(known) - MAX_LISTED_NAMES} more" if len(known) > MAX_LISTED_NAMES else ""
    return f"there are {', '.join(known[:MAX_LISTED_NAMES])}{more}"


class _ParsedText:
    """A program's syntax tree, with the sets of names that the checks need."""

    def __init__(self, tree: ast.Module, program: RewardProgram | None) -> None:
        self.tree, self.program = tree, program
        self.nodes = list(ast.walk(tree))
        self._parents = {id(child): node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        """The functions at the top level, by name."""
        self.assigned = {
            node.id for node in self.nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
        }
        """Names that are assigned or deleted anywhere."""
        parameters = {node.arg for node in self.nodes if isinstance(node, ast.arg)}
        self.bound = self.assigned | set(self.functions) | parameters
        """Names that have a meaning of the program's own."""
        self.globals = set(self.functions) | _find_assigned_names(tree.body)
        """Names of the top level."""

    def find_parent(self, node: ast.AST) -> ast.AST:
        return self._parents[id(node)]


def _find_assigned_names(statements: Sequence[ast.stmt]) -> set[str]:
    """Return the names that statements assign, without those inside of functions."""
    assigned: set[str] = set()
    pending: list[ast.AST] = list(statements)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            assigned.add(node.id)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending += ast.iter_child_nodes(node)
    return assigned


# ---------------------------------------------------------------- what a program may use


def _check_imports(text: _ParsedText) -> Iterator[Finding]:
    """Find imports of other modules than those that a program may use, and of functions of NumPy that it may not."""
    for node in text.nodes:
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = ["." * node.level + (node.module or "")]
            yield from _check_numpy_imports(node)
        else:
            continue
        for module in modules:
            if module not in IMPORTABLE and module not in SHAPING:
                message = (
                    f"import of {module!r}: a program imports numpy and math only; np, math and shaping are there "
                    "without an import"
                )
                yield Finding("import", message, line=node.lineno)


def _check_numpy_imports(node: ast.ImportFrom) -> Iterator[Finding]:
    for alias in node.names:
        if node.module == "numpy" and alias.name == "*":
            message = "from numpy import *: name what is needed, or write np.<function>; np is there without an import"
            yield Finding("import", message, line=node.lineno)
        elif node.module == "numpy" and alias.name in NUMPY_MISFITS:
            yield Finding("forbidden-name", f"numpy.{alias.name}: {NUMPY_MISFITS[alias.name]}", line=node.lineno)


def _check_names(text: _ParsedText) -> Iterator[Finding]:
    """Find builtins, special names and functions of NumPy that a program may not use."""
    for node in text.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in text.bound:
            if node.id in WITHHELD:
                yield Finding("forbidden-name", f"{node.id}: {WITHHELD[node.id]}", line=node.lineno)
            elif _is_dunder(node.id):
                yield Finding("forbidden-name", f"{node.id}: a reward needs no special names", line=node.lineno)
        elif isinstance(node, ast.Attribute):
            if _is_dunder(node.attr):
                yield Finding("forbidden-name", f".{node.attr}: a reward needs no special attributes", line=node.lineno)
            elif _is_attribute_of(node, ("np", "numpy")) and node.attr in NUMPY_MISFITS:
                yield Finding("forbidden-name", f"np.{node.attr}: {NUMPY_MISFITS[node.attr]}", line=node.lineno)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_attribute_of(node: ast.Attribute, names: Sequence[str]) -> bool:
    """Return whether an attribute is read directly from one of these names, as in `np.mean`."""
    return isinstance(node.value, ast.Name) and node.value.id in names


CONSTRUCTS: dict[type[ast.AST], str] = {
    ast.ClassDef: "a class: write plain functions over arrays",
    ast.Global: f"global: {NO_STATE}",
    ast.Nonlocal: f"nonlocal: {NO_STATE}",
    ast.AsyncFunctionDef: "async: a reward is computed at once",
    ast.AsyncFor: "async: a reward is computed at once",
    ast.AsyncWith: "async: a reward is computed at once",
    ast.Await: "await: a reward is computed at once",
    ast.Yield: "yield: return the dict of terms",
    ast.YieldFrom: "yield: return the dict of terms",
}
"""Constructs that a program must not use, each with what to write instead."""


def _check_constructs(text: _ParsedText) -> Iterator[Finding]:
    for node in text.nodes:
        if type(node) in CONSTRUCTS:
            yield Finding("construct", CONSTRUCTS[type(node)], line=getattr(node, "lineno", None))
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value:
            yield Finding("construct", "an endless loop: loop with `for` over a fixed range", line=node.lineno)


def _check_top_level(text: _ParsedText) -> Iterator[Finding]:
    """Find statements at the top level that are more than imports, constants and functions."""
    allowed = "at its top level a program has imports, constants, WEIGHTS, MEMORY and functions"
    for node in text.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            yield Finding("top-level", f"{allowed}; move this statement into reward()", line=node.lineno)
            continue

        # An assignment: to names, of a value that is made without side effects.
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not all(isinstance(target, ast.Name | ast.Tuple) for target in targets):
            yield Finding("top-level", f"{allowed}; write the whole value where it is first assigned", line=node.lineno)
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and not _is_pure(call):
                message = f"{ast.unparse(call.func)}() is called at the top level: {allowed}; call it in reward()"
                yield Finding("top-level", message, line=node.lineno)


def _is_pure(call: ast.Call) -> bool:
    """Return whether a call may make a constant: of a builtin constructor, or of np, math and shaping."""
    function = call.func
    while isinstance(function, ast.Attribute):
        function = function.value
    return isinstance(function, ast.Name) and function.id in PURE_CALLS | {"np", "numpy", "math", "shaping"}


def _check_hidden_state(text: _ParsedText) -> Iterator[Finding]:
    """Find functions that change objects of the top level: they would remember across calls and episodes."""
    for function in text.functions.values():
        parameters = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
        outer_names = text.globals - _find_assigned_names(function.body) - parameters
        for node in ast.walk(function):
            name = _find_root_name(_find_changed_object(node))
            if name is not None and name in outer_names:
                message = f"{name!r} is changed by a function: {NO_STATE}"
                yield Finding("hidden-state", message, line=getattr(node, "lineno", None))


def _find_changed_object(node: ast.AST) -> ast.AST | None:
    """Return the object that a node changes in place, if it does."""
    if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return node.func.value
    return None


def _find_root_name(node: ast.AST | None) -> str | None:
    """Return the name that a chain of attributes and indices begins with, `a` in `a.b[0]`."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


# ---------------------------------------------------------------- signals, memory and weights


def _find_unknown_signals(text: _ParsedText, known: Sequence[str]) -> Iterator[Finding]:
    """Find signals that the environment does not have, each once for each state."""
    lines: dict[tuple[str, str], int] = {}
    for node, state in find_state_reads(text.tree):
        if node.attr not in known and not _is_dunder(node.attr):
            lines.setdefault((state, node.attr), node.lineno)

    # The nearest name costs time: it is looked for where it will be read.
    first_unknown = sorted(lines.items(), key=lambda item: item[1])
    for (state, name), line in first_unknown[:MAX_PER_CODE]:
        message = f"{state}.{name}: there is no signal {name!r}; {suggest_names(name, known)}"
        yield Finding("unknown-signal", message, line=line)
    if len(first_unknown) > MAX_PER_CODE:
        yield count_others("unknown-signal", len(first_unknown) - MAX_PER_CODE, first_unknown[MAX_PER_CODE - 1][1])


def _check_observation(text: _ParsedText, signals: Sequence[Signal]) -> Iterator[Finding]:
    """Find a signal in OBSERVATION that no policy can observe."""
    fault = find_observation_fault(text.program.observation, signals) if text.program else None
    if fault:
        lines = [node.lineno for node in text.nodes if isinstance(node, ast.Name) and node.id == DECLARATION]
        yield Finding("observation", f"{DECLARATION}: {fault}", line=max(lines, default=None))


def _check_states(text: _ParsedText) -> Iterator[Finding]:
    """Find states used in other ways than reading a signal, arguments not taken, and writes to inputs."""
    for node in text.nodes:
        if isinstance(node, ast.Name) and node.id in ARGUMENTS:
            yield from _check_argument(text, node)
        elif _writes_input(text, node):
            line = getattr(node, "lineno", None)
            message = "before, action, after, terminated and start are read-only: make a new array"
            yield Finding("changes-input", message, line=line)
    yield from _check_state_parameters(text)


def _check_state_parameters(text: _ParsedText) -> Iterator[Finding]:
    """Find helpers that use a state which they are given as a whole, without naming a signal."""
    for (function, parameter), states in find_state_parameters(text.tree).items():
        if parameter in STATES:
            continue
        for node in ast.walk(text.functions[function]):
            if isinstance(node, ast.Name) and node.id == parameter and not _reads_signal(text, node):
                message = (
                    f"{parameter!r} stands for {' and '.join(map(repr, states))} and is used as a whole; signals are "
                    f"found by their names in the text: write {parameter}.<signal> where it is needed"
                )
                yield Finding("whole-state", message, line=node.lineno)


def _check_argument(text: _ParsedText, node: ast.Name) -> Iterator[Finding]:
    """Check a name that is one of the contract's arguments."""
    taken = text.program.arguments if text.program else ARGUMENTS
    if node.id not in taken and node.id not in text.bound:
        signature = ", ".join(argument for argument in ARGUMENTS if argument in (*taken, node.id))
        message = f"{node.id!r} is used, but reward() does not take it; write def reward({signature})"
        yield Finding("missing-argument", message, line=node.lineno)
    elif node.id not in taken and node.id in text.assigned:
        return  # a variable that has a state's name, where the state itself is not taken
    elif node.id in STATES and isinstance(node.ctx, ast.Load) and not _reads_signal(text, node):
        message = (
            f"{node.id!r} is used as a whole; signals are found by their names in the text: "
            f"write {node.id}.<signal> where it is needed"
        )
        yield Finding("whole-state", message, line=node.lineno)


def _reads_signal(text: _ParsedText, node: ast.Name) -> bool:
    """Return whether a state is used before a dot, or passed to a function of the program."""
    parent = text.find_parent(node)
    if isinstance(parent, ast.keyword):
        parent = text.find_parent(parent)
        return isinstance(parent, ast.Call) and _is_own_call(text, parent)
    if isinstance(parent, ast.Attribute):
        return True
    return isinstance(parent, ast.Call) and node is not parent.func and _is_own_call(text, parent)


def _is_own_call(text: _ParsedText, call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in text.functions


def _writes_input(text: _ParsedText, node: ast.AST) -> bool:
    """Return whether a node changes one of the arrays that the program is given."""
    # A program that does not take `terminated` may have a variable of this name.
    takes_ends = text.program is not None and "terminated" in text.program.arguments
    arrays = ("action", "terminated") if takes_ends else ("action",)
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return node.target.id in arrays
    changed = _find_changed_object(node) if isinstance(node, ast.Subscript | ast.Attribute) else None
    return changed is not None and _find_root_name(changed) in (*STATES, *arrays)


def _check_memory(text: _ParsedText) -> Iterator[Finding]:
    """Find names of the memory that are not declared."""
    if text.program is None or "memory" not in text.program.arguments:
        return
    declared = list(text.program.memory)
    if not declared:
        message = "reward() takes `memory`, but none is declared; write MEMORY = {'best': 0.0} at the top level"
        yield Finding("memory-undeclared", message, line=text.functions["reward"].lineno)
        return
    for node in text.nodes:
        if isinstance(node, ast.Attribute) and _is_attribute_of(node, ("memory",)):
            if node.attr not in declared and not _is_dunder(node.attr):
                message = f"memory.{node.attr} is not declared in MEMORY; {suggest_names(node.attr, declared)}"
                yield Finding("unknown-memory", message, line=node.lineno)


def _check_weights(text: _ParsedText) -> Iterator[Finding]:
    """Find weights that would count twice or not at all, and terms that a weight of 0 switches off."""
    for name, weight in (text.program.weights if text.program else {}).items():
        if weight == 0.0:
            message = f"the weight of {name!r} is 0: the term does nothing; drop it or give it a weight"
            yield Finding("weight-zero", message, "warning")
    if "WEIGHTS" in text.globals:
        yield from _find_applied_weights(text)
    else:
        yield from _find_misnamed_weights(text)


def _find_applied_weights(text: _ParsedText) -> Iterator[Finding]:
    """Find values of WEIGHTS that a function reads: the total is weighted outside of the program."""
    for function in text.functions.values():
        for node in ast.walk(function):
            if not isinstance(node, ast.Subscript | ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            reads_value = isinstance(node, ast.Subscript) or node.attr in ("get", "items", "values")
            if reads_value and node.value.id == "WEIGHTS":
                message = (
                    "the values of WEIGHTS are used in a function: each term is weighted once more outside of the "
                    "program; return the terms without their weights"
                )
                yield Finding("weights-applied", message, line=node.lineno)


def _find_misnamed_weights(text: _ParsedText) -> Iterator[Finding]:
    """Find a dict of numbers at the top level that nothing reads, in a program without WEIGHTS."""
    read = {node.id for node in text.nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for node in text.tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Dict):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id not in {*read, *DECLARATIONS} and _holds_numbers(node.value):
                message = f"{target.id} is a dict of numbers that nothing reads; if these are weights, call it WEIGHTS"
                yield Finding("unread-weights", message, line=node.lineno)


def _holds_numbers(literal: ast.Dict) -> bool:
    """Return whether a dict's values are plain numbers, at least one."""
    values = [value.operand if isinstance(value, ast.UnaryOp) else value for value in literal.values]
    numbers = [value.value for value in values if isinstance(value, ast.Constant)]
    return bool(values) and len(numbers) == len(values) and all(type(number) in (int, float) for number in numbers)


CHECKS: tuple[Callable[[_ParsedText], Iterator[Finding]], ...] = (
    _check_imports,
    _check_names,
    _check_constructs,
    _check_top_level,
    _check_hidden_state,
    _check_states,
    _check_memory,
    _check_weights,
)
"""Checks of a text that need no signal catalogue, in the order of their findings on one line."""
