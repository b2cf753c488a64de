"""The syntax tree of a program's text, with the sets of names and the questions that the static checks share."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from rewardsmith.contract.reward_program import RewardProgram

MUTATORS = {"add", "append", "clear", "discard", "extend", "fill", "insert", "pop", "popitem", "remove", "reverse"}
MUTATORS |= {"setdefault", "sort", "update"}
"""Methods that change their object in place."""


class ParsedText:
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
        self.globals = set(self.functions) | find_assigned_names(tree.body)
        """Names of the top level."""

    def find_parent(self, node: ast.AST) -> ast.AST:
        """Return the node that another one stands in."""
        return self._parents[id(node)]


def find_assigned_names(statements: Sequence[ast.stmt]) -> set[str]:
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


def is_dunder(name: str) -> bool:
    """Return whether a name is one of Python's special names, as `__init__`."""
    return name.startswith("__") and name.endswith("__")


def is_attribute_of(node: ast.Attribute, names: Sequence[str]) -> bool:
    """Return whether an attribute is read directly from one of these names, as in `np.mean`."""
    return isinstance(node.value, ast.Name) and node.value.id in names


def find_changed_object(node: ast.AST) -> ast.AST | None:
    """Return the object that a node changes in place, if it does."""
    if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return node.func.value
    return None


def find_root_name(node: ast.AST | None) -> str | None:
    """Return the name that a chain of attributes and indices begins with, `a` in `a.b[0]`."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
