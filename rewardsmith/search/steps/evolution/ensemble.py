"""Ensembles: several reward programs joined into one text, which pays what the most cautious of them pays.

A policy that cheats one program seldom cheats several that were written apart from each other; so it is trained on the
worst case over the members, or on their mean less their standard deviation (reward-model ensembles: Coste et al.,
ICLR 2024, arXiv:2310.02743). The joined text keeps the reward contract like any other program and is checked and
sealed like one: each member's functions, constants and memory get the member's id as prefix, and the one term
`ensemble` is computed inside, as a weighted sum over terms could not say "the least of".

Members have different scales. Each one's total is moved and stretched so that random actions earn 0 per step and
the policy that was trained on it earns 1 at the end of its training.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rewardsmith.contract import python_ast, reward_program
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import Candidate, EnsembleRule
from rewardsmith.contract.reward_program import RewardProgram

TERM = "ensemble"
RULES: Mapping[EnsembleRule, str] = {
    "worst": "np.min(members, axis=0)",
    "cautious": "np.mean(members, axis=0) - np.std(members, axis=0)",
}
LEAST_RISE = 0.1
"""A rise from random actions to the trained policy below this part of the total's spread is no scale; the spread is."""


@dataclass(frozen=True)
class MemberScale:
    """Scale on which random actions earn 0 per step and the trained policy earns 1."""

    zero: float
    """The total under random actions."""
    unit: float
    """Rise of the total from random actions to the trained policy; above 0."""


def join_programs(candidates: Sequence[Candidate], rule: EnsembleRule) -> str:
    """Return one program that pays what the members agree on.

    Args:
        candidates: at least two; accepted by the critic and trained.
        rule: how the members' rewards become one.

    Raises:
        ProgramError: if a member cannot be joined with others; it says which and why.
    """
    members = [(candidate.id, candidate, candidate.program) for candidate in candidates]
    ids = [id for id, _, _ in members]

    # Top of the text: what it pays, its one term, and the memory of all members.
    description = "The least of" if rule == "worst" else "The mean less the standard deviation of"
    lines = [f'"""{description} {", ".join(ids)}, each on its own scale."""', "", f'WEIGHTS = {{"{TERM}": 1.0}}']
    observation = _join_observations([program for _, _, program in members])
    if observation:
        lines.append(f"OBSERVATION = {observation!r}")
    memory = {f"{id}_{name}": start for id, _, program in members for name, start in program.memory.items()}
    if memory:
        lines.append(f"MEMORY = {memory!r}")

    # Each member's functions and constants, under prefixed names.
    for id, _, program in members:
        lines.append(f"\n\n# {id}\n\n{_prefix_names(id, program)}")

    # The reward: every member's total on its own scale, and the rule over them.
    arguments = [
        name for name in reward_program.ARGUMENTS if any(name in program.arguments for _, _, program in members)
    ]
    lines += ["", "", f"def reward({', '.join(arguments)}):"]
    for _, candidate, program in members:
        lines += _total_lines(candidate, program)
    lines += [f"    members = np.stack([{', '.join(ids)}])", f'    return {{"{TERM}": {RULES[rule]}}}', ""]
    return "\n".join(lines)


def _join_observations(programs: Sequence[RewardProgram]) -> list[str]:
    """Return the signals that one of the members' policies observes; none if a member has the environment's vector."""
    if not all(program.observation for program in programs):
        return []
    return list(dict.fromkeys(name for program in programs for name in program.observation))


def fit_scale(candidate: Candidate, program: RewardProgram) -> MemberScale:
    """Return the scale of a member's total, from the critic's trial scoring and from its learning curves.

    Where the policy earned hardly more than random actions do, the total's spread under random actions is the unit.
    """
    # Under random actions: mean and spread of the total.
    terms = candidate.trial_terms
    zero = sum(program.weight(name) * term.mean for name, term in terms.items())
    spread = math.sqrt(sum((program.weight(name) * term.std) ** 2 for name, term in terms.items()))

    # At the end of training: mean of the total over the training seeds.
    final_means = [training.curve[-1].terms for training in candidate.trainings if training.curve]
    totals = [sum(program.weight(name) * mean for name, mean in means.items()) for means in final_means if means]
    rise = sum(totals) / len(totals) - zero if totals else 0.0

    is_usable = math.isfinite(rise) and rise > LEAST_RISE * spread
    unit = rise if is_usable else spread
    return MemberScale(zero, unit if math.isfinite(unit) and unit > 0.0 else 1.0)


def _total_lines(candidate: Candidate, program: RewardProgram) -> list[str]:
    """Return the lines that compute a member's total on its own scale."""
    id, scale = candidate.id, fit_scale(candidate, program)
    names = list(candidate.trial_terms) or list(program.weights)
    if not names:
        raise ProgramError(f"{id} cannot join an ensemble: its terms are not known")
    total = " + ".join(f"{program.weight(name)!r} * {id}_terms[{name!r}]" for name in names)
    scaled = f"({total} - {scale.zero:.6g}) / {scale.unit:.6g}".replace("- -", "+ ")
    return [f"    {id}_terms = {id}_reward({', '.join(program.arguments)})", f"    {id} = {scaled}"]


# ---------------------------------------------------------------- prefixed names


def _prefix_names(id: str, program: RewardProgram) -> str:
    """Return a member's text without WEIGHTS and MEMORY, its top-level and memory names prefixed with its id.

    Raises:
        ProgramError: if a name cannot be told apart safely.
    """
    refusal = f"{id} cannot join an ensemble"

    # The statements that stay.
    tree = python_ast.parse_module(program.source)
    statements = [
        node
        for node in tree.body
        if not (_is_docstring(node) or reward_program.imports_only_provided(node) or _is_declaration(node))
    ]

    # What prevents a safe renaming: other imports, WEIGHTS as a value, a name that is also an argument.
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            raise ProgramError(f"{refusal}: it imports with {ast.unparse(node)!r}")
    read_names = {node.id for part in statements for node in ast.walk(part) if isinstance(node, ast.Name)}
    if "WEIGHTS" in read_names:
        raise ProgramError(f"{refusal}: its text reads WEIGHTS, which the joined text replaces")
    top_level_names = {name for node in statements for name in python_ast.list_stored_names(node)}
    argument_names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    ambiguous = top_level_names & (argument_names | set(reward_program.ARGUMENTS))
    if ambiguous:
        raise ProgramError(f"{refusal}: {min(ambiguous)!r} is a constant and an argument at once")

    prefixer = _NamePrefixer(id, top_level_names)
    return "\n\n".join(ast.unparse(prefixer.visit(node)) for node in statements)


class _NamePrefixer(ast.NodeTransformer):
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


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_declaration(node: ast.stmt) -> bool:
    """Return whether a statement only declares weights, memory or observation; the joined text has its own."""
    names = python_ast.list_stored_names(node)
    return isinstance(node, ast.Assign | ast.AnnAssign) and names <= set(reward_program.DECLARATIONS)
