"""What a program's text shows without running it, as errors that its author can mend at once.

These checks are no border: what slips through meets the sealed reward process.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Sequence

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import Finding, Signal
from rewardsmith.contract.reward_program import ARGUMENTS, STATES, RewardProgram, parse

IMPORTABLE = ("numpy", "math", "numpy.linalg", "numpy.fft", "numpy.polynomial", "__future__", "typing")
SHAPING = ("shaping", "rewardsmith.shaping")
"""May be imported too: authors do so by habit, and every program has it anyway."""
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
LISTED = 12
"""How many names a message lists at most."""


def read(source: str, signals: Sequence[Signal]) -> tuple[RewardProgram | None, list[Finding]]:
    """Return the program, and what its text shows in the order of its lines.

    Args:
        source: the program's text.
        signals: the catalogue that it may read.

    Returns:
        The program, None where the text has not the form of one; and the findings.
    """
    program, findings = None, []
    try:
        program = parse(source)
    except ProgramError as error:
        findings = list(error.findings)
        if any(finding.code in ("syntax", "too-long") for finding in findings):
            return None, findings
    text = _Text(python_ast.module(source), program)
    for check in (_imports, _names, _constructs, _top_level, _hidden_state, _states, _memory, _weights):
        findings += check(text)
    findings += _unknown_signals(text, [signal.name for signal in signals])
    return program, sorted(dict.fromkeys(findings), key=lambda finding: finding.line or 0)


def nearest(name: str, known: Sequence[str]) -> str:
    """Return what a message says of a name that does not exist.

    >>> nearest("heigth", ["height", "pitch"])
    "did you mean 'height'?"
    """
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return f"there are {', '.join(known[:LISTED])}{more}" if known else "there are none"


class _Text:
    """A parsed text with what the checks ask of it."""

    def __init__(self, tree: ast.Module, program: RewardProgram | None) -> None:
        self.tree, self.program = tree, program
        self.nodes = list(ast.walk(tree))
        self.parents = {id(child): node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        names = [node for node in self.nodes if isinstance(node, ast.Name)]
        self.stored = {name.id for name in names if not isinstance(name.ctx, ast.Load)}
        self.bound = self.stored | set(self.functions)
        self.bound |= {node.arg for node in self.nodes if isinstance(node, ast.arg)}
        self.globals = set(self.functions) | _stored(tree.body)

    def parent(self, node: ast.AST) -> ast.AST:
        return self.parents[id(node)]


def _stored(statements: Sequence[ast.stmt]) -> set[str]:
    """Return the names that statements assign, those of functions inside them left out."""
    stored: set[str] = set()
    todo: list[ast.AST] = list(statements)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stored.add(node.id)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo += ast.iter_child_nodes(node)
    return stored


# ---------------------------------------------------------------- what a program may use


def _imports(text: _Text) -> Iterator[Finding]:
    for node in text.nodes:
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = ["." * node.level + (node.module or "")]
            yield from _numpy_parts(node)
        else:
            continue
        for module in modules:
            if module not in IMPORTABLE and module not in SHAPING:
                message = f"import of {module!r}: a program imports numpy and math only; np, math and shaping are there"
                yield Finding("import", f"{message} without an import", line=node.lineno)


def _numpy_parts(node: ast.ImportFrom) -> Iterator[Finding]:
    for alias in node.names:
        if node.module == "numpy" and alias.name in NUMPY_MISFITS:
            yield Finding("forbidden-name", f"numpy.{alias.name}: {NUMPY_MISFITS[alias.name]}", line=node.lineno)


def _names(text: _Text) -> Iterator[Finding]:
    for node in text.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in text.bound:
            if node.id in WITHHELD:
                yield Finding("forbidden-name", f"{node.id}: {WITHHELD[node.id]}", line=node.lineno)
            elif _is_dunder(node.id):
                yield Finding("forbidden-name", f"{node.id}: a reward needs no special names", line=node.lineno)
        elif isinstance(node, ast.Attribute) and _is_dunder(node.attr):
            yield Finding("forbidden-name", f".{node.attr}: a reward needs no special attributes", line=node.lineno)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            if node.attr in NUMPY_MISFITS:
                yield Finding("forbidden-name", f"np.{node.attr}: {NUMPY_MISFITS[node.attr]}", line=node.lineno)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


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


def _constructs(text: _Text) -> Iterator[Finding]:
    for node in text.nodes:
        if type(node) in CONSTRUCTS:
            yield Finding("construct", CONSTRUCTS[type(node)], line=getattr(node, "lineno", None))
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value:
            yield Finding("construct", "an endless loop: loop with `for` over a fixed range", line=node.lineno)


def _top_level(text: _Text) -> Iterator[Finding]:
    allowed = "at its top level a program has imports, constants, WEIGHTS, MEMORY and functions"
    for node in text.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            yield Finding("top-level", f"{allowed}; move this statement into reward()", line=node.lineno)
            continue
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


def _hidden_state(text: _Text) -> Iterator[Finding]:
    """Find functions that change what lives at the top level: they would remember across calls and episodes."""
    for function in text.functions.values():
        local = _stored(function.body) | {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
        for node in ast.walk(function):
            name = _root(_changed(node))
            if name is not None and name in text.globals - local:
                message = f"{name!r} is changed by a function: {NO_STATE}"
                yield Finding("hidden-state", message, line=getattr(node, "lineno", None))


def _changed(node: ast.AST) -> ast.AST | None:
    """Return the object that a node changes in place, if it does."""
    if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return node.func.value
    return None


def _root(node: ast.AST | None) -> str | None:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


# ---------------------------------------------------------------- signals, memory and weights


def _unknown_signals(text: _Text, known: Sequence[str]) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for node in text.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in STATES:
            state, name = node.value.id, node.attr
            if name not in known and (state, name) not in seen and not _is_dunder(name):
                seen.add((state, name))
                message = f"{state}.{name}: there is no signal {name!r}; {nearest(name, known)}"
                yield Finding("unknown-signal", message, line=node.lineno)


def _states(text: _Text) -> Iterator[Finding]:
    """Find states used in other ways than reading a signal, arguments not taken, and writes to inputs."""
    taken = text.program.arguments if text.program else ARGUMENTS
    for node in text.nodes:
        if isinstance(node, ast.Name) and node.id in ARGUMENTS:
            if node.id not in taken and node.id not in text.bound:
                message = f"{node.id!r} is used, but reward() does not take it"
                cure = f"write def reward({_with(taken, node.id)})"
                yield Finding("missing-argument", f"{message}; {cure}", line=node.lineno)
            elif node.id not in taken and node.id in text.stored:
                continue  # a variable that bears a state's name, where the state itself is not taken
            elif node.id in STATES and isinstance(node.ctx, ast.Load) and not _reads_signal(text, node):
                message = f"{node.id!r} is used as a whole; signals are found by their names in the text"
                cure = f"write {node.id}.<signal> where it is needed"
                yield Finding("whole-state", f"{message}: {cure}", line=node.lineno)
        if _writes_input(node):
            line = getattr(node, "lineno", None)
            yield Finding("changes-input", "before, action, after and start are read-only: make a new array", line=line)


def _with(taken: Sequence[str], name: str) -> str:
    return ", ".join(argument for argument in ARGUMENTS if argument in (*taken, name))


def _reads_signal(text: _Text, node: ast.Name) -> bool:
    """Return whether a state stands before a dot, or goes to a function of the program under its own name."""
    parent = text.parent(node)
    if isinstance(parent, ast.Attribute):
        return True
    if isinstance(parent, ast.keyword):
        return parent.arg == node.id
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id in text.functions:
        parameters = [argument.arg for argument in text.functions[parent.func.id].args.args]
        place = next((i for i, argument in enumerate(parent.args) if argument is node), len(parameters))
        return place < len(parameters) and parameters[place] == node.id
    return False


def _writes_input(node: ast.AST) -> bool:
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return node.target.id == "action"
    changed = _changed(node) if isinstance(node, ast.Subscript | ast.Attribute) else None
    return changed is not None and _root(changed) in (*STATES, "action")


def _memory(text: _Text) -> Iterator[Finding]:
    if text.program is None or "memory" not in text.program.arguments:
        return
    known = list(text.program.memory)
    if not known:
        message = "reward() takes `memory`, but none is declared; write MEMORY = {'best': 0.0} at the top level"
        yield Finding("memory-undeclared", message, line=text.functions["reward"].lineno)
        return
    for node in text.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "memory":
            if node.attr not in known and not _is_dunder(node.attr):
                message = f"memory.{node.attr} is not declared in MEMORY; {nearest(node.attr, known)}"
                yield Finding("unknown-memory", message, line=node.lineno)


def _weights(text: _Text) -> Iterator[Finding]:
    for name, weight in (text.program.weights if text.program else {}).items():
        if weight == 0.0:
            message = f"the weight of {name!r} is 0: the term does nothing; drop it or give it a weight"
            yield Finding("weight-zero", message, "warning")
