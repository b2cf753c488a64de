"""Proposal of behaviour descriptors: the designer's model writes them for a task that has none, once in a run.

They are tried on random actions and scripted motions before they are taken. From then on they are the task's, as if its
card had them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

from pydantic import Field

from rewardsmith.contract.errors import ConfigError, FitnessError, ModelRefused, TaskError
from rewardsmith.contract.records import BehaviourDescriptor, BehaviourProposal, Probe
from rewardsmith.contract.text import format_number
from rewardsmith.executors.base import Executor
from rewardsmith.llm import LanguageModel, ModelPool, prompts
from rewardsmith.llm.structured_output import AnswerForm, request_form
from rewardsmith.search.fitness_proposal import describe_language
from rewardsmith.search.proposal_material import REASON_CHARS, describe_task, measure_motions
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.storage.journal_keys import BEHAVIOUR_KEY
from rewardsmith.spec.behaviour import FORM, MAX_DESCRIPTORS, check_descriptor_signals, check_descriptors
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import Task

ROLE = "behaviour"
SUGGESTED_BINS = (4, 10)
"""Least and largest number of parts that the prompt suggests for a descriptor."""

Measured = dict[str, list[float]]
"""Descriptor name to its means: under random actions, then under each scripted motion."""


class DescriptorAnswer(AnswerForm):
    """A descriptor in the model's answer."""

    name: Annotated[str, Field(max_length=60)]
    expression: Annotated[str, Field(max_length=2000)]
    low: float
    high: float
    bins: int


class BehaviourAnswer(AnswerForm):
    """The model's answer."""

    descriptors: Annotated[list[DescriptorAnswer], Field(min_length=1, max_length=MAX_DESCRIPTORS)]
    reason: Annotated[str, Field(min_length=1, max_length=4000)]

    def build_descriptors(self) -> tuple[BehaviourDescriptor, ...]:
        """Return the descriptors, each expression on one line."""
        return tuple(
            BehaviourDescriptor(one.name, " ".join(one.expression.split()), one.low, one.high, one.bins)
            for one in self.descriptors
        )


def needs_proposal(task: Task, config: Config) -> bool:
    """Return whether a search has to ask a model for descriptors.

    Raises:
        ConfigError: if it has to and no model is there to be asked.
    """
    if config.search.strategy != "map-elites" or task.behaviour:
        return False
    if config.search.designer != "llm":
        raise ConfigError(
            f"search.strategy = 'map-elites' needs behaviour descriptors, which the designer {config.search.designer!r}"
            f" cannot propose: give one or two as --behaviour {FORM}, or write [behaviour] into the task's card"
        )
    return True


def settle_behaviour(
    run: Run,
    journal: Journal,
    executor: Executor,
    models: ModelPool | None,
    probe: Probe,
    notify: Callable[[str], None],
) -> None:
    """Have descriptors proposed for a search that needs some and has none, and write them into the run's task.

    Args:
        run: the run.
        journal: of the run, open for writing.
        executor: where the episodes of random actions and scripted motions run.
        models: with the designer's.
        probe: of the run's environment.
        notify: receives the proposal as a notice.

    Raises:
        ConfigError: if no model is there to be asked.
        ModelRefused: if it gives no usable answer.
        ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
    """
    if not needs_proposal(run.task, run.config):
        return
    assert models is not None  # the designer is one of the roles

    def propose() -> BehaviourProposal:
        return propose_behaviour(run, probe, executor, models.for_role("designer"))

    proposal = journal.once(BEHAVIOUR_KEY, BehaviourProposal, propose)
    run.write_task(replace(run.task, behaviour=proposal.descriptors))
    for one in proposal.descriptors:
        notify(
            f"behaviour {one.name} = {one.expression}, {one.bins} parts from {format_number(one.low)} to "
            f"{format_number(one.high)}; random actions {format_number(proposal.random[one.name])}"
        )
    notify(f"{proposal.model} proposed these descriptors: {proposal.reason}")


def propose_behaviour(run: Run, probe: Probe, executor: Executor, model: LanguageModel) -> BehaviourProposal:
    """Ask for descriptors, and measure them where nothing was learnt; see `settle_behaviour` for what it raises."""
    measured: dict[tuple[BehaviourDescriptor, ...], Measured] = {}
    check = partial(_find_fault, run, probe, executor, measured)
    try:
        system = _render_system(run)
        question = prompts.render_prompt("behaviour/ask", **describe_task(run, probe, len(run.task.env.signals)))
        answer = request_form(model, system, question, BehaviourAnswer, role=ROLE, sample=0, check=check)
    except ModelRefused as error:
        raise ModelRefused(f"{error}; write the descriptors yourself: --behaviour {FORM}") from error
    descriptors = answer.build_descriptors()
    random = {name: values[0] for name, values in measured[descriptors].items()}
    return BehaviourProposal(descriptors, prompts.to_one_line(answer.reason, REASON_CHARS), model.name, random)


def _render_system(run: Run) -> str:
    search, (low, high) = run.config.search, SUGGESTED_BINS
    programs = search.population * search.generations
    return prompts.render_prompt(
        "behaviour/system", language=describe_language(), programs=programs, low=low, high=high
    )


def _find_fault(
    run: Run,
    probe: Probe,
    executor: Executor,
    measured: dict[tuple[BehaviourDescriptor, ...], Measured],
    answer: BehaviourAnswer,
) -> str | None:
    """Return why an answer's descriptors cannot be used; None if they can, with their values in `measured`."""
    descriptors = answer.build_descriptors()
    metrics = {metric.name: metric.expression for metric in run.task.metrics}
    try:
        check_descriptors(descriptors, metrics, "the answer")
        check_descriptor_signals(descriptors, probe.signals, [signal.name for signal in probe.privileged_signals])
    except (FitnessError, TaskError) as error:
        return str(error)

    values: Measured = {descriptor.name: [] for descriptor in descriptors}
    expressions = {descriptor.name: descriptor.expression for descriptor in descriptors}
    for evaluation in measure_motions(run, probe, executor, run.task.fitness, expressions, ROLE).values():
        for name in values:
            value = evaluation.metrics.get(name)
            if value is None:
                return f"behaviour {name!r} has no value in an episode: {evaluation.cause}"
            values[name].append(value)
    for descriptor in descriptors:
        random, *_ = known = values[descriptor.name]
        if len(set(known)) == 1:
            return f"behaviour {descriptor.name!r} is {random:.4g} in every episode, whatever is done"
        if not descriptor.low <= random <= descriptor.high:
            return f"behaviour {descriptor.name!r} is {random:.4g} under random actions, which its range leaves out"
    measured[descriptors] = values
    return None
