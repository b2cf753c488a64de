"""Static checks: errors that a program's text shows without running it, which its author can repair at once.

These checks are no security border: what they miss meets the sealed reward process.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.findings import MAX_PER_CODE, count_others, limit_findings
from rewardsmith.contract.observation import DECLARATION, find_observation_fault
from rewardsmith.contract.records import Finding, Signal
from rewardsmith.contract.reward_program import ARGUMENTS, DECLARATIONS, STATES, RewardProgram, parse_program
from rewardsmith.contract.state_reads import find_state_parameters, find_state_reads
from rewardsmith.contract.text import suggest_names
from rewardsmith.search.steps.critic.language_checks import LANGUAGE_CHECKS
from rewardsmith.search.steps.critic.parsed_text import (
    ParsedText,
    find_changed_object,
    find_root_name,
    is_attribute_of,
    is_dunder,
)


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

    # The language, then the contract's names; on one line the findings stand in this order.
    text = ParsedText(python_ast.parse_module(source), program)
    for check in (*LANGUAGE_CHECKS, _check_states, _check_memory, _check_weights):
        findings += check(text)
    findings += _find_unknown_signals(text, [signal.name for signal in signals])
    findings += _check_observation(text, signals)
    return program, limit_findings(sorted(findings, key=lambda finding: finding.line or 0))


def _find_unknown_signals(text: ParsedText, known: Sequence[str]) -> Iterator[Finding]:
    """Find signals that the environment does not have, each once for each state."""
    lines: dict[tuple[str, str], int] = {}
    for node, state in find_state_reads(text.tree):
        if node.attr not in known and not is_dunder(node.attr):
            lines.setdefault((state, node.attr), node.lineno)

    # The nearest name costs time: it is looked for where it will be read.
    first_unknown = sorted(lines.items(), key=lambda item: item[1])
    for (state, name), line in first_unknown[:MAX_PER_CODE]:
        message = f"{state}.{name}: there is no signal {name!r}; {suggest_names(name, known)}"
        yield Finding("unknown-signal", message, line=line)
    if len(first_unknown) > MAX_PER_CODE:
        yield count_others("unknown-signal", len(first_unknown) - MAX_PER_CODE, first_unknown[MAX_PER_CODE - 1][1])


def _check_observation(text: ParsedText, signals: Sequence[Signal]) -> Iterator[Finding]:
    """Find a signal in OBSERVATION that no policy can observe."""
    fault = find_observation_fault(text.program.observation, signals) if text.program else None
    if fault:
        lines = [node.lineno for node in text.nodes if isinstance(node, ast.Name) and node.id == DECLARATION]
        yield Finding("observation", f"{DECLARATION}: {fault}", line=max(lines, default=None))


def _check_states(text: ParsedText) -> Iterator[Finding]:
    """Find states used in other ways than reading a signal, arguments not taken, and writes to inputs."""
    for node in text.nodes:
        if isinstance(node, ast.Name) and node.id in ARGUMENTS:
            yield from _check_argument(text, node)
        elif _writes_input(text, node):
            line = getattr(node, "lineno", None)
            message = "before, action, after, terminated and start are read-only: make a new array"
            yield Finding("changes-input", message, line=line)
    yield from _check_state_parameters(text)


def _check_state_parameters(text: ParsedText) -> Iterator[Finding]:
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


def _check_argument(text: ParsedText, node: ast.Name) -> Iterator[Finding]:
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


def _reads_signal(text: ParsedText, node: ast.Name) -> bool:
    """Return whether a state is used before a dot, or passed to a function of the program."""
    parent = text.find_parent(node)
    if isinstance(parent, ast.keyword):
        parent = text.find_parent(parent)
        return isinstance(parent, ast.Call) and _is_own_call(text, parent)
    if isinstance(parent, ast.Attribute):
        return True
    return isinstance(parent, ast.Call) and node is not parent.func and _is_own_call(text, parent)


def _is_own_call(text: ParsedText, call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in text.functions


def _writes_input(text: ParsedText, node: ast.AST) -> bool:
    """Return whether a node changes one of the arrays that the program is given."""
    # A program that does not take `terminated` may have a variable of this name.
    takes_ends = text.program is not None and "terminated" in text.program.arguments
    arrays = ("action", "terminated") if takes_ends else ("action",)
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return node.target.id in arrays
    changed = find_changed_object(node) if isinstance(node, ast.Subscript | ast.Attribute) else None
    return changed is not None and find_root_name(changed) in (*STATES, *arrays)


def _check_memory(text: ParsedText) -> Iterator[Finding]:
    """Find names of the memory that are not declared."""
    if text.program is None or "memory" not in text.program.arguments:
        return
    declared = list(text.program.memory)
    if not declared:
        message = "reward() takes `memory`, but none is declared; write MEMORY = {'best': 0.0} at the top level"
        yield Finding("memory-undeclared", message, line=text.functions["reward"].lineno)
        return
    for node in text.nodes:
        if isinstance(node, ast.Attribute) and is_attribute_of(node, ("memory",)):
            if node.attr not in declared and not is_dunder(node.attr):
                message = f"memory.{node.attr} is not declared in MEMORY; {suggest_names(node.attr, declared)}"
                yield Finding("unknown-memory", message, line=node.lineno)


def _check_weights(text: ParsedText) -> Iterator[Finding]:
    """Find weights that would count twice or not at all, and terms that a weight of 0 switches off."""
    for name, weight in (text.program.weights if text.program else {}).items():
        if weight == 0.0:
            message = f"the weight of {name!r} is 0: the term does nothing; drop it or give it a weight"
            yield Finding("weight-zero", message, "warning")
    if "WEIGHTS" in text.globals:
        yield from _find_applied_weights(text)
    else:
        yield from _find_misnamed_weights(text)


def _find_applied_weights(text: ParsedText) -> Iterator[Finding]:
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


def _find_misnamed_weights(text: ParsedText) -> Iterator[Finding]:
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
