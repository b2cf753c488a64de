"""What a search knows: plans, briefs, candidates, feedback, results."""

from __future__ import annotations

from dataclasses import dataclass

from rewardsmith.contract.records.environment import Signal
from rewardsmith.contract.records.jobs import Evaluation, Training
from rewardsmith.contract.records.programs import Gate, Proposal, Verdict
from rewardsmith.contract.records.types import Mode, Rule, Status


@dataclass(frozen=True)
class Assignment:
    """What one slot of a generation is to do, as evolution decided."""

    mode: Mode
    parents: tuple[str, ...] = ()
    """Ids of the candidates to build on, best first."""
    told: tuple[str, ...] | None = None
    """Ids of the candidates that its author hears of; None: of all."""
    given: str | None = None
    """Key of the event that holds the user's program for it, with the mode "user"."""


@dataclass(frozen=True)
class Generation:
    """Evolution's plan for one generation."""

    slots: tuple[Assignment, ...]
    notes: tuple[str, ...] = ()
    """What the user should know about it, a restart for instance."""


@dataclass(frozen=True)
class Example:
    """A reward program that worked for another task, shown to a designer."""

    task: str
    """What the agent should do, in a sentence."""
    env_id: str
    source: str


@dataclass(frozen=True)
class Wish:
    """A term that the user wants to stay, or never to come back."""

    term: str
    expression: str | None = None
    """What it computes, over the contract's arguments; None where its program cannot be taken apart."""
    weight: float = 1.0
    """Its weight in the program where the user saw it."""
    candidate: str | None = None
    """Id of that program; None where the user named none."""


@dataclass(frozen=True)
class Brief:
    """What the author of one slot's program is told."""

    task: str
    """The user's sentence."""
    env_id: str
    env_about: str
    """What the environment is, in a few lines; from its card, or its id."""
    signals: tuple[Signal, ...]
    action: str
    """What an action is, in a line: its shape, bounds and meaning."""
    generation: int
    """From 0."""
    population: int
    seed: int
    """Seed of the search; a designer without a model draws from (seed, generation, slot)."""
    parents: tuple[Candidate, ...] = ()
    """Chosen by evolution, best first, with fitness and feedback; empty in generation 0 and after a restart."""
    history: tuple[Candidate, ...] = ()
    """The candidates so far that the author hears of, oldest first."""
    notes: tuple[str, ...] = ()
    """What the user said."""
    named: int = 0
    """How many of `signals`, from the first, the task's card names; the others were derived."""
    mode: Mode = "refine"
    """What is asked of the author."""
    incumbent: str | None = None
    """Id of the best candidate of the whole search so far; None where it is not told apart from the first parent."""
    pins: tuple[Wish, ...] = ()
    """Terms that every program must have."""
    bans: tuple[Wish, ...] = ()
    """Terms that none may have."""
    given: Proposal | None = None
    """The user's own program, which this slot tries as it is."""


@dataclass(frozen=True)
class Reading:
    """What a language model read in recorded episodes, after its claims were held against the data."""

    causes: tuple[str, ...] = ()
    """What it makes of them, one line each; only those of which a claim holds."""
    suggestions: tuple[str, ...] = ()
    claims: int = 0
    """How many claims about the data it made."""
    dropped: int = 0
    """How many of them do not hold."""
    problem: str | None = None
    """Why there is no reading, if so."""


@dataclass(frozen=True)
class Feedback:
    """What an analysis hands to the next prompt."""

    text: str
    """For the designer, in words and figures."""
    alarms: tuple[str, ...] = ()
    """For the user, one line each."""
    reading: Reading | None = None
    """What a model read in the recorded episodes; None where none was asked."""


@dataclass(frozen=True)
class Candidate:
    """A reward program with everything that is known of it."""

    id: str
    """"g<generation>c<slot>", e.g. "g1c03"."""
    generation: int
    slot: int
    proposal: Proposal
    status: Status
    verdict: Verdict | None = None
    trainings: tuple[Training, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    """One per training, in the same order."""
    fitness: float | None = None
    """Mean over the training seeds of the mean over the selection episodes; a duplicate's is its twin's."""
    feedback: Feedback | None = None
    cause: str | None = None
    """Why it was not trained to its end, unless ok."""
    repairs: int = 0
    """How often it went back to its author."""
    gates: tuple[Gate, ...] = ()
    """The gates that held back a program of this slot, in order."""
    standing: float | None = None
    """What it is ranked by where people or a judge compare programs (`feedback.rank`); None where fitness ranks."""


@dataclass(frozen=True)
class Interval:
    """A mean over training seeds with its 95 % confidence interval (Student's t; None with one seed)."""

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]
    """One per training seed."""


@dataclass(frozen=True)
class ReportedFigure:
    """A further figure of the task, of all whose fitness is told; nothing is selected by it."""

    name: str
    expression: str
    meaning: str = ""
    """What its mean over episodes is, in one line."""
    reported: Interval | None = None
    """Of the best program, trained anew."""
    own_reward: Interval | None = None
    """Of policies trained on the environment's own reward."""
    random: float | None = None
    """Of random actions."""
    ensemble: Interval | None = None
    chosen: Interval | None = None
    """Of the program in the search, over its training seeds."""


@dataclass(frozen=True)
class Baselines:
    """What the result is measured against, under the same budget and seeds."""

    random: float | None = None
    own_reward: Interval | None = None
    """Policies trained on the environment's own reward."""


@dataclass(frozen=True)
class Ensemble:
    """Several programs joined into one, and what a policy trained on it is worth."""

    members: tuple[str, ...]
    """Ids of the candidates, best first."""
    rule: Rule
    reported: Interval | None
    """Its fitness, trained on the seeds of the reported figure; None where no training gave one."""


@dataclass(frozen=True)
class Spent:
    """What a search has cost in language-model calls, earlier sessions of it included."""

    calls: int = 0
    tokens: int = 0
    """Prompt and completion together."""
    cost_usd: float | None = 0.0
    """None where the price of a call is unknown."""


@dataclass(frozen=True)
class Result:
    """The outcome of a search. Reported figures come from seeds that selection never used."""

    run: str
    """Path of the run directory."""
    task: str
    env_id: str
    fitness: str
    best: Candidate
    candidates: tuple[Candidate, ...]
    reported: Interval | None
    """The best program's fitness, trained anew; None where the final training was switched off."""
    baselines: Baselines
    normalised: float | None
    """(reported - random) / (own reward - random); None where that is not defined."""
    env_steps: int
    """Environment steps of all trainings, the final ones and the baseline's included."""
    spent: Spent
    stopped: str | None = None
    """Why the search ended before its last generation, if it did."""
    ensemble: Ensemble | None = None
    """The best programs joined into one; None where none was asked for or none could be made."""
    figures: tuple[ReportedFigure, ...] = ()
    """What the task's card wants measured beside the fitness."""


@dataclass(frozen=True)
class Check:
    """One thing that a machine can or cannot do."""

    name: str
    ok: bool
    detail: str
    """What was found."""
    fix: str | None = None
    """What to do where it is not ok."""
    needed: bool = True
    """False for what rewardsmith can do without."""
