"""The view of a planned search (`--dry-run`): what it would do, how long, and what the user should know."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.cli.console import print_json, print_line
from rewardsmith.contract.text import pluralize

if TYPE_CHECKING:
    from rewardsmith.api.planning import SearchPlan
    from rewardsmith.spec.task_cards import Task


def show_plan(
    plan: SearchPlan, json_: bool, out: Path | None, seed_reward: Path | None, designer: str | None = None
) -> None:
    """Show what a search would do, unless it would end before its first call or training.

    Args:
        plan: the search.
        json_: whether to print JSON.
        out: the run directory; None for a new one.
        seed_reward: the user's own program.
        designer: the designer that the user named; None if the settings chose it.

    Raises:
        UserError: if it would end at once.
    """
    from rewardsmith.api.preflight import preflight_check
    from rewardsmith.spec.config import dump_changed_settings

    remarks = preflight_check(plan.task, plan.config, out, seed_reward)
    if json_:
        _print_plan_as_json(plan, remarks)
        return
    for line in (*_describe_task(plan), *_describe_size(plan), *_describe_notes(plan, designer)):
        print_line(line)
    changed = dump_changed_settings(plan.config)
    print_line(f"\nSettings that are not the defaults:\n\n{changed}" if changed else "\nAll settings are the defaults.")
    for remark in remarks:
        print_line(f"Note: {remark}.")
    print_line("Dry run: no model calls, no training.")


def list_setting_notes(plan: SearchPlan, designer: str | None) -> Iterator[str]:
    """Yield what the user may not expect of the settings: an endpoint that is not used, settings without effect.

    Args:
        plan: the search.
        designer: the designer that the user named; None if the settings chose it.
    """
    from rewardsmith.llm.endpoint import URL_VARIABLE

    if plan.config.search.designer == "symbolic" and not designer and URL_VARIABLE in os.environ:
        yield f"{URL_VARIABLE} is set, but no --model is given, so the symbolic designer is used"
    if idle := plan.config.idle_settings:
        named = " and ".join(idle)
        yield f"{named}: no effect, because this search has one generation; --generations 3 gives it three"


def _print_plan_as_json(plan: SearchPlan, remarks: Sequence[str]) -> None:
    from rewardsmith.contract import records
    from rewardsmith.spec.labelling import describe_label_costs
    from rewardsmith.spec.task_warnings import task_warnings

    shown = {
        "task": records.dump(plan.task),
        "config": plan.config.model_dump(mode="json"),
        "trainings": plan.trainings,
        "env_steps": plan.env_steps,
        "calls": plan.calls,
    }
    if plan.task.env.learned_signals:
        shown["labels"] = list(describe_label_costs(plan.task.env))
    print_json(shown | {"remarks": [*task_warnings(plan.task), *remarks]})


def _describe_task(plan: SearchPlan) -> Iterator[str]:
    """Yield the lines about the task: sentence, environment, fitness, metrics, behaviour."""
    task = plan.task
    yield f"Task       {task.heading}"
    yield f"On         {task.env.env_id}, fitness {_describe_fitness(plan)}"
    if task.env.kwargs:
        yield f"           made with {task.env.kwargs}"
    for metric in task.metrics:
        yield f"           metric {metric.name} = {metric.expression}"
    for one in task.behaviour:
        yield f"           behaviour {one.name} = {one.expression}, {one.bins} parts of {one.low:g} to {one.high:g}"
    if plan.config.search.strategy == "map-elites" and not task.behaviour:
        yield "           behaviour: the model proposes it before the first generation"


def _describe_fitness(plan: SearchPlan) -> str:
    from rewardsmith.contract.fitness.judged import describe_fitness_source
    from rewardsmith.contract.records.fitness import AUTO_FITNESS

    if plan.task.fitness == AUTO_FITNESS:
        return "auto: the model proposes it, and nothing is trained before your yes"
    return describe_fitness_source(plan.config.name_fitness(plan.task.fitness))


def _describe_size(plan: SearchPlan) -> Iterator[str]:
    """Yield the lines about the size of a search: programs, trainings, time, calls."""
    from rewardsmith.api.plan_size import describe_size
    from rewardsmith.spec.labelling import describe_label_costs

    size = describe_size(plan)
    yield f"Designer   {size.designer}"
    yield f"Trainings  {size.trainings}"
    yield f"           {_describe_trainings(plan)}"
    yield from _describe_stages(plan.task)
    yield f"Time       {size.time}"
    yield f"Calls      {size.calls}"
    for line in describe_label_costs(plan.task.env):
        yield f"Labels     {line}"


def _describe_trainings(plan: SearchPlan) -> str:
    """Say what the trainings of a search are for."""
    search = plan.config.search
    in_generations = search.population * search.generations * search.seeds
    parts = [f"{in_generations:,} of new programs"]
    if search.finalist_trainings:
        parts.append(f"{search.finalist_trainings:,} that choose between the best of them")
    in_report = search.trainings - in_generations - search.finalist_trainings
    parts.append(f"{in_report:,} of the report" if in_report else "none of a report")
    if in_stages := plan.trainings - search.trainings:
        parts.append(f"{in_stages:,} of the stages before")
    return ", ".join(parts)


def _describe_stages(task: Task) -> Iterator[str]:
    """Yield a line for each stage that the card lists before the task; its trainings are among those of the plan."""
    for number, stage in enumerate(task.stages, start=1):
        yield f"Stage {number}    {stage.text} ({pluralize(stage.env_steps, 'step')} a training)"


def _describe_notes(plan: SearchPlan, designer: str | None) -> Iterator[str]:
    """Yield what the user should know about the designer and the task."""
    from rewardsmith.search.setup import SYMBOLIC_NOTICE
    from rewardsmith.spec.task_warnings import task_warnings

    if plan.config.search.designer == "symbolic":
        yield f"Note: {SYMBOLIC_NOTICE}."
    for note in (*list_setting_notes(plan, designer), *task_warnings(plan.task)):
        yield f"Note: {note}."
