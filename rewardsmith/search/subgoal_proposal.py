"""Proposal of subgoals: the designer's model splits the task once, before anything else is done in a run.

Each subgoal has a condition over signals, in our own language: it is interpreted, so that nothing has to be sealed.
They are tried on the starts of random actions' episodes; from then on they are the signal's options.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

from pydantic import Field

from rewardsmith.contract.errors import ModelRefused, TaskError
from rewardsmith.contract.fitness.state_condition import StateCondition
from rewardsmith.contract.learned_signals import SubgoalOptions, read_options
from rewardsmith.contract.records import LearnedSignal, Probe, ProbeJob, Subgoal, SubgoalProposal
from rewardsmith.executors.base import Executor
from rewardsmith.llm import LanguageModel, ModelPool, prompts
from rewardsmith.llm.structured_output import AnswerForm, request_form
from rewardsmith.sandbox.recorded import TransitionFile
from rewardsmith.search.probe import PROBE_TRANSITIONS
from rewardsmith.search.proposal_material import REASON_CHARS, describe_task
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.storage.journal_keys import subgoals_key
from rewardsmith.spec import subgoals

ROLE = "subgoals"


class SubgoalLine(AnswerForm):
    """A subgoal in the model's answer."""

    text: Annotated[str, Field(min_length=1, max_length=300)]
    condition: Annotated[str, Field(min_length=1, max_length=500)]


class SubgoalAnswer(AnswerForm):
    """The model's answer."""

    subgoals: list[SubgoalLine] | None
    reason: Annotated[str, Field(min_length=1, max_length=4000)]


def settle_subgoals(
    run: Run, journal: Journal, executor: Executor, models: ModelPool | None, notify: Callable[[str], None]
) -> None:
    """Have the subgoals written that are still open, and put them into the run's task.

    Args:
        run: the run.
        journal: of the run, open for writing.
        executor: where random actions are recorded.
        models: with the designer's; needed where subgoals are open.
        notify: receives the subgoals as a notice.

    Raises:
        ModelRefused: if the model gives no usable answer, or finds that the signals do not show the steps.
        ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
        TaskError: if the environment cannot be made.
    """
    for signal in subgoals.list_open_signals(run.task.env):
        assert models is not None  # the designer is one of the roles where subgoals are open
        propose = partial(_propose_subgoals, run, executor, models.for_role("designer"), signal)
        proposal = journal.once(subgoals_key(signal.name), SubgoalProposal, propose)
        env = subgoals.write_subgoals(run.task.env, signal.name, proposal.subgoals)
        run.write_task(replace(run.task, env=env))
        for number, one in enumerate(proposal.subgoals, start=1):
            notify(f"{signal.name}, subgoal {number}: {one.text}: {one.condition}")
        notify(f"{proposal.model} wrote these subgoals: {proposal.reason}")


def _propose_subgoals(run: Run, executor: Executor, model: LanguageModel, signal: LearnedSignal) -> SubgoalProposal:
    """Ask for the subgoals of a signal; see `settle_subgoals` for what it raises."""
    probe, file = _record_random_actions(run, executor)
    options = read_options(SubgoalOptions, signal)
    system = prompts.render_prompt("subgoals/system", most=options.most)
    values = describe_task(run, probe, len(run.task.env.signals)) | {"task": options.goal or run.task.text}
    question = prompts.render_prompt("subgoals/ask", **values)
    check = partial(_find_fault, probe, file, options)
    answer = request_form(model, system, question, SubgoalAnswer, role=ROLE, sample=0, check=check)
    reason = prompts.to_one_line(answer.reason, REASON_CHARS)
    if answer.subgoals is None:
        raise ModelRefused(
            f"{model.name} finds that the signals do not show the steps of this task: {reason} List them yourself"
            f" ({subgoals.LISTED}), or leave the signal {signal.name!r} out"
        )
    return SubgoalProposal(_read_lines(answer.subgoals), reason, model.name)


def _record_random_actions(run: Run, executor: Executor) -> tuple[Probe, TransitionFile]:
    """Probe the environment without the signals that are open."""
    env = subgoals.drop_open_signals(run.task.env)
    folder = run.layout.subgoals_dir
    probe = executor.run(ProbeJob(env, run.config.search.seed, PROBE_TRANSITIONS), folder)
    if probe.status != "ok":
        raise TaskError(f"the environment {env.env_id!r} cannot be run: {probe.cause}")
    return probe, TransitionFile.in_folder(folder)


def _find_fault(probe: Probe, file: TransitionFile, options: SubgoalOptions, answer: SubgoalAnswer) -> str | None:
    """Return why an answer's subgoals cannot be used; None if they can."""
    if answer.subgoals is None:
        return None
    written = _read_lines(answer.subgoals)
    if not 1 <= len(written) <= options.most:
        return f"there are {len(written)} subgoals; 1 to {options.most} are allowed"
    for number, one in enumerate(written, start=1):
        try:
            condition = StateCondition(one.condition, f"the condition of subgoal {number},")
            condition.try_on([signal for signal in probe.signals if not signal.is_learned])
        except TaskError as error:
            return str(error)
        if not condition.names:
            return f"the condition of subgoal {number}, {one.condition!r}, reads no signal"
        if condition.compute(file.read_signals("start", condition.names)).all():
            return f"subgoal {number}, {one.text!r}, holds at the start of every episode: nothing has to be done for it"
    return None


def _read_lines(lines: list[SubgoalLine]) -> tuple[Subgoal, ...]:
    return tuple(Subgoal(" ".join(line.text.split()), " ".join(line.condition.split())) for line in lines)
