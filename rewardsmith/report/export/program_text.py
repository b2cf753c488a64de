"""Text of a reward program in an exported file: its imports replaced, and the shaping functions that it uses."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib.resources import files
from textwrap import indent

from rewardsmith.contract import python_ast
from rewardsmith.contract.program_edits import Edit, apply_edits
from rewardsmith.contract.reward_files import EXPORT_RULE
from rewardsmith.contract.reward_program import PROVIDED_MODULES

SHAPING = "shaping"
SHAPING_MODULES = PROVIDED_MODULES[SHAPING]


def read_package_text(module: str) -> str:
    """Return the source of a module, by its path in the package."""
    return (files("rewardsmith") / module).read_text(encoding="utf-8")


def make_standalone(source: str) -> str:
    """Return the program's text with imports that work without rewardsmith."""
    tree = python_ast.parse_module(source)
    edits: list[Edit] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        statements = _replacement_statements(node)
        if statements != [ast.unparse(node)]:
            # Below the top level a block must not become empty.
            nothing = "" if node in tree.body else "pass"
            edits.append((node, "instead", "; ".join(statements) or nothing))
    return apply_edits(source, edits).strip("\n")


def _replacement_statements(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the statements that replace an import; in the exported file `shaping` is a variable, not a module."""
    if isinstance(node, ast.ImportFrom):
        return _replace_import_from(node)
    if not any(alias.name == SHAPING for alias in node.names):
        return [ast.unparse(node)]
    statements = []
    for alias in node.names:
        if alias.name != SHAPING:
            statements.append(ast.unparse(ast.Import([alias])))
        elif alias.asname:
            statements.append(f"{alias.asname} = {SHAPING}")
    return statements


def _replace_import_from(node: ast.ImportFrom) -> list[str]:
    if node.module == "__future__":
        return []
    if node.module not in SHAPING_MODULES:
        return [ast.unparse(node)]
    names = [(alias.name, alias.asname or alias.name) for alias in node.names]
    if names[0][0] == "*":
        names = [(name, name) for name in _public_shaping_names()]
    return [f"{new_name} = {SHAPING}.{name}" for name, new_name in names]


def list_definitions(tree: ast.Module) -> set[str]:
    """Return the names that a module defines at its top level, without imports."""
    definitions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign)
    ]
    return {name for node in definitions for name in python_ast.list_stored_names(node)}


# ---------------------------------------------------------------- shaping


def list_used_shaping(source: str) -> list[str]:
    """Return the shaping functions that a program uses, in the order of `shaping`."""
    tree = python_ast.parse_module(source)

    # Names of the module in the program, and functions imported by name.
    module_names, used = {SHAPING}, set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            module_names |= {alias.asname for alias in node.names if alias.name == SHAPING and alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module in SHAPING_MODULES:
            used |= {alias.name for alias in node.names}

    # Functions called as attributes of the module.
    attribute_bases: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            attribute_bases.add(id(node.value))
            if isinstance(node.value, ast.Name) and node.value.id in module_names:
                used.add(node.attr)

    # The module as a value of its own, or a star import, may use any function.
    uses_module_as_value = any(
        isinstance(node, ast.Name) and node.id in module_names and id(node) not in attribute_bases
        for node in ast.walk(tree)
    )
    needs_all = "*" in used or uses_module_as_value
    return [name for name in _public_shaping_names() if needs_all or name in used]


def _public_shaping_names() -> list[str]:
    tree = python_ast.parse_module(read_package_text("contract/shaping.py"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def render_shaping(names: Sequence[str]) -> str:
    """Return the text that defines `shaping` with these functions and what they call; empty for none."""
    if not names:
        return ""
    text = read_package_text("contract/shaping.py")
    statements = _needed_statements(python_ast.parse_module(text), names)
    body = "\n\n".join(ast.get_source_segment(text, statement) or "" for statement in statements)
    members = ", ".join(f"{name}={name}" for name in names)
    return "\n".join(
        [
            f"{EXPORT_RULE}the shaping functions that the program uses",
            "",
            "",
            "def _make_shaping() -> Any:",
            '    """Return the functions as attributes of one object, as the program calls them."""',
            indent(body, "    "),
            "",
            f"    return types.SimpleNamespace({members})",
            "",
            "",
            f"{SHAPING} = _make_shaping()",
        ]
    )


def _needed_statements(tree: ast.Module, names: Sequence[str]) -> list[ast.stmt]:
    """Return the statements that define these names and everything that they use, in the order of the text."""
    # The statement that defines each name of the module.
    definitions: dict[str, ast.stmt] = {}
    for node in tree.body:
        for name in list_definitions(ast.Module([node], [])):
            definitions[name] = node
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for alias in node.names:
                definitions[alias.asname or alias.name] = node

    # Follow the names from statement to statement.
    to_visit, needed = [definitions[name] for name in names], set[ast.stmt]()
    while to_visit:
        statement = to_visit.pop()
        if statement not in needed:
            needed.add(statement)
            used = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            to_visit += [definitions[name] for name in used if name in definitions]
    return [node for node in tree.body if node in needed]
