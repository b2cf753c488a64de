"""Export: a reward program becomes one Python file with a Gymnasium wrapper that needs no rewardsmith.

The file holds the program's text, the shaping functions that it uses, where each signal is read, and the wrapper of
`wrapper_template.py`. It imports gymnasium and numpy, and mujoco where a signal comes from there.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from textwrap import indent

from rewardsmith.contract import env_families, python_ast
from rewardsmith.contract import reward_program as contract
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.contract.signal_source import Applied, Combined, Index, Node, Number, parse

RULE = contract.EXPORT_RULE
SHAPING = "shaping"
SHAPING_MODULES = (SHAPING, f"rewardsmith.{SHAPING}")
FUNCTIONS = {"wrap": "_wrap", "norm": "_norm", "angle": "_angle", "cos": "np.cos", "sin": "np.sin"}
"""A source's functions, as the exported file spells them."""
MEANING_CHARS = 80


def export(program: RewardProgram, signals: Sequence[Signal], env: EnvSpec) -> str:
    """Return the text of a file that pays a program's reward in its environment.

    Args:
        program: what to export.
        signals: the catalogue; it must hold every signal that the program names.
        env: the environment that the file's `make()` builds.

    Raises:
        ProgramError: if the program names a signal that is not in the catalogue, or takes a name of the wrapper's.
        TaskError: if the source of a signal does not parse.
    """
    catalogue = {signal.name: signal for signal in signals}
    missing = [name for name in program.signals if name not in catalogue]
    if missing:
        raise ProgramError(f"the program names signals that the environment does not have: {', '.join(missing)}")
    carried = _text_of("report/export/wrapper_template.py")
    _refuse_taken_names(program.source, carried)
    parts = [
        _head(env),
        _shaping(_shaping_names(program.source)),
        f"{RULE}{contract.EXPORTED}\n\n{_own_text(program.source)}",
        _constants(program, [catalogue[name] for name in program.signals], env),
        carried[carried.index(RULE) :],
    ]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts if part)


def _text_of(module: str) -> str:
    return (files("rewardsmith") / module).read_text(encoding="utf-8")


def _head(env: EnvSpec) -> str:
    return f'''"""A reward for {env.env_id}, exported by rewardsmith; it needs gymnasium and numpy, not rewardsmith.

The reward is the sum of WEIGHTS[name] * term; a term without a weight counts 1. To train on it, take `make()`, or
`RewardWrapper(env)` around an environment that you made. `info["reward_terms"]` has the terms of each step. Run the
file to see what they pay for random actions.
"""

from __future__ import annotations

import math
import sys
import types
from typing import Any

import gymnasium
import numpy as np
'''


def _constants(program: RewardProgram, signals: Sequence[Signal], env: EnvSpec) -> str:
    """Return what the wrapper has to know of the program and of its environment."""
    env_id, kwargs = env_families.elsewhere(env.env_id, env.kwargs)
    if env.max_episode_steps is not None:
        kwargs["max_episode_steps"] = env.max_episode_steps
    lines = [
        f"{RULE}what the wrapper needs to know",
        "",
        f"ENV_ID = {json.dumps(env_id)}",
        f"ENV_KWARGS = {kwargs!r}",
    ]
    declared = _defined(python_ast.module(program.source))
    lines += [f"{name}: dict[str, float] = {{}}" for name in ("WEIGHTS", "MEMORY") if name not in declared]
    lines += [f"ARGUMENTS = {program.arguments!r}", "SIGNALS: dict[str, Any] = {"]
    for signal in signals:
        lines += [f"    # {' '.join(signal.meaning.split())[:MEANING_CHARS]} ({signal.unit})"]
        lines += [f'    "{signal.name}": ({signal.shape!r}, lambda read: {_reading(parse(signal.source))}),']
    return "\n".join([*lines, "}", '"""Where each signal is read: its shape, and how."""'])


def _reading(node: Node) -> str:
    """Return a signal's source as an expression over `read(field, *indices)`.

    >>> _reading(parse("wrap(state[0])")), _reading(parse("xpos[torso,2] - qpos[1:3]"))
    ('_wrap(read("state", 0))', 'read("xpos", "torso", 2) - read("qpos", slice(1, 3, None))')
    """
    if isinstance(node, Applied):
        return f"{FUNCTIONS[node.function]}({_reading(node.argument)})"
    if isinstance(node, Combined):
        return f"{_reading(node.left)} {'+' if node.sign > 0 else '-'} {_reading(node.right)}"
    if isinstance(node, Number):
        return repr(node.value)
    arguments: tuple[Index, ...] = (node.field, *node.indices)
    spelled = [json.dumps(part) if isinstance(part, str) else repr(part) for part in arguments]
    return f"read({', '.join(spelled)})"


# ---------------------------------------------------------------- the program's text


def _own_text(source: str) -> str:
    """Return the program's text without the imports that have no place in the file."""
    tree = python_ast.module(source)
    edits: list[contract.Edit] = []
    for node in ast.walk(tree):
        lines = list(_replacement(node)) if isinstance(node, ast.Import | ast.ImportFrom) else None
        if lines is not None and lines != [ast.unparse(node)]:
            edits.append((node, "instead", "; ".join(lines) or ("" if node in tree.body else "pass")))
    return contract.edited(source, edits).strip("\n")


def _replacement(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield the statements that stand for an import, where `shaping` is no module but a name of the file."""
    if isinstance(node, ast.ImportFrom) and node.module in SHAPING_MODULES:
        names = [(alias.name, alias.asname or alias.name) for alias in node.names]
        if names[0][0] == "*":
            names = [(name, name) for name in _public_shaping()]
        yield from (f"{new} = {SHAPING}.{name}" for name, new in names)
    elif isinstance(node, ast.ImportFrom):
        yield from [ast.unparse(node)] * (node.module != "__future__")
    elif not any(alias.name == SHAPING for alias in node.names):
        yield ast.unparse(node)
    else:
        for alias in node.names:
            if alias.name != SHAPING:
                yield ast.unparse(ast.Import([alias]))
            elif alias.asname:
                yield f"{alias.asname} = {SHAPING}"


def _defined(tree: ast.Module) -> set[str]:
    """Return the names that a text defines at its top level, imports left out."""
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return defined


def _refuse_taken_names(source: str, carried: str) -> None:
    tree = python_ast.module(carried)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    taken = (_defined(tree) | imported | {"Any", SHAPING, "_make_shaping"}) - {"reward", "WEIGHTS", "MEMORY"}
    clashes = sorted(taken & _defined(python_ast.module(source)))
    if clashes:
        names = ", ".join(clashes)
        raise ProgramError(f"the program defines {names}, as the exported file does; rename it in the program")


# ---------------------------------------------------------------- shaping


def _shaping_names(source: str) -> list[str]:
    """Return the shaping functions that a program uses."""
    tree = python_ast.module(source)
    aliases, used = {SHAPING}, set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname for alias in node.names if alias.name == SHAPING and alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module in SHAPING_MODULES:
            used |= {alias.name for alias in node.names}
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    reached = {id(node.value) for node in attributes}
    used |= {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id in aliases}
    bare = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in aliases]
    everything = "*" in used or any(id(node) not in reached for node in bare)
    return [name for name in _public_shaping() if everything or name in used]


def _public_shaping() -> list[str]:
    tree = python_ast.module(_text_of("contract/shaping.py"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def _shaping(names: Sequence[str]) -> str:
    """Return the text that makes `shaping` with these functions and what they call; nothing for none."""
    if not names:
        return ""
    text = _text_of("contract/shaping.py")
    parts = _needed(python_ast.module(text), names)
    body = "\n\n".join(ast.get_source_segment(text, node) or "" for node in parts)
    members = ", ".join(f"{name}={name}" for name in names)
    return "\n".join(
        [
            f"{RULE}the shaping functions that the program uses",
            "",
            "",
            "def _make_shaping() -> Any:",
            '    """Return the functions under the name by which the program calls them."""',
            indent(body, "    "),
            "",
            f"    return types.SimpleNamespace({members})",
            "",
            "",
            f"{SHAPING} = _make_shaping()",
        ]
    )


def _needed(tree: ast.Module, names: Sequence[str]) -> list[ast.stmt]:
    """Return the statements that define these names and all that they use, in the order of the text."""
    places: dict[str, ast.stmt] = {}
    for node in tree.body:
        for name in _defined(ast.Module([node], [])):
            places[name] = node
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            places |= {alias.asname or alias.name: node for alias in node.names}
    todo, needed = [places[name] for name in names], set[ast.stmt]()
    while todo:
        statement = todo.pop()
        if statement not in needed:
            needed.add(statement)
            used = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            todo += [places[name] for name in used if name in places]
    return [node for node in tree.body if node in needed]
