"""Static checks of what a program uses of Python and NumPy: imports, names, constructs, and state of its own."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from rewardsmith.contract.records import Finding
from rewardsmith.contract.reward_program import PROVIDED_MODULES
from rewardsmith.sandbox import IMPORTS
from rewardsmith.search.steps.critic.parsed_text import (
    ParsedText,
    find_assigned_names,
    find_changed_object,
    find_root_name,
    is_attribute_of,
    is_dunder,
)

IMPORTABLE = (*IMPORTS, "numpy.linalg", "numpy.fft", "numpy.polynomial", "rewardsmith.shaping")
"""Modules that may be imported, as authors do by habit: what the reward process lets through, without other parts of
NumPy."""
NUMPY_MISFITS = {
    **dict.fromkeys(["random"], "a reward must give the same answer for the same transitions"),
    **dict.fromkeys(["load", "loadtxt", "genfromtxt", "fromfile", "memmap"], "a reward program reads no files"),
    **dict.fromkeys(["save", "savez", "savez_compressed", "savetxt"], "a reward program writes no files"),
    **dict.fromkeys(["ctypeslib", "f2py", "testing"], "arithmetic on arrays is all that a reward needs"),
}
"""Parts of NumPy that a program must not use, each with why; none of them is on the exporter's allow-list."""
FORBIDDEN_BUILTINS = {
    **dict.fromkeys(["exec", "eval", "compile", "__import__"], "a reward program runs no other text"),
    **dict.fromkeys(["open", "input", "print"], "a reward program reads and writes nothing; return a term instead"),
    **dict.fromkeys(["breakpoint", "exit", "quit", "help"], "nobody is there while a reward program runs"),
    **dict.fromkeys(["globals", "locals", "vars"], "write the names themselves"),
    **dict.fromkeys(["getattr", "setattr", "delattr", "hasattr"], "write the attribute itself, as in after.<signal>"),
}
"""Builtins that a program must not use, each with why or what instead: all that the reward process withholds, and those
that do no harm there but hide a signal's name from the text or print where nobody reads."""
PURE_CALLS = {"abs", "dict", "float", "frozenset", "int", "len", "list", "max", "min", "range", "set", "sum", "tuple"}
NO_STATE = "a program has no state of its own; declare MEMORY = {...} and take the argument `memory`"
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


def _check_imports(text: ParsedText) -> Iterator[Finding]:
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
            if module not in IMPORTABLE:
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


def _check_names(text: ParsedText) -> Iterator[Finding]:
    """Find builtins, special names and functions of NumPy that a program may not use."""
    for node in text.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in text.bound:
            if node.id in FORBIDDEN_BUILTINS:
                yield Finding("forbidden-name", f"{node.id}: {FORBIDDEN_BUILTINS[node.id]}", line=node.lineno)
            elif is_dunder(node.id):
                yield Finding("forbidden-name", f"{node.id}: a reward needs no special names", line=node.lineno)
        elif isinstance(node, ast.Attribute):
            if is_dunder(node.attr):
                yield Finding("forbidden-name", f".{node.attr}: a reward needs no special attributes", line=node.lineno)
            elif is_attribute_of(node, ("np", "numpy")) and node.attr in NUMPY_MISFITS:
                yield Finding("forbidden-name", f"np.{node.attr}: {NUMPY_MISFITS[node.attr]}", line=node.lineno)


def _check_constructs(text: ParsedText) -> Iterator[Finding]:
    for node in text.nodes:
        if type(node) in CONSTRUCTS:
            yield Finding("construct", CONSTRUCTS[type(node)], line=getattr(node, "lineno", None))
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value:
            yield Finding("construct", "an endless loop: loop with `for` over a fixed range", line=node.lineno)


def _check_top_level(text: ParsedText) -> Iterator[Finding]:
    """Find statements at the top level that are more than imports, constants and functions."""
    allowed = "at its top level a program has imports, constants, WEIGHTS, MEMORY, OBSERVATION and functions"
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
    return isinstance(function, ast.Name) and function.id in {*PURE_CALLS, *PROVIDED_MODULES, "numpy"}


def _check_hidden_state(text: ParsedText) -> Iterator[Finding]:
    """Find functions that change objects of the top level: they would remember across calls and episodes."""
    for function in text.functions.values():
        parameters = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
        outer_names = text.globals - find_assigned_names(function.body) - parameters
        for node in ast.walk(function):
            name = find_root_name(find_changed_object(node))
            if name is not None and name in outer_names:
                message = f"{name!r} is changed by a function: {NO_STATE}"
                yield Finding("hidden-state", message, line=getattr(node, "lineno", None))


LANGUAGE_CHECKS: tuple[Callable[[ParsedText], Iterator[Finding]], ...] = (
    _check_imports,
    _check_names,
    _check_constructs,
    _check_top_level,
    _check_hidden_state,
)
