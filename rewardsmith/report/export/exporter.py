"""Export of a reward program to one Python file with a Gymnasium wrapper that does not need rewardsmith.

The file holds the program's text, the shaping functions that it uses, the sources of its signals, and the wrapper of
`wrapper_template.py`. It imports gymnasium and numpy, and mujoco if a signal comes from there.

The seal ends with the file: whoever runs it runs the program with their own rights. So a program is exported only if
`refused_code` finds nothing in its text, and the file's header says what was tested.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

from rewardsmith.contract import env_families, python_ast
from rewardsmith.contract.errors import ProgramError, TaskError
from rewardsmith.contract.findings import join_messages
from rewardsmith.contract.fitness.judged import describe_fitness_source
from rewardsmith.contract.records import Candidate, EnvSpec, JsonValue, Signal
from rewardsmith.contract.reward_files import EXPORT_RULE, EXPORTED
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.contract.signal_source import Constant, FunctionCall, Index, Node, SignedSum, parse
from rewardsmith.contract.text import flatten_text
from rewardsmith.report.export.program_text import (
    SHAPING,
    list_definitions,
    list_used_shaping,
    make_standalone,
    read_package_text,
    render_shaping,
)
from rewardsmith.report.export.refused_code import find_refused_code, list_defined_names
from rewardsmith.report.result_lines import describe_fitness
from rewardsmith.search.storage import Run

RULE = EXPORT_RULE
FUNCTIONS = {"wrap": "_wrap", "norm": "_norm", "angle": "_angle", "cos": "np.cos", "sin": "np.sin"}
"""Functions in sources of signals, with their names in the exported file."""
MEANING_CHARS = 80


@dataclass(frozen=True)
class ExportOrigin:
    """Origin of an exported program, for the file's header: its measurements and where they were made."""

    task: str
    """The sentence that the program was written for."""
    candidate: str
    """Its id in the run."""
    fitness: str
    """The measured figure with its interval, as people read it."""
    expression: str
    """The fitness expression."""
    version: str | None
    """Version of rewardsmith that began the run; None where it is not recorded."""
    seal: tuple[str, ...] = ()
    """Layers of the seal under which programs of the run ran, a line for each set of them; empty where they are not
    recorded."""


def describe_origin(run: Run, candidate: Candidate) -> ExportOrigin:
    """Return what a run knows about the test of one of its candidates."""
    provenance = run.read_provenance()
    return ExportOrigin(
        task=run.task.heading,
        candidate=candidate.id,
        fitness=describe_fitness(candidate, run.read_result()),
        expression=describe_fitness_source(run.fitness_name),
        version=provenance.versions.get("rewardsmith"),
        seal=provenance.sandbox,
    )


def export_program(
    program: RewardProgram,
    signals: Sequence[Signal],
    env: EnvSpec,
    origin: ExportOrigin | None = None,
    unsafe: bool = False,
) -> str:
    """Return the text of a file that pays a program's reward in its environment.

    Args:
        program: what to export.
        signals: the catalogue; it must hold every signal that the program names.
        env: the environment that the file's `make()` builds.
        origin: what the header says about the program's test; None leaves it out.
        unsafe: export a program too that the allow-list refuses; the header says that it was not checked.

    Raises:
        ProgramError: if the allow-list refuses the program, or it names a signal that is not in the catalogue, or takes
            a name of the wrapper's.
        TaskError: if the source of a signal does not parse, or the environment is none of Gymnasium's.
    """
    if env_families.is_resident(env.env_id):
        raise TaskError(
            f"{env.env_id!r} is no Gymnasium environment, and an exported program wraps one; the run's folder holds the"
            " program as reward.py, and --policy onnx exports the policy"
        )
    signals_by_name = {signal.name: signal for signal in signals}
    missing = [name for name in program.signals if name not in signals_by_name]
    if missing:
        raise ProgramError(f"the program names signals that the environment does not have: {', '.join(missing)}")
    learned = [name for name in program.signals if signals_by_name[name].is_learned]
    if learned:
        raise ProgramError(
            f"the program reads {learned[0]!r}, a learned signal: a provider computes it in rewardsmith alone, and no"
            " exported file has it; export a program that reads the simulator's signals"
        )
    if not unsafe:
        _refuse_unlisted_code(program)
    wrapper = read_package_text("report/export/wrapper_template.py")
    _refuse_name_clashes(program.source, wrapper)

    text = make_standalone(program.source)
    parts = [
        _file_header(env, _describe_test(program.source, text, origin), unsafe),
        render_shaping(list_used_shaping(program.source)),
        f"{RULE}{EXPORTED}\n\n{text}",
        _constants_text(program, [signals_by_name[name] for name in program.signals], env),
        wrapper[wrapper.index(RULE) :],
    ]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts if part)


def describe_rights(unsafe: bool) -> str:
    """Return the sentence about whose rights the program has in the file, and whether its text was checked.

    Args:
        unsafe: whether the check was left out.
    """
    if unsafe:
        checked = "it was NOT checked (--unsafe): read it before you run it"
    else:
        checked = "its text was checked to compute on arrays only"
    return f"the seal ends with this file: the program runs with the rights of whoever runs it; {checked}"


def spell_make_call(env: EnvSpec) -> str:
    """Return the call that makes an environment as a run makes it, with the arguments of its card.

    >>> spell_make_call(EnvSpec("Hopper-v5", {"frame_skip": 2}))
    "gymnasium.make('Hopper-v5', frame_skip=2)"
    """
    env_id, kwargs = _make_arguments(env)
    call = f"gymnasium.make({_spell_arguments(repr(env_id), kwargs)})"
    for wrapper in env.wrappers:
        name = re.sub(r"[^\w.]", "_", wrapper.name.replace(":", "."))
        call = f"{name}({_spell_arguments(call, wrapper.kwargs)})"
    return call


def _spell_arguments(first: str, kwargs: Mapping[str, JsonValue]) -> str:
    return ", ".join([first, *(f"{name}={value!r}" for name, value in kwargs.items())])


def _make_arguments(env: EnvSpec) -> tuple[str, dict[str, JsonValue]]:
    """Return the id and the keyword arguments with which `gymnasium.make` builds an environment."""
    env_id, kwargs = env_families.resolve_make_arguments(env.env_id, env.kwargs)
    if env.max_episode_steps is not None:
        kwargs["max_episode_steps"] = env.max_episode_steps
    return env_id, kwargs


def _refuse_unlisted_code(program: RewardProgram) -> None:
    """Make sure that a program has no code but what the allow-list names.

    Raises:
        ProgramError: if it has, with the lines and the names.
    """
    findings = find_refused_code(program)
    if findings:
        error = ProgramError(
            f"the program is not exported: {join_messages(findings)}; an exported program runs outside of the seal: "
            "change it, or write it unchecked with --unsafe"
        )
        error.findings = tuple(findings)
        raise error


def _file_header(env: EnvSpec, tested: Sequence[str], unsafe: bool) -> str:
    rights = describe_rights(unsafe)
    test_lines = "".join(f"{line}\n" for line in tested)
    env_id = _quote_in_docstring(env.env_id)
    return f'''"""A reward for {env_id}, exported by rewardsmith; it needs gymnasium and numpy, not rewardsmith.

The reward is the sum of WEIGHTS[name] * term; the weight of a term that is not listed is 1. To train on it, call
`make()`, or wrap your own environment: `RewardWrapper(env)`. `info["reward_terms"]` has the terms of each step. Run
this file to see their values under random actions.

{rights[0].upper()}{rights[1:]}.

{test_lines}"""

from __future__ import annotations

import importlib
import math
import sys
import types
from typing import Any

import gymnasium
import numpy as np
'''


def _describe_test(source: str, text: str, origin: ExportOrigin | None) -> list[str]:
    """Return the header's lines about what was tested.

    Args:
        source: the program as the run has it.
        text: the program as the file has it.
        origin: of the program.
    """
    exported_hash = _hash_text(f"{text}\n")
    lines = [
        f"Exported by   rewardsmith {metadata.version('rewardsmith')}",
        f'Program       sha256 {exported_hash}, the part "{EXPORTED}" of this file',
    ]
    if origin is None:
        return lines
    candidate = _quote_in_docstring(origin.candidate)
    return [
        *lines,
        f"Tested        sha256 {_hash_text(source)}, reward.py of the run's candidate {candidate}",
        f"Task          {_quote_in_docstring(origin.task)}",
        f"Fitness       {_quote_in_docstring(origin.fitness)}, of {_quote_in_docstring(origin.expression)}",
        f"Tested with   rewardsmith {_quote_in_docstring(origin.version or 'of an unrecorded version')}",
        f"Tested under  {_quote_in_docstring('; or '.join(origin.seal) or 'a seal whose layers were not recorded')}",
    ]


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _quote_in_docstring(text: str) -> str:
    """Return a run's text as one line that can neither end a docstring nor escape anything in it."""
    return flatten_text(text).replace("\\", "/").replace('"', "'")


def _constants_text(program: RewardProgram, signals: Sequence[Signal], env: EnvSpec) -> str:
    """Return the constants of the wrapper: the environment, the program's arguments, and the sources of its signals."""
    # The environment.
    env_id, kwargs = _make_arguments(env)
    lines = [f"{RULE}constants of the wrapper", "", f"ENV_ID = {json.dumps(env_id)}", f"ENV_KWARGS = {kwargs!r}"]
    lines.append(f"IMPORTS: tuple[str, ...] = {env.imports!r}")
    wrappers = tuple((wrapper.name, wrapper.kwargs) for wrapper in env.wrappers)
    lines.append(f"WRAPPERS: tuple[tuple[str, dict[str, Any]], ...] = {wrappers!r}")

    # The program: dictionaries that it does not define itself are empty.
    defined = list_definitions(python_ast.parse_module(program.source))
    lines += [f"{name}: dict[str, float] = {{}}" for name in ("WEIGHTS", "MEMORY") if name not in defined]
    lines.append(f"ARGUMENTS = {program.arguments!r}")

    # The signals.
    lines.append("SIGNALS: dict[str, Any] = {")
    for signal in signals:
        meaning, unit = flatten_text(signal.meaning, MEANING_CHARS), flatten_text(signal.unit, MEANING_CHARS)
        read = _signal_expression(parse(signal.source))
        lines.append(f"    # {meaning} ({unit})")
        lines.append(f'    "{signal.name}": ({signal.shape!r}, lambda read: {read}),')
    lines += ["}", '"""Shape of each signal, and a function that reads it."""']
    return "\n".join(lines)


def _signal_expression(node: Node) -> str:
    """Return a signal's source as an expression over `read(field, *indices)`.

    >>> _signal_expression(parse("wrap(state[0])")), _signal_expression(parse("xpos[torso,2] - qpos[1:3]"))
    ('_wrap(read("state", 0))', 'read("xpos", "torso", 2) - read("qpos", slice(1, 3, None))')
    """
    if isinstance(node, FunctionCall):
        return f"{FUNCTIONS[node.function]}({_signal_expression(node.argument)})"
    if isinstance(node, SignedSum):
        return f"{_signal_expression(node.left)} {'+' if node.sign > 0 else '-'} {_signal_expression(node.right)}"
    if isinstance(node, Constant):
        return repr(node.value)
    arguments: tuple[Index, ...] = (node.field, *node.indices)
    spelled = [json.dumps(part) if isinstance(part, str) else repr(part) for part in arguments]
    return f"read({', '.join(spelled)})"


def _refuse_name_clashes(source: str, wrapper: str) -> None:
    """Make sure that the program defines no name that the wrapper's part of the file defines.

    Raises:
        ProgramError: if it does.
    """
    # What the file defines, without the program's own parts.
    tree = python_ast.parse_module(wrapper)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    reserved = list_definitions(tree) | imported | {"Any", SHAPING, "_make_shaping"}
    reserved -= {"reward", "WEIGHTS", "MEMORY"}

    # What the program defines, without modules and types that it imports under the names that they have in the file.
    same_in_both = {"numpy", "Any", SHAPING}
    nodes = ast.walk(python_ast.parse_module(source))
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    plain = {alias.name for node in imports for alias in node.names if alias.asname in (None, alias.name)}
    try:
        clashes = sorted(reserved & (list_defined_names(source) - (plain & same_in_both)))
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ProgramError(
            f"the program is not exported: its text cannot be compiled: {flatten_text(str(error))}"
        ) from error
    if clashes:
        names = ", ".join(clashes)
        raise ProgramError(f"the program defines {names}, as the exported file does; rename it in the program")
