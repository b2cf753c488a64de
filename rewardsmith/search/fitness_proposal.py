"""Proposal of a fitness: the designer's model writes an expression for the sentence, and the user says yes or no.

It is asked once in a run: its answer is in the ledger, and what the user accepted in the journal. From then on the
expression is the task's fitness like any other; no program and no prompt of the search shows it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from rewardsmith.contract.errors import ConfigError, FitnessError, ModelRefused
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records import Evaluation, Probe
from rewardsmith.contract.records.fitness import AUTO_FITNESS, MOTIONS, FitnessProposal, Motion
from rewardsmith.executors.base import Executor
from rewardsmith.llm import LanguageModel, prompts
from rewardsmith.llm.structured_output import AnswerForm, request_form
from rewardsmith.search.probe import probe_environment
from rewardsmith.search.proposal_material import REASON_CHARS, describe_task, measure_motions
from rewardsmith.search.steps.designer.signal_table import render_signal_table
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.storage.journal_keys import FITNESS_KEY

ROLE = "fitness"

AcceptFitness = Callable[[FitnessProposal], bool]
"""Shows a proposal to the user, and returns whether it was accepted."""


class FitnessAnswer(AnswerForm):
    """The model's answer."""

    expression: Annotated[str, Field(max_length=2000)] | None
    reason: Annotated[str, Field(min_length=1, max_length=4000)]


def is_settled(run: Run) -> bool:
    """Return whether a run has its fitness; it has none yet where a model is to propose it."""
    return run.task.fitness != AUTO_FITNESS


def settle_fitness(
    run: Run, journal: Journal, executor: Executor, model: LanguageModel, accept: AcceptFitness
) -> FitnessProposal:
    """Have a fitness proposed and accepted, and write it into the run's task.

    Args:
        run: whose fitness is open.
        journal: of the run, open for writing.
        executor: where the episodes of random actions and scripted motions run.
        model: the designer's.
        accept: asks the user; what was accepted earlier is not asked again.

    Raises:
        ConfigError: if the user does not accept it.
        FitnessError: if the model finds that no expression can say what is wanted.
        ModelRefused: if it gives no usable answer.
        ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
        TaskError: if the environment cannot be made.
    """
    proposal = journal.get(FITNESS_KEY, FitnessProposal)
    if proposal is None:
        probe = probe_environment(run, journal, executor)
        proposal = propose_fitness(run, probe, executor, model)
        if not accept(proposal):
            raise ConfigError(
                "the proposed fitness was not accepted, and nothing was trained; write your own with --fitness "
                f"'EXPRESSION', or see it again with `rewardsmith resume {run.path}`, which asks no model"
            )
        journal.append(FITNESS_KEY, proposal)
    run.write_task(replace(run.task, fitness=proposal.expression))
    return proposal


def propose_fitness(run: Run, probe: Probe, executor: Executor, model: LanguageModel) -> FitnessProposal:
    """Ask for a fitness, and measure it where nothing was learnt; see `settle_fitness` for what it raises."""
    measured: dict[str, dict[Motion | None, Evaluation]] = {}
    try:
        check = partial(_find_fault, run, probe, executor, measured)
        system = prompts.render_prompt("fitness/system", language=describe_language())
        answer = request_form(
            model, system, _render_question(run, probe), FitnessAnswer, role=ROLE, sample=0, check=check
        )
    except ModelRefused as error:
        raise ModelRefused(f"{error}; write the --fitness yourself, or let a judge or people compare") from error

    reason = prompts.to_one_line(answer.reason, REASON_CHARS)
    if answer.expression is None:
        raise FitnessError(
            f"{model.name} finds no expression that says this: {reason} Let a model compare the policies with --fitness"
            " judge, or compare them yourself with --fitness people"
        )
    evaluations = measured[answer.expression]
    motions = {motion: _mean_fitness(evaluations[motion]) for motion in MOTIONS}
    expression = " ".join(answer.expression.split())
    return FitnessProposal(expression, reason, model.name, _mean_fitness(evaluations[None]), motions)


def _render_question(run: Run, probe: Probe) -> str:
    env = run.task.env
    privileged_signals = render_signal_table(probe.privileged_signals, 0, run.config.llm.catalogue_tokens)
    return prompts.render_prompt(
        "fitness/ask",
        **describe_task(run, probe, len(env.signals) + len(env.learned_signals)),
        privileged_signals=privileged_signals if probe.privileged_signals else None,
    )


def describe_language() -> str:
    """Return the description of the fitness language: the docstring of its module, without the first line."""
    source = (files("rewardsmith") / "contract/fitness/expression.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(source)) or ""
    return docstring.partition("\n")[2].strip("\n")


def _find_fault(
    run: Run,
    probe: Probe,
    executor: Executor,
    measured: dict[str, dict[Motion | None, Evaluation]],
    answer: FitnessAnswer,
) -> str | None:
    """Return why an answer's expression cannot be the fitness; None if it can, with its values in `measured`."""
    if answer.expression is None:
        return None
    try:
        fitness = Fitness.parse(answer.expression)
        fitness.try_on((*probe.signals, *probe.privileged_signals))
    except FitnessError as error:
        return f"the expression is no fitness: {error.cause}"

    evaluations = measure_motions(run, probe, executor, answer.expression, {}, ROLE)
    failed = next((evaluation for evaluation in evaluations.values() if evaluation.status != "ok"), None)
    if failed is not None:
        return f"the expression has no value in an episode: {failed.cause}"
    measured[answer.expression] = evaluations
    return None


def _mean_fitness(evaluation: Evaluation) -> float:
    assert evaluation.fitness is not None  # an evaluation that is ok has one
    return evaluation.fitness
