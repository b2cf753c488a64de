"""Records of a search: plans, briefs, candidates, reflections, results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rewardsmith.contract.known_values import average_known
from rewardsmith.contract.records.behaviour import BehaviourAim, BehaviourDescriptor
from rewardsmith.contract.records.environment import Signal, SignalFacts
from rewardsmith.contract.records.job_results import Evaluation, Training
from rewardsmith.contract.records.programs import Proposal, TermStats, Verdict
from rewardsmith.contract.records.types import EnsembleRule, Mode, Status

if TYPE_CHECKING:
    from rewardsmith.contract.reward_program import RewardProgram


@dataclass(frozen=True)
class SlotAssignment:
    """The task of one slot of a generation, as evolution decided."""

    mode: Mode
    parents: tuple[str, ...] = ()
    """Ids of the candidates to build on, best first."""
    visible_candidates: tuple[str, ...] | None = None
    """Ids of the candidates that its prompt shows; None shows all."""
    user_program_key: str | None = None
    """Journal key of the event with the user's program for the slot; set with the mode "user"."""
    aim: BehaviourAim | None = None
    """The behaviour that its program is asked for; None except with the strategy "map-elites"."""


@dataclass(frozen=True)
class GenerationPlan:
    """Evolution's plan for one generation."""

    slots: tuple[SlotAssignment, ...]
    notes: tuple[str, ...] = ()
    """Remarks for the user, about a restart for instance."""


@dataclass(frozen=True)
class Example:
    """A reward program that worked for another task, shown to a designer."""

    task: str
    """The task in a sentence."""
    env_id: str
    source: str


@dataclass(frozen=True)
class TermConstraint:
    """A term that the user wants to stay, or never to come back."""

    term: str
    expression: str | None = None
    """Its expression over the contract's arguments; None where its program cannot be taken apart."""
    weight: float = 1.0
    """Its weight in the program where the user saw it."""
    candidate: str | None = None
    """Id of that program; None where the user named none."""


@dataclass(frozen=True)
class Brief:
    """Everything that the author of one slot's program is told."""

    task: str
    """The user's sentence."""
    env_id: str
    env_about: str
    """The environment in a few lines; from its card, or its id."""
    signals: tuple[Signal, ...]
    action: str
    """An action in a line: its shape, bounds and meaning."""
    generation: int
    """From 0."""
    population: int
    seed: int
    """Seed of the search; a designer without a model draws from (seed, generation, slot)."""
    parents: tuple[Candidate, ...] = ()
    """Chosen by evolution, best first, with fitness and reflection; empty in generation 0 and after a restart."""
    history: tuple[Candidate, ...] = ()
    """The candidates so far that the prompt shows, oldest first."""
    notes: tuple[str, ...] = ()
    """Notes of the user."""
    card_signal_count: int = 0
    """How many of `signals`, from the first, come from the task's card; the others were derived."""
    mode: Mode = "refine"
    """Kind of program that is asked of the author."""
    incumbent: str | None = None
    """Id of the best candidate of the whole search so far; None while none has a fitness."""
    pins: tuple[TermConstraint, ...] = ()
    """Terms that every program must have."""
    bans: tuple[TermConstraint, ...] = ()
    """Terms that no program may have."""
    user_program: Proposal | None = None
    """The user's program, which this slot tries as it is."""
    training: str = ""
    """How policies are trained, in a few sentences; from the settings."""
    scale: str = ""
    """The kind and unit of the fitness, and what random actions and the environment's own reward reach."""
    noise: float | None = None
    """Difference of two fitness values below which it is within the noise of training; None while nothing is known."""
    ties: tuple[str, ...] = ()
    """Candidates that cannot be told apart from the best one, its own id not included."""
    unobserved: Mapping[str, tuple[int, ...]] | None = None
    """See `Probe.unobserved`."""
    signal_facts: Mapping[str, SignalFacts] = field(default_factory=dict)
    """Signal name to what the recording under random actions shows of it."""
    aim: BehaviourAim | None = None
    """The behaviour that is asked for; None where none is."""
    descriptors: tuple[BehaviourDescriptor, ...] = ()
    """Descriptors of the behaviours in `aim`; empty where none is asked for."""


@dataclass(frozen=True)
class EpisodeReading:
    """A language model's reading of recorded episodes, after its claims were checked against the data."""

    causes: tuple[str, ...] = ()
    """Causes that it names, one line each; only those with a claim that holds."""
    suggestions: tuple[str, ...] = ()
    claims: int = 0
    """How many claims about the data it made."""
    dropped: int = 0
    """How many of them do not hold."""
    problem: str | None = None
    """Why there is no reading; None where there is one."""


@dataclass(frozen=True)
class Reflection:
    """The analyzer's text about a candidate, which the next prompt shows (Eureka's "reward reflection")."""

    text: str
    """For the designer."""
    alarms: tuple[str, ...] = ()
    """For the user, one line each."""
    reading: EpisodeReading | None = None
    """A language model's reading of the recorded episodes; None where no model was asked."""
    outcome: str = ""
    """How many of its episodes ended early, and their mean length: "7 of 10, 120 steps"."""
    ends: dict[str, float] = field(default_factory=dict)
    """Some of the card's signals, with their means at the last step."""


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
    """One for each training that gave a policy, in the order of the trainings; none in records of early versions."""
    fitness: float | None = None
    """Mean over the training seeds of the mean over the selection episodes."""
    reflection: Reflection | None = None
    cause: str | None = None
    """Why it was not trained to its end, unless ok."""
    repairs: int = 0
    """How often it went back to its author."""
    standing: float | None = None
    """Number that ranks it where people or a judge compare programs (`feedback.rank`); None where fitness ranks."""

    @property
    def program(self) -> RewardProgram:
        """The parsed reward program.

        Raises:
            ProgramError: if the text is no program.
        """
        return self.proposal.program

    @property
    def seed_fitness(self) -> tuple[float, ...]:
        """Fitness of each evaluated policy that has one, in the order of the training seeds."""
        return tuple(evaluation.fitness for evaluation in self.evaluations if evaluation.fitness is not None)

    @property
    def trial_terms(self) -> Mapping[str, TermStats]:
        """Term to its statistics under random actions; empty where the program was not scored on trial."""
        scoring = self.verdict.trial_scoring if self.verdict else None
        return {term.name: term for term in scoring.terms} if scoring else {}

    @property
    def term_names(self) -> tuple[str, ...]:
        """Terms that the program returned: in its trial scoring, else in its trainings."""
        points = (point for training in self.trainings for point in training.curve)
        return tuple(self.trial_terms) or tuple(dict.fromkeys(name for point in points for name in point.terms))

    def average_metric(self, name: str) -> float | None:
        """Return the mean of a metric over the evaluated policies; None where none of them has a value."""
        return average_known(evaluation.metrics.get(name) for evaluation in self.evaluations)


@dataclass(frozen=True)
class Interval:
    """A mean over training seeds with its 95 % confidence interval (Student's t; None with one seed)."""

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]
    """One per training seed."""


@dataclass(frozen=True)
class Finalist:
    """A candidate's fresh trainings after the last generation, which decide between the best programs."""

    candidate: str
    fitness: tuple[float, ...] = ()
    """One per fresh training seed that gave a fitness, on the episodes of the selection."""
    failures: int = 0
    """Fresh trainings that gave none, failures of the machine not counted."""


@dataclass(frozen=True)
class FinalistRound:
    """A decision which candidates get a fresh training seed next; its trainings run at once."""

    candidates: tuple[str, ...]
    """Ids, one per training; a candidate may be named twice."""


@dataclass(frozen=True)
class ReportedMetric:
    """An auxiliary metric of the task, for the same policies as the fitness; never used for selection."""

    name: str
    expression: str
    meaning: str = ""
    """Meaning of its mean over episodes, in one line."""
    reported: Interval | None = None
    """The metric of the best program, retrained on fresh seeds."""
    environment_reward: Interval | None = None
    """The metric of policies trained on the environment's own reward."""
    random: float | None = None
    """The metric of random actions."""
    ensemble: Interval | None = None
    """The metric of the ensemble; None where there is no ensemble."""
    chosen: Interval | None = None
    """The metric of the program in the search, over its training seeds."""


@dataclass(frozen=True)
class Baselines:
    """The results to compare with, under the same budget and seeds."""

    random: float | None = None
    environment_reward: Interval | None = None
    """Policies trained on the environment's own reward."""


@dataclass(frozen=True)
class Ensemble:
    """Several programs joined into one, and what a policy trained on it is worth."""

    members: tuple[str, ...]
    """Ids of the candidates, best first."""
    rule: EnsembleRule
    reported: Interval | None
    """Its fitness, trained on the seeds of the reported fitness; None where no training gave one."""


@dataclass(frozen=True)
class WarmStartLineage:
    """The trainings that led to the best program's policies in the search, each begun with the policy before it.

    The figure is of these policies themselves, which saw more environment steps than a training from nothing.
    """

    members: tuple[str, ...]
    """Ids of the candidates, the first trained from nothing, the best program last."""
    env_steps: int
    """Environment steps of all of its trainings, for one training seed."""
    reached: Interval | None
    """Fitness of its last policies on the episodes of the report, one value per training seed of the search."""


@dataclass(frozen=True)
class StageOutcome:
    """A stage of the task's card before the task itself, as its own search ended."""

    text: str
    fitness: str
    """Its expression."""
    reached: float | None
    """Fitness of its best program in its search; biased upwards, as it was chosen by it."""
    env_steps: int
    """Environment steps of each of its trainings."""


@dataclass(frozen=True)
class ModelUsage:
    """The cost of language-model calls."""

    calls: int = 0
    tokens: int = 0
    """Prompt and completion together."""
    cost_usd: float | None = 0.0
    """None where the price of a call is unknown."""


@dataclass(frozen=True)
class Result:
    """The outcome of a search. Reported values come from seeds that selection never used."""

    run: str
    """Path of the run directory."""
    task: str
    env_id: str
    fitness: str
    best: Candidate
    candidates: tuple[Candidate, ...]
    reported: Interval | None
    """The best program's fitness, retrained on fresh seeds; None where the final training was switched off."""
    baselines: Baselines
    normalised: float | None
    """(reported - random) / (environment reward - random); None where that is not defined."""
    env_steps: int
    """Environment steps of all trainings, the final ones and the baseline's included."""
    spent: ModelUsage
    stopped: str | None = None
    """Why the search ended before its last generation, if it did."""
    ensemble: Ensemble | None = None
    """The best programs joined into one; None where it was not asked for or could not be made."""
    metrics: tuple[ReportedMetric, ...] = ()
    """The auxiliary metrics of the task's card."""
    finalists: tuple[Finalist, ...] = ()
    """The candidates that were trained again after the last generation, in the order of the candidates."""
    lineage: WarmStartLineage | None = None
    """Fitness of the search's own policies of the best program, with `search.warm_start`; else None."""
    stages: tuple[StageOutcome, ...] = ()
    """The stages before the task; the reported trainings go through all of them."""
    observation: tuple[str, ...] = ()
    """Signals that the best program's policies observe; empty: the environment's own observation."""
    behaviour: tuple[BehaviourDescriptor, ...] = ()
    """Descriptors of the task, with which the archive is built from the candidates; empty for most tasks."""


@dataclass(frozen=True)
class DoctorCheck:
    """One line of `rewardsmith doctor`: something that a machine can or cannot do."""

    name: str
    ok: bool
    detail: str
    """The finding in words."""
    fix: str | None = None
    """The remedy where it is not ok."""
    needed: bool = True
    """False for what rewardsmith can do without."""
