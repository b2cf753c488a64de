"""Sections of a configuration: every setting with its default, its bounds and what it does.

`rewardsmith/spec/config.py` puts them together and reads them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
    model_validator,
)

from rewardsmith.contract.records import Count, Effort, EnsembleRule, Positive
from rewardsmith.contract.text import suggest_names
from rewardsmith.spec.addresses import remove_secrets

NONE = "none"
Role = Literal["designer", "critic", "analyzer", "judge", "labeller"]
"""The roles that ask a language model."""
ROLES: tuple[Role, ...] = get_args(Role)
SLURM_PARAMETERS = (
    *("name", "timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "nodes", "tasks_per_node", "stderr_to_stdout"),
    *("slurm_account", "slurm_array_parallelism", "slurm_comment", "slurm_constraint", "slurm_cpus_per_gpu"),
    *("slurm_dependency", "slurm_exclude", "slurm_exclusive", "slurm_gpus_per_task", "slurm_gres", "slurm_job_name"),
    *("slurm_mail_type", "slurm_mail_user", "slurm_mem", "slurm_mem_per_cpu", "slurm_mem_per_gpu", "slurm_nodelist"),
    *("slurm_ntasks_per_node", "slurm_partition", "slurm_qos", "slurm_signal_delay_s", "slurm_time", "slurm_use_srun"),
    "slurm_wckey",
)
"""Parameters of sbatch that may be set. submitit takes others (setup, srun_args), which are commands of a shell."""


Size = Annotated[int, Ge(1), Le(1_000_000)]
"""Number of programs, generations or trainings; more are a mistake."""
Steps = Annotated[int, Ge(1), Le(10**12)]
"""Environment steps of a training; more are a mistake."""


class Section(BaseModel):
    """Base of the sections: frozen, and a key that does not exist is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, values: Any) -> Any:
        """TOML has no null: the word "none" stands for it."""
        if not isinstance(values, dict):
            return values
        return {key: None if value == NONE else value for key, value in values.items()}


class SearchSettings(Section):
    """Number of programs to try, and the choice among them."""

    designer: Literal["auto", "llm", "symbolic", "coding-agent", "subgoals"] = "auto"
    """auto: the language model where one is named or a key is set, else the symbolic designer. coding-agent: an agent
    that is connected through `rewardsmith mcp` writes the programs. subgoals: one program pays for the subgoals that a
    model writes (the preset calm)."""
    population: Size = 6
    """Candidates per generation."""
    generations: Size = 1
    """Number of generations. With the symbolic designer, mcts or map-elites the default is 4 candidates in each of 3
    generations."""
    seeds: Annotated[Count, Le(500)] = 1
    """Training seeds per candidate during the search."""
    finalist_share: Annotated[float, Ge(0.0), Le(0.9)] = 0.0
    """Part of the search's environment steps that goes into fresh training seeds of its best programs after the last
    generation, to choose between them; 0: the fitness of the search decides."""
    final_seeds: Annotated[int, Ge(0), Le(1_000)] = 5
    """Fresh training seeds for the reported fitness and for the baseline; 0 switches both off."""
    seed: Annotated[int, Ge(0)] = 0
    """Seed of everything random in the search."""
    user_alone: bool = False
    """The user's program (--seed-reward) is generation 0 by itself; else it takes the first of its slots."""
    max_repairs: Annotated[int, Ge(0)] = 3
    """How often a program that the critic refuses goes back to its author."""
    env_steps: Steps = 200_000
    """Environment steps of each training."""
    rungs: tuple[Annotated[float, Gt(0.0), Lt(1.0)], ...] = ()
    """Parts of a training at which the lower candidates of a generation end; none: every training is finished."""
    keep: Annotated[float, Gt(0.0), Le(1.0)] = 0.5
    """Part of a generation's candidates that goes on from a rung."""
    warm_start: Literal["parent"] | None = None
    """parent: a program's training in the search begins with the policy that its first parent's training with the same
    seed gave, instead of a random one (ROSKA, AAAI 2025, arXiv:2412.13492). The finalists and the report are always
    trained from nothing."""
    warm_start_share: Annotated[float, Gt(0.0), Le(1.0)] = 1.0
    """Share of a parent's parameters in the policy that its child begins with; the rest is random."""
    target_fitness: float | None = None
    """End the search once the lower end of the best candidate's 95 % interval reaches it: over its training seeds, or
    with one seed over the episodes of its one policy, which says nothing about other training seeds."""
    baseline: bool = True
    """Train on the environment's own reward too, to compare with."""
    strategy: Literal["generations", "mcts", "map-elites"] = "generations"
    """generations: each is made from the best so far. mcts: a tree of refinements, searched by UCT; `population`
    nodes are expanded at once, `generations` times. map-elites: an archive of behaviours; parents come from its cells,
    and each program aims at an empty cell next to its parent's."""
    ensemble: Annotated[int, Ge(0)] = 0
    """Number of best programs that are joined into one, on which a policy is also trained at the end; 0: none."""
    ensemble_rule: EnsembleRule = "worst"
    """worst: the least of what the programs give. cautious: their mean less their standard deviation."""

    @property
    def prompts_designer(self) -> bool:
        """Whether the designer writes from prompts: a language model, or a coding agent."""
        return self.designer in ("llm", "coding-agent")

    @property
    def steps_per_generation(self) -> int:
        """The largest number of environment steps that a generation takes."""
        return self.population * self.seeds * self.env_steps

    @property
    def read_generations(self) -> int:
        """Number of first generations that a model may read: the last of several is followed by no prompt."""
        return max(1, self.generations - 1)

    @property
    def finalist_trainings(self) -> int:
        """Number of trainings that the finalists get: `finalist_share` of all trainings that select."""
        in_generations = self.population * self.generations * self.seeds
        return round(in_generations * self.finalist_share / (1.0 - self.finalist_share))

    @property
    def trainings(self) -> int:
        """The largest number of trainings, those of the finalists and of the report included."""
        reports = 1 + self.baseline + bool(self.ensemble)
        selecting = self.population * self.generations * self.seeds + self.finalist_trainings
        return selecting + self.final_seeds * reports


class EvolutionSettings(Section):
    """Choice of the parents of a generation; docs/evolution.md explains each setting."""

    selection: Literal["incumbent", "greedy-last"] = "incumbent"
    """incumbent: the best so far stays a parent until it is beaten. greedy-last: the best of the last generation is
    the only parent, as in Eureka."""
    parents: Count = 3
    """Largest number of parents, with selection "incumbent"."""
    caution: Annotated[float, Ge(0.0)] = 1.0
    """Standard errors over its training seeds that are taken off a candidate's fitness before it is ranked; with one
    training seed there are none."""
    novelty: Annotated[float, Ge(0.0)] = 0.0
    """Weight of being unlike the parents already chosen, next to fitness; 0: fitness alone."""
    crossover: Annotated[int, Ge(0)] = 0
    """Slots of a generation that join two parents."""
    islands: Count = 1
    """Lineages that exchange nothing between migrations; slot s belongs to island s modulo this number."""
    migration: Count = 2
    """Generations from one migration to the next: each island takes in the best program of the one before it."""
    restart_after: Annotated[int, Ge(0)] = 0
    """Generations without improvement after which a lineage starts again from nothing; 0: never."""
    exploration: Annotated[float, Ge(0.0)] = 0.7
    """UCT's constant with search.strategy = "mcts": how much a seldom visited branch counts."""


class EvaluationSettings(Section):
    """Evaluation of trained policies."""

    episodes: Count = 10
    """Episodes per candidate and training seed, on which selection is based."""
    final_episodes: Count = 20
    """Episodes per training seed for the reported fitness, on other seeds than those of the search."""
    deterministic: bool = True
    """Policies take their mean or most probable action; false: they draw it, as in training. With few discrete actions
    the most probable one may always be the same, where drawn actions do the task."""


class ModelSettings(Section):
    """One language model, and how to ask it."""

    model: str | None = None
    """Name of the model at its endpoint; None takes that of a replayed ledger."""
    base_url: str | None = None
    """Address of an OpenAI-compatible endpoint; None takes OPENAI_BASE_URL, else OpenAI's."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the endpoint's key."""
    temperature: Annotated[float, Ge(0.0)] | None = 1.0
    """None leaves it to the model, as reasoning models demand."""
    reasoning_effort: Effort | None = None
    """How long a reasoning model may think; None leaves it to the endpoint."""
    max_tokens: Count | None = 8192
    """Longest answer, a reasoning model's hidden thoughts included; None leaves it to the endpoint."""
    timeout_s: Positive = 600.0
    """Wall clock of one call; a reasoning model may need an hour."""
    retries: Annotated[int, Ge(0)] = 5
    price_in_usd: Annotated[float, Ge(0.0)] | None = None
    """Price of a million prompt tokens; None: unknown, and so is the cost."""
    price_out_usd: Annotated[float, Ge(0.0)] | None = None
    """Price of a million completion tokens."""

    @field_serializer("base_url", when_used="json")
    def _drop_secrets(self, base_url: str | None) -> str | None:
        """Keep a password out of every file that settings are written to."""
        return None if base_url is None else remove_secrets(base_url)


class RoleSettings(ModelSettings):
    """Settings of one role's model; every key that is not written is that of `llm`."""

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if key in self.model_fields_set}


class LlmSettings(ModelSettings):
    """The language model, and how to ask it."""

    roles: dict[Role, RoleSettings] = {}
    """Other models for single roles: `[llm.roles.critic]` with any of the keys above."""
    catalogue_tokens: Count = 1_500
    """Approximate length of a prompt's list of signals, in tokens; a card's own signals are always listed."""
    replay: str | None = None
    """A ledger to answer from; a request that it lacks is an error."""
    replay_by: Literal["request", "position"] = "request"
    """request: the same words. position: the same role, sample and turn, whatever the words; another processor may
    train a little differently, and the numbers in later prompts then differ in their last digits."""
    cache: str | None = None
    """A ledger to answer from; a request that it lacks is sent."""

    def for_role(self, role: Role) -> LlmSettings:
        """Return the settings of a role's model: these, with what is written for the role over them.

        A role with another model or another endpoint takes no price over: it would be a wrong one.
        """
        role_settings = self.roles.get(role)
        written = (
            {name: getattr(role_settings, name) for name in role_settings.model_fields_set} if role_settings else {}
        )
        if any(name in written and written[name] != getattr(self, name) for name in ("model", "base_url")):
            written = {"price_in_usd": None, "price_out_usd": None} | written
        return self.model_copy(update={**written, "roles": {}})


class DesignerSettings(Section):
    """Prompt and answer of the language model; the symbolic designer does not use them."""

    history: Annotated[int, Ge(0)] = 4
    """Generations in the history's table, or turns of the conversation; 0: none. In BIRD a few helped most."""
    conversation: bool = False
    """Show earlier turns as a conversation (task, program, reflection, program, ...) instead of a table."""
    view: Literal["signals", "class"] = "signals"
    """The environment as a table of signals, or as a Python class."""
    reasoning_first: bool = False
    """Reason in steps before the program; else a few sentences."""
    form: Literal["terms", "sparse-dense"] = "terms"
    """terms: a dict of weighted terms. sparse-dense: two functions of which only the signs count."""
    sparse_weight: float = 1.0
    dense_weight: float = 0.1
    memory: bool = False
    """Encourage programs with a memory across steps; programs may have one in any case."""
    observation: bool = False
    """Ask the designer to choose the policy's observation too, as OBSERVATION; a program may declare it in any case."""
    emphasis: bool = True
    """Give every slot of a generation another emphasis; else all get the same prompt."""
    reflection: bool = True
    """Show what the trainings of earlier programs showed: curves, episodes and alarms; else their fitness alone."""
    tips: bool = True
    """Explain how the reflection is read."""
    examples: Annotated[int, Ge(0)] = 0
    """Programs of other tasks from the reward library that are shown."""
    examples_same_env: bool = True
    """Show also those of the same environment; a fair comparison does not."""


class BudgetSettings(Section):
    """Limits at which a search stops; None is no limit."""

    cost_usd: Positive | None = None
    tokens: Count | None = None
    calls: Count | None = None
    env_steps: Count | None = None
    """Environment steps of all trainings of the search, those of the user's own programs among them; the final ones are
    not counted. No generation starts that might pass it."""
    wall_s: Positive | None = None
    """No new generation starts after this time, which earlier sessions of the run count in."""


class CriticSettings(Section):
    """Review of programs by a language model before they are trained."""

    review: bool = False
    """Ask whether the program rewards what the task asks; a call per program, and a repair where it objects."""
    rounds: Annotated[int, Ge(1), Le(3)] = 2
    """How often it may object; then the program is trained as it is (Auto MC-Reward allows 3)."""


class AnalyzerSettings(Section):
    """Reading of recorded episodes by a language model."""

    model_reads: bool = False
    """Ask what went wrong in them; a call per trained program. What it claims is checked against the data."""
    frames: Annotated[int, Ge(0), Le(8)] = 0
    """Frames of each episode that it is shown next to the table, for a model that sees images."""


class FeedbackSettings(Section):
    """Decisions of people, or of a judge; docs/feedback.md."""

    rank: Literal["metric", "people", "judge"] = "metric"
    """What ranks the programs. metric: the fitness expression. people: comparisons by people; the search waits for them
    after each generation. judge: a language model, as `judge_mode` says; people's comparisons count with its own."""
    blend: Annotated[float, Ge(0.0)] = 0.0
    """Weight of one standard deviation of the metric next to comparisons, in log-odds to be preferred; 0: none."""
    judge_mode: Literal["pairs", "score"] = "pairs"
    """pairs: the judge compares two programs at a time. score: it gives each policy a score from 0 to 1, which is the
    fitness with rank "judge"; where something else ranks, its reasons go into the reflection."""
    judge_pairs: Count = 6
    """Comparisons that the judge makes after each generation, each in both orders."""
    judge_frames: Annotated[int, Ge(0), Le(8)] = 0
    """Frames of each episode that the judge is shown next to the table, for a model that sees images."""


class ExecutorSettings(Section):
    """Place where jobs run; the result of a search does not depend on it."""

    kind: Literal["local", "ray", "slurm"] = "local"
    """ray and slurm are extras: `pip install 'rewardsmith[ray]'`."""
    address: str | None = None
    """Address of a Ray cluster's head, "host:port", or "auto" for the cluster of this machine; None starts one on
    this machine."""
    folder: str = "slurm"
    """Where Slurm's own files of each job lie; the run directory must be on a file system that all nodes share."""
    slurm: dict[str, str | int | float] = {}
    """What submitit hands to sbatch: timeout_min, slurm_partition, slurm_account."""

    @model_validator(mode="after")
    def _check_slurm(self) -> ExecutorSettings:
        """Refuse what could become a command: these values are written into a script."""
        for name, value in self.slurm.items():
            if name not in SLURM_PARAMETERS:
                hint = suggest_names(name, SLURM_PARAMETERS)
                raise ValueError(f"executor.slurm.{name} is no parameter of Slurm that can be set; {hint}")
            if isinstance(value, str) and not value.isprintable():
                raise ValueError(f"executor.slurm.{name} = {value!r}: it must have no line break or control character")
        if not self.folder.isprintable():
            raise ValueError(f"executor.folder = {self.folder!r}: it must have no line break or control character")
        return self


class LimitSettings(Section):
    """Limits of one job, a training as a rule, at which it is ended; None is no limit."""

    job_s: Positive | None = 43_200.0
    """Wall clock, its waiting at rungs not counted; beyond it the job ends as "timeout". What is longer than half a
    day is a simulator that hangs, unless the budget of environment steps says otherwise."""
    memory_mib: Count | None = 4_096
    """Resident memory; beyond it the job ends as "infrastructure". A training of a MuJoCo task takes about 350."""
