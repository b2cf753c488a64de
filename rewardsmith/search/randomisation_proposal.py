"""Proposal of domain randomisation for a robot: what the best policy withstands is measured, and a model chooses in it.

After DrEureka (Ma et al. 2024, arXiv:2406.01967): the reward-aware physics prior is, for each parameter, the range in
which the policy still performs; the model chooses the ranges of the next training within it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import EnvSpec, EvaluateJob, JsonValue, Probe
from rewardsmith.contract.records.randomisation import ParameterSweep, RandomisationPrior, RandomisationProposal
from rewardsmith.contract.text import format_number
from rewardsmith.executors.base import Executor
from rewardsmith.llm import LanguageModel, prompts
from rewardsmith.llm.structured_output import AnswerForm, request_form
from rewardsmith.search.concurrency import results_or_raise, run_in_threads
from rewardsmith.search.proposal_material import REASON_CHARS
from rewardsmith.spec.task_cards import Task

ROLE = "randomisation"
EPISODES = 8
"""Episodes for each value."""
KEPT_SHARE = 0.75
"""Share of the policy's gain over random actions that has to be left where it still performs."""


@dataclass(frozen=True)
class DrawnParameter:
    """A parameter that domain randomisation may draw."""

    meaning: str
    model_value: float
    """Value with which the model is as it is."""
    above: tuple[float, ...]
    """Values above the model's that are tried, the nearest first, up to the first with which a policy fails."""
    below: tuple[float, ...] = ()
    """The same below it."""
    is_whole: bool = False
    needs_free_root: bool = False


PARAMETERS: Final = {
    "friction": DrawnParameter(
        "factor on the sliding friction of everything", 1.0, (1.2, 1.5, 2.0, 3.0), (0.85, 0.7, 0.5, 0.35, 0.2, 0.1)
    ),
    "mass": DrawnParameter(
        "factor on the masses of the robot's bodies", 1.0, (1.1, 1.2, 1.35, 1.5, 2.0), (0.9, 0.8, 0.7, 0.6, 0.5)
    ),
    "motor_strength": DrawnParameter(
        "factor on the forces of the actuators", 1.0, (1.1, 1.25, 1.5, 2.0), (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
    ),
    "latency": DrawnParameter(
        "control steps after which an action takes effect, whole numbers", 0.0, (1.0, 2.0, 3.0, 4.0, 6.0), is_whole=True
    ),
    "pushes": DrawnParameter(
        "change of the main body's horizontal velocity in m/s, every 2 s, in a random direction",
        0.0,
        (0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
        needs_free_root=True,
    ),
}
"""The ranges of `contract.robots.options.Randomisation`, by name."""


class RangesAnswer(AnswerForm):
    """The model's answer: a range for each parameter, or null for one that stays as in the model."""

    friction: list[float] | None = None
    mass: list[float] | None = None
    motor_strength: list[float] | None = None
    latency: list[float] | None = None
    pushes: list[float] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=4000)]

    def list_ranges(self) -> dict[str, list[float]]:
        """Return the ranges that are not null."""
        named = {name: getattr(self, name) for name in PARAMETERS}
        return {name: pair for name, pair in named.items() if pair is not None}


def measure_prior(job: EvaluateJob, owner: str, executor: Executor, probe: Probe, out: Path) -> RandomisationPrior:
    """Measure in which range of each parameter a policy still performs.

    Args:
        job: an evaluation of the policy.
        owner: whose policy it is.
        executor: where the episodes run.
        probe: of the robot; one with a fixed base is not pushed.
        out: folder for the episodes.

    Raises:
        RunError: if the policy is no better than random actions, or an evaluation of the model as it is fails.
    """
    job = replace(job, seeds=job.seeds[:EPISODES], record=(), metrics={})
    plain = _measure(job, {}, executor, out / "model")
    random = _measure(replace(job, policy=None), {}, executor, out / "random")
    if plain is None or random is None or plain <= random:
        raise RunError(
            f"the policy of {owner!r} comes to {format_number(plain)} and random actions to {format_number(random)}, so"
            " there is nothing that it could keep; train a better one first"
        )
    floor = random + KEPT_SHARE * (plain - random)
    has_free_root = any(signal.name == "forward_velocity" for signal in probe.signals)
    drawn = {name: entry for name, entry in PARAMETERS.items() if has_free_root or not entry.needs_free_root}
    sides = [(name, tried) for name, entry in drawn.items() for tried in (entry.below, entry.above)]

    def measure_side(side: tuple[str, tuple[float, ...]]) -> dict[float, float | None]:
        """Return the fitness by value, from the nearest to the model on to the first that fails."""
        name, tried = side
        found: dict[float, float | None] = {}
        for value in tried:
            number = int(value) if PARAMETERS[name].is_whole else value
            fitness = _measure(job, {name: [number, number]}, executor, out / f"{name}-{value:g}")
            found[value] = fitness
            if fitness is None or fitness < floor:
                break
        return found

    measured = dict(zip(sides, results_or_raise(run_in_threads(measure_side, sides)), strict=True))
    sweeps: dict[str, ParameterSweep] = {}
    for name, entry in drawn.items():
        values = measured[name, entry.below] | {entry.model_value: plain} | measured[name, entry.above]
        performing = [value for value, fitness in values.items() if fitness is not None and fitness >= floor]
        texts = {format_number(value): values[value] for value in sorted(values)}
        sweeps[name] = ParameterSweep(min(performing), max(performing), texts)
    return RandomisationPrior(owner, plain, random, floor, sweeps)


def propose_ranges(
    task: Task, probe: Probe, program: str, prior: RandomisationPrior, model: LanguageModel
) -> RandomisationProposal:
    """Have a model choose the ranges of a training within a prior.

    Args:
        task: what the robot should do.
        probe: of the robot.
        program: text of the reward program that trained the policy; "" for the environment's own reward.
        prior: what the policy withstands.
        model: the designer's.

    Raises:
        ModelRefused: if it gives no usable answer.
        ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
    """
    system = prompts.render_prompt("randomisation/system")
    question = prompts.render_prompt(
        "randomisation/ask",
        task=task.text,
        environment=task.env_about or probe.about,
        program=program or None,
        fitness=format_number(prior.fitness),
        random=format_number(prior.random),
        floor=format_number(prior.floor),
        rows=[
            (name, PARAMETERS[name].meaning, format_number(sweep.low), format_number(sweep.high), _spell_values(sweep))
            for name, sweep in prior.sweeps.items()
        ],
    )
    check = partial(_find_fault, prior)
    answer = request_form(model, system, question, RangesAnswer, role=ROLE, sample=0, check=check)
    ranges = {name: (low, high) for name, (low, high) in answer.list_ranges().items()}
    return RandomisationProposal(ranges, prompts.to_one_line(answer.reason, REASON_CHARS), model.name)


def list_ranges(prior: RandomisationPrior, proposal: RandomisationProposal | None) -> dict[str, tuple[float, float]]:
    """Return the ranges for a card: those proposed, else all of the prior that is not a point."""
    if proposal is not None:
        return proposal.ranges
    return {name: (sweep.low, sweep.high) for name, sweep in prior.sweeps.items() if sweep.low < sweep.high}


def render_section(ranges: dict[str, tuple[float, float]]) -> str:
    r"""Return the section of a card.

    >>> render_section({"friction": (0.5, 1.25), "latency": (0.0, 2.0)})
    '[randomisation]\nfriction = [0.5, 1.25]\nlatency = [0, 2]'
    """
    lines = [f"{name} = [{', '.join(_spell_number(name, end) for end in pair)}]" for name, pair in ranges.items()]
    return "\n".join(["[randomisation]", *lines])


def _spell_number(name: str, value: float) -> str:
    return str(int(value) if PARAMETERS[name].is_whole else float(value))


def _measure(job: EvaluateJob, drawn: dict[str, JsonValue], executor: Executor, out: Path) -> float | None:
    """Return the mean fitness where one parameter has one value; None where the evaluation failed."""
    evaluation = executor.run(replace(job, env=_set_randomisation(job.env, drawn)), out)
    return evaluation.fitness if evaluation.status == "ok" else None


def _set_randomisation(env: EnvSpec, drawn: dict[str, JsonValue]) -> EnvSpec:
    kwargs = {key: value for key, value in env.kwargs.items() if key != "randomisation"}
    return replace(env, kwargs={**kwargs, "randomisation": {**drawn, "evaluation": True}} if drawn else kwargs)


def _spell_values(sweep: ParameterSweep) -> str:
    return ", ".join(
        f"{value}: {'failed' if fitness is None else format_number(fitness)}" for value, fitness in sweep.values.items()
    )


def _find_fault(prior: RandomisationPrior, answer: RangesAnswer) -> str | None:
    """Return why ranges cannot be used; None if they can."""
    ranges = answer.list_ranges()
    if not ranges:
        return "no parameter has a range"
    for name, pair in ranges.items():
        sweep = prior.sweeps.get(name)
        if sweep is None:
            return f"{name} does not apply to this robot; give null"
        if len(pair) != 2 or not pair[0] <= pair[1]:
            return f"{name} = {pair}: a range is two numbers, the lower one first"
        if pair[0] < sweep.low or pair[1] > sweep.high:
            return f"{name} = {pair} leaves the measured range, {sweep.low:g} to {sweep.high:g}"
        if PARAMETERS[name].is_whole and any(end != int(end) for end in pair):
            return f"{name} = {pair}: whole numbers of control steps"
    return None
