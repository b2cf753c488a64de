"""Several reward programs joined into one text, which pays what the most doubting of them pays.

A policy that cheats one program seldom cheats several that were written apart from each other; so it is trained on the
worst case over the members, or on their mean less their standard deviation (reward-model ensembles: Coste et al.,
ICLR 2024, arXiv:2310.02743). The joined text keeps the reward contract like any other program and is checked and
sealed like one: each member's functions, constants and memory get a name of its own, and the one term `ensemble` is
computed inside, as a weighted sum over terms could not say "the least of".

Members have scales of their own. Each one's total is moved and stretched so that random actions earn 0 per step and
the policy that was trained on it earns 1 at the end of its training.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rewardsmith.contract import python_ast, reward_program
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import Candidate, Rule
from rewardsmith.contract.reward_program import RewardProgram

TERM = "ensemble"
RULES: Mapping[Rule, str] = {
    "worst": "np.min(members, axis=0)",
    "cautious": "np.mean(members, axis=0) - np.std(members, axis=0)",
}
GIVEN = {"numpy": "np", "math": "math", "shaping": "shaping", "rewardsmith.shaping": "shaping"}
"""Modules that every program has; an import of one under this name can be left out."""
LEAST_RISE = 0.1
"""A rise from random actions to the trained policy below this part of the total's spread is no scale; the spread is."""


@dataclass(frozen=True)
class Scale:
    """What brings a member's total per step to its own 0 and 1."""

    zero: float
    """The total under random actions."""
    unit: float
    """How much more the trained policy earns; above 0."""


def join(candidates: Sequence[Candidate], rule: Rule) -> str:
    """Return one program that pays what the members agree on.

    Args:
        candidates: at least two; accepted by the critic and trained.
        rule: how their figures become one.

    Raises:
        ProgramError: if a member cannot be joined with others; it says which and why.
    """
    members = [(candidate, reward_program.parse(candidate.proposal.source)) for candidate in candidates]
    parts = [_renamed(candidate.id, parsed) for candidate, parsed in members]
    memory = {f"{c.id}_{name}": start for c, parsed in members for name, start in parsed.memory.items()}
    taken = [name for name in reward_program.ARGUMENTS if any(name in parsed.arguments for _, parsed in members)]
    what = "the least of" if rule == "worst" else "the mean less the standard deviation of"
    return "\n".join(
        [
            f'"""{what.capitalize()} {", ".join(candidate.id for candidate in candidates)}, each on its own scale."""',
            "",
            f'WEIGHTS = {{"{TERM}": 1.0}}',
            *([f"MEMORY = {memory!r}"] if memory else []),
            *(f"\n\n# {candidate.id}\n\n{part}" for candidate, part in zip(candidates, parts, strict=True)),
            "",
            "",
            f"def reward({', '.join(taken)}):",
            *(line for candidate, parsed in members for line in _total(candidate, parsed)),
            f"    members = np.stack([{', '.join(candidate.id for candidate in candidates)}])",
            f'    return {{"{TERM}": {RULES[rule]}}}',
            "",
        ]
    )


def scale(candidate: Candidate, weights: RewardProgram) -> Scale:
    """Return the scale of a member's total, from the critic's dry run and from its learning curves.

    Where the policy earned hardly more than random actions do, the total's spread under random actions is the unit.
    """
    dry_run = candidate.verdict.dry_run if candidate.verdict else None
    terms = dry_run.terms if dry_run else ()
    zero = sum(weights.weight(term.name) * term.mean for term in terms)
    spread = math.sqrt(sum((weights.weight(term.name) * term.std) ** 2 for term in terms))
    last = [training.curve[-1].terms for training in candidate.trainings if training.curve]
    totals = [sum(weights.weight(name) * mean for name, mean in means.items()) for means in last if means]
    rise = sum(totals) / len(totals) - zero if totals else 0.0
    usable = math.isfinite(rise) and rise > LEAST_RISE * spread
    unit = rise if usable else spread
    return Scale(zero, unit if math.isfinite(unit) and unit > 0.0 else 1.0)


def _total(candidate: Candidate, parsed: RewardProgram) -> list[str]:
    """Return the lines that compute a member's total on its own scale."""
    own, id = scale(candidate, parsed), candidate.id
    dry_run = candidate.verdict.dry_run if candidate.verdict else None
    names = [term.name for term in dry_run.terms] if dry_run else list(parsed.weights)
    if not names:
        raise ProgramError(f"{id} cannot join an ensemble: its terms are not known")
    total = " + ".join(f"{parsed.weight(name)!r} * {id}_terms[{name!r}]" for name in names)
    return [
        f"    {id}_terms = {id}_reward({', '.join(parsed.arguments)})",
        f"    {id} = ({total} - {own.zero:.6g}) / {own.unit:.6g}".replace("- -", "+ "),
    ]


# ---------------------------------------------------------------- names of their own


def _renamed(id: str, parsed: RewardProgram) -> str:
    """Return a member's text with its top-level names and its memory under names of their own, less WEIGHTS and MEMORY.

    Raises:
        ProgramError: if a name cannot be told apart safely.
    """
    tree = python_ast.module(parsed.source)
    body = [node for node in tree.body if not (_is_docstring(node) or _is_given(node) or _is_declaration(node))]
    strange = next((node for node in body if isinstance(node, ast.Import | ast.ImportFrom)), None)
    if strange is not None:
        raise ProgramError(f"{id} cannot join an ensemble: it imports with {ast.unparse(strange)!r}")
    names = {name for node in body for name in _bound(node)}
    if any(isinstance(node, ast.Name) and node.id == "WEIGHTS" for part in body for node in ast.walk(part)):
        raise ProgramError(f"{id} cannot join an ensemble: its text reads WEIGHTS, which the joined text replaces")
    shadowed = names & (
        {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)} | set(reward_program.ARGUMENTS)
    )
    if shadowed:
        raise ProgramError(f"{id} cannot join an ensemble: {min(shadowed)!r} is a constant and an argument at once")
    named = _Namespace(id, names)
    return "\n\n".join(ast.unparse(named.visit(node)) for node in body)


class _Namespace(ast.NodeTransformer):
    """Puts a member's id before its top-level names, wherever they stand, and before its memory's names."""

    def __init__(self, id: str, names: set[str]) -> None:
        self._id, self._names = id, names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id in self._names:
            node.id = f"{self._id}_{node.id}"
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name in self._names:
            node.name = f"{self._id}_{node.name}"
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "memory":
            node.attr = f"{self._id}_{node.attr}"
        return self.generic_visit(node)


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a top-level statement binds."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_given(node: ast.stmt) -> bool:
    """Return whether a statement imports only what every program has anyway, or a feature of the parser."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.Import) and all(
        GIVEN.get(alias.name) == (alias.asname or alias.name) for alias in node.names
    )


def _is_declaration(node: ast.stmt) -> bool:
    """Return whether a statement only declares weights or memory; the joined text has its own."""
    return isinstance(node, ast.Assign | ast.AnnAssign) and _bound(node) <= {"WEIGHTS", "MEMORY"}
