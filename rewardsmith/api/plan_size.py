"""The size of a planned search in words: programs, trainings, time, calls."""

from __future__ import annotations

from dataclasses import dataclass

from rewardsmith.api.planning import SearchPlan
from rewardsmith.api.speed import describe_time, measure_training_speed
from rewardsmith.contract.text import pluralize
from rewardsmith.executors import slots_for


@dataclass(frozen=True)
class PlanSize:
    """The size of a search before it starts, each part in a line."""

    designer: str
    trainings: str
    time: str
    calls: str


def describe_size(plan: SearchPlan) -> PlanSize:
    """Return the size of a planned search; its time is by the speed of this machine."""
    search, slots = plan.config.search, slots_for(plan.config)
    model = f" ({plan.config.llm.model})" if search.designer == "llm" and plan.config.llm.model else ""
    programs = f"{pluralize(search.population, 'program')} × {pluralize(search.generations, 'generation')}"
    steps = pluralize(search.env_steps, "environment step")
    speed = measure_training_speed(plan.task.env.env_id)
    return PlanSize(
        designer=f"{search.designer}{model}: {programs}",
        trainings=f"{plan.trainings:,} of {steps}, {slots} at the same time",
        time=describe_time(plan.trainings, search.env_steps, slots, speed),
        calls=f"{plan.calls:,} of the language model, and one per repair" if plan.calls else "none",
    )
