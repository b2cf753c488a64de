"""Dialogue about a proposed fitness: shows it with its values, and asks the user to accept it."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import typer

from rewardsmith.cli.console import is_terminal, print_note, print_progress
from rewardsmith.cli.runs import say_how_to_continue
from rewardsmith.contract.text import format_number

if TYPE_CHECKING:
    from rewardsmith.contract.records.fitness import FitnessProposal
    from rewardsmith.search.storage import Run

LABEL_WIDTH = 18
REASON_WIDTH = 78


def settle_fitness(run: Run, yes: bool) -> None:
    """Have the fitness of a run proposed and accepted, if it was begun with `--fitness auto`.

    Args:
        run: the run.
        yes: take the proposal without asking.

    Raises:
        Exit: if the model or the machinery fails; the message says how to go on.
        UserError: if the user can correct what is wrong, or does not accept it.
    """
    from rewardsmith.api import fitness_proposals

    can_ask = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    show = print_progress if yes else print_note

    def accept(proposal: FitnessProposal) -> bool:
        for line in describe_proposal(proposal):
            show(line)
        return yes or typer.confirm("Use it for the whole search?", err=True)

    with say_how_to_continue(f"Resume with: rewardsmith resume {run.path}"):
        fitness_proposals.settle_fitness(run, accept if yes or can_ask else None)


def describe_proposal(proposal: FitnessProposal) -> list[str]:
    """Return the lines that show a proposal: the expression, the reason, and its values where nothing was learnt."""
    from rewardsmith.contract.records.fitness import MOTION_NAMES

    reason = textwrap.wrap(proposal.reason, REASON_WIDTH, initial_indent="  ", subsequent_indent="  ")
    lines = [f"proposed fitness: {proposal.expression}", *reason, "  its value, before anything is learnt:"]
    values = {"random actions": proposal.random}
    values |= {MOTION_NAMES[motion]: value for motion, value in proposal.motions.items()}
    lines += [f"    {name:<{LABEL_WIDTH}}{format_number(value)}" for name, value in values.items()]
    if proposal.is_constant:
        lines.append("  It has the same value in all of them: make sure that it tells a good episode from a bad one.")
    return lines
