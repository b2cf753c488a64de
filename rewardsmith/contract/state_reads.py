"""Signals that a reward program reads, found in its text: on a state, or in a helper that is given the whole state."""

from __future__ import annotations

import ast
from collections.abc import Mapping

STATES = ("before", "after", "start")
"""The arguments whose attributes are signals."""


def find_signal_reads(tree: ast.AST) -> dict[str, tuple[str, ...]]:
    r"""Find the attributes that the text names on `before`, `after` and `start`: the signals that it reads.

    >>> find_signal_reads(ast.parse("def tall(state):\n    return state.height\ndef reward(after):\n    tall(after)"))
    {'before': (), 'after': ('height',), 'start': ()}
    """
    named: dict[str, set[str]] = {state: set() for state in STATES}
    for node, state in find_state_reads(tree):
        named[state].add(node.attr)
    return {state: tuple(sorted(names)) for state, names in named.items()}


def find_state_reads(tree: ast.AST) -> list[tuple[ast.Attribute, str]]:
    """Find where a signal is read, and of which state: on the state itself, or in a helper that is given the state."""
    reads: list[tuple[ast.Attribute, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in STATES:
            reads.append((node, node.value.id))
    parameters = find_state_parameters(tree)
    for function in _list_functions(tree).values():
        for node in ast.walk(function) if function.name in {name for name, _ in parameters} else ():
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                states = parameters.get((function.name, node.value.id), ())
                reads += [(node, state) for state in states if state != node.value.id]
    return reads


def find_state_parameters(tree: ast.AST) -> dict[tuple[str, str], tuple[str, ...]]:
    """Find the parameters of helpers that are given a whole state somewhere, as `state` in `tall(after)`.

    Returns:
        (function, parameter) to the states that it stands for.
    """
    functions = _list_functions(tree)
    stands_for: dict[tuple[str, str], set[str]] = {}
    calls = [(caller, call) for caller in functions.values() for call in _list_helper_calls(caller, functions)]
    has_changed = True
    while has_changed:
        has_changed = False
        for caller, call in calls:
            for parameter, argument in _bind_arguments(functions[call.func.id], call):  # type: ignore[attr-defined]
                states = {argument} if argument in STATES else stands_for.get((caller.name, argument), set())
                known = stands_for.setdefault((call.func.id, parameter), set())  # type: ignore[attr-defined]
                has_changed |= not states <= known
                known |= states
    return {key: tuple(sorted(states)) for key, states in stands_for.items() if states}


def _list_functions(tree: ast.AST) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.iter_child_nodes(tree) if isinstance(node, ast.FunctionDef)}


def _list_helper_calls(caller: ast.FunctionDef, functions: Mapping[str, ast.FunctionDef]) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(caller)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions
    ]


def _bind_arguments(function: ast.FunctionDef, call: ast.Call) -> list[tuple[str, str]]:
    """Return the parameter and the name of each argument of a call that is a plain name."""
    parameters = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    pairs = [
        (parameter, argument.id)
        for parameter, argument in zip(parameters, call.args, strict=False)
        if isinstance(argument, ast.Name)
    ]
    named = [(word.arg, word.value.id) for word in call.keywords if word.arg and isinstance(word.value, ast.Name)]
    return pairs + named
