"""Check of a reward program's text against the allow-list of exported programs.

It rests on three rules that hold together:

- a module is never a value: it stands before a dot or gets another name, so every use of its contents is seen;
- an attribute is one of those listed, or a signal or a memory of the program, and never begins with an underscore;
- a name that the program does not bind itself, in Python's own scopes, is a listed builtin or one of the three modules.

It bounds neither time nor memory.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from rewardsmith.contract import python_ast
from rewardsmith.contract.findings import limit_findings
from rewardsmith.contract.records import Finding
from rewardsmith.contract.reward_files import EXPORT_RULE
from rewardsmith.contract.reward_program import PROVIDED_MODULES, STATES, RewardProgram
from rewardsmith.contract.state_reads import find_state_parameters
from rewardsmith.report.export.allow_list import (
    ANNOTATION_NODES,
    ATTRIBUTES,
    BUILTINS,
    MODULES,
    NODES,
    RISKY_SIGNALS,
)

_FILE_NAMES: Final = frozenset({"WEIGHTS", "MEMORY"})
"""Names that every exported file defines, with a meaning for the program."""
_DEFAULT_ALIASES: Final = {name: paths[0] for name, paths in PROVIDED_MODULES.items()}


def find_refused_code(program: RewardProgram) -> list[Finding]:
    """Find what keeps a program from being exported, each with its line and its name; empty where nothing does.

    Args:
        program: a parsed program.
    """
    try:
        return limit_findings(sorted(_check_program(program), key=lambda finding: finding.line or 0))
    except (RecursionError, MemoryError, SyntaxError, ValueError):
        return [_refuse(None, "the text", "it is nested too deeply to be checked")]


def _refuse(node: ast.AST | None, name: str, reason: str) -> Finding:
    return Finding("not-exportable", f"`{name}`: {reason}", line=getattr(node, "lineno", None))


def _check_program(program: RewardProgram) -> Iterator[Finding]:
    tree = python_ast.parse_module(program.source)
    if EXPORT_RULE in program.source:
        yield _refuse(None, EXPORT_RULE.strip(), "this line separates the parts of an exported file")

    # Annotations are never evaluated in the file, so they have rules of their own and are left out of the rest.
    yield from _check_annotations(tree)
    tree = _AnnotationRemover().visit(tree)

    aliases = _find_module_aliases(tree)
    yield from _check_constructs(tree)
    yield from _check_imports(tree)
    yield from _check_attributes(tree, aliases, program)
    yield from _check_module_names(tree, aliases)
    yield from _check_bound_names(tree, aliases)
    yield from _check_global_names(tree)


# ---------------------------------------------------------------- constructs and imports


def _check_constructs(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if not isinstance(node, NODES):
            words = {"ClassDef": "class", "Match": "match", "Delete": "del"}
            name = words.get(type(node).__name__, type(node).__name__.lower())
            if not isinstance(node, ast.pattern | ast.match_case):
                yield _refuse(node, name, "this construct is not allowed")


def _check_annotations(tree: ast.Module) -> Iterator[Finding]:
    """Find annotations that are more than names of types: other code may evaluate them."""
    for annotation in _list_annotations(tree):
        for node in _walk_annotation(annotation):
            underscored = isinstance(node, ast.Attribute) and node.attr.startswith("_")
            if not isinstance(node, ANNOTATION_NODES) or underscored:
                yield _refuse(annotation, ast.unparse(annotation)[:80], "an annotation names types only")
                break


def _list_annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns


def _walk_annotation(annotation: ast.expr) -> Iterator[ast.AST]:
    """Yield the nodes of an annotation, those of expressions that stand in strings included."""
    for node in ast.walk(annotation):
        yield node
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                yield from _walk_annotation(python_ast.parse_expression(node.value))
            except SyntaxError:
                continue  # the text of a Literal


class _AnnotationRemover(ast.NodeTransformer):
    """Transformer of a tree into the same without annotations; a name that is only annotated becomes bound."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        value = node.value or ast.copy_location(ast.Constant(None), node)
        return self.generic_visit(ast.copy_location(ast.Assign([node.target], value), node))


def _check_imports(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name not in MODULES:
                    yield _refuse(node, f"import {alias.name}", "numpy, math and shaping may be imported")
        elif isinstance(node, ast.ImportFrom):
            yield from _check_import_from(node)


def _check_import_from(node: ast.ImportFrom) -> Iterator[Finding]:
    module = _normalize_module(node)
    if module == "__future__" and all(alias.asname is None for alias in node.names):
        return
    if module not in MODULES:
        yield _refuse(
            node, f"from {'.' * node.level}{node.module or ''} import", "numpy, math and shaping may be imported"
        )
        return
    for alias in node.names:
        is_star_of_shaping = alias.name == "*" and module == "shaping"
        if not (is_star_of_shaping or alias.name in MODULES[module] or f"{module}.{alias.name}" in MODULES):
            yield _refuse(node, f"{module}.{alias.name}", _explain_member(module))


def _normalize_module(node: ast.ImportFrom) -> str:
    """Return the path of the module that names are imported from; `rewardsmith.shaping` is shaping."""
    if node.level:
        return "." * node.level + (node.module or "")
    return "shaping" if node.module == "rewardsmith.shaping" else node.module or ""


def _explain_member(module: str) -> str:
    if module == "numpy":
        return "not among NumPy's functions that only compute on arrays"
    return f"not among the functions of {module} that a program may use"


# ---------------------------------------------------------------- modules and attributes


def _find_module_aliases(tree: ast.Module) -> dict[str, str]:
    """Return every name of a module in the program, with the module's path."""
    aliases = dict(_DEFAULT_ALIASES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import numpy.linalg` binds numpy; with `as` the module itself.
                module = alias.name if alias.asname else alias.name.partition(".")[0]
                aliases[alias.asname or module] = module
        elif isinstance(node, ast.ImportFrom):
            module = _normalize_module(node)
            for alias in node.names:
                if f"{module}.{alias.name}" in MODULES:
                    aliases[alias.asname or alias.name] = f"{module}.{alias.name}"

    # Assignments give further names, possibly in several steps: n = np; la = n.linalg.
    assignments = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    for _ in assignments:
        before = len(aliases)
        for node in assignments:
            path = _resolve_module(node.value, aliases)
            if path is not None:
                aliases |= {target.id: path for target in node.targets if isinstance(target, ast.Name)}
        if len(aliases) == before:
            break
    return aliases


def _resolve_module(node: ast.expr, aliases: Mapping[str, str]) -> str | None:
    """Return the path of the module that an expression names; None if it names no module."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id)
    if isinstance(node, ast.Attribute):
        parent = _resolve_module(node.value, aliases)
        path = f"{parent}.{node.attr}"
        return path if parent is not None and path in MODULES else None
    return None


def _check_attributes(tree: ast.Module, aliases: Mapping[str, str], program: RewardProgram) -> Iterator[Finding]:
    signals = {name for name in program.signals if _is_harmless(name)}
    states = {*STATES, *(parameter for _, parameter in find_state_parameters(tree))}
    memory = {name for name in program.memory if _is_harmless(name)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        name, module = _spell_attribute(node), _resolve_module(node.value, aliases)
        is_read = isinstance(node.ctx, ast.Load)
        if node.attr.startswith("_"):
            yield _refuse(node, name, "no attribute begins with an underscore")
        elif module is not None:
            if not is_read or not (node.attr in MODULES[module] or f"{module}.{node.attr}" in MODULES):
                yield _refuse(node, name, _explain_member(module))
        elif not is_read:
            if node.attr not in memory:
                yield _refuse(node, name, "only a name of MEMORY is assigned as an attribute")
        elif node.attr not in ATTRIBUTES | memory and not (_is_state(node.value, states) and node.attr in signals):
            yield _refuse(node, name, "not among the attributes of arrays and numbers that a program may use")


def _is_harmless(name: str) -> bool:
    return not (name.startswith("_") or name in RISKY_SIGNALS)


def _is_state(node: ast.expr, states: Collection[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in states


def _spell_attribute(node: ast.Attribute) -> str:
    """Return an attribute as text: with its names before it, where it follows names only."""
    names, base = [node.attr], node.value
    while isinstance(base, ast.Attribute):
        names.append(base.attr)
        base = base.value
    names.append(base.id if isinstance(base, ast.Name) else "")
    return ".".join(reversed(names))


def _check_module_names(tree: ast.Module, aliases: Mapping[str, str]) -> Iterator[Finding]:
    """Find modules that are used as values: passed on, they could be read under any name."""
    # A module may stand before a dot, or be the whole value of an assignment to one name.
    allowed: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            allowed.add(id(node.value))
        elif isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
            allowed.add(id(node.value))

    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and id(node) not in allowed:
            if _resolve_module(node, aliases) is not None:
                yield _refuse(node, ast.unparse(node), "a module is not passed on; name the function")


# ---------------------------------------------------------------- names


def _check_bound_names(tree: ast.Module, aliases: Mapping[str, str]) -> Iterator[Finding]:
    """Find names of modules that the program also binds to something else, and special names that it binds."""
    module_bindings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _resolve_module(node.value, aliases) is not None:
            module_bindings |= {id(target) for target in node.targets}
    for node, name in _list_bindings(tree):
        if name.startswith("__"):
            yield _refuse(node, name, "a special name is not defined by a program")
        elif name in aliases and id(node) not in module_bindings:
            yield _refuse(node, name, f"it names the module {aliases[name]} and is not bound to something else")


def _list_bindings(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield each place that binds a name, without imports of modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node, node.id
        elif isinstance(node, ast.arg):
            yield node, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node, node.name
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node, node.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if f"{_normalize_module(node)}.{alias.name}" not in MODULES:
                    yield node, alias.asname or alias.name


def _check_global_names(tree: ast.Module) -> Iterator[Finding]:
    """Find names that mean, by Python's own scopes, something that the program has not defined.

    Such a name would be a builtin or a part of the exported file. The top level binds no builtin's name: the binding
    may not be there when the name is read, and the file's own functions would take it for the builtin.
    """
    text = ast.unparse(tree)
    defined, reads = list_defined_names(text), _list_global_reads(symtable.symtable(text, "<program>", "exec"))
    python_names = set(dir(builtins))
    known = (defined - python_names) | BUILTINS | set(_DEFAULT_ALIASES) | _FILE_NAMES

    nodes = _find_first_nodes(tree)
    for name in sorted((reads - known) & set(nodes)):  # `super` adds a name that no text spells
        reason = "this builtin is not allowed" if name in python_names else "the program does not define this name"
        yield _refuse(nodes[name], name, reason)
    for name in sorted(defined & python_names - (reads - known)):
        yield _refuse(nodes.get(name), name, "the top level gives no other meaning to a builtin")


def list_defined_names(text: str) -> set[str]:
    """Return the names that a program's text binds at its top level, in any statement; imports included."""
    top = symtable.symtable(text, "<program>", "exec")
    defined = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    imports = [node for node in python_ast.parse_module(text).body if isinstance(node, ast.ImportFrom)]
    if any(node.names[0].name == "*" for node in imports):
        defined |= MODULES["shaping"]
    return defined


def _list_global_reads(table: symtable.SymbolTable) -> set[str]:
    """Return the names that are read from the top level or from the builtins, in a scope and in those inside of it."""
    names: set[str] = set()
    for symbol in table.get_symbols():
        is_outer = symbol.is_global() or table.get_type() == "module"
        if is_outer and symbol.is_referenced():
            names.add(symbol.get_name())
    for child in table.get_children():
        names |= _list_global_reads(child)
    return names


def _find_first_nodes(tree: ast.Module) -> dict[str, ast.AST]:
    """Return the first node that spells each name."""
    nodes: dict[str, ast.AST] = {}
    named: Iterable[tuple[ast.AST, str]] = (
        *((node, node.id) for node in ast.walk(tree) if isinstance(node, ast.Name)),
        *_list_bindings(tree),
    )
    for node, name in named:
        earlier = nodes.get(name)
        if earlier is None or getattr(node, "lineno", 0) < getattr(earlier, "lineno", 0):
            nodes[name] = node
    return nodes
