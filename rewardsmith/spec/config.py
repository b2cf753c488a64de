"""Configuration of a search: defaults < preset < task card < file < environment < --set; unknown keys are errors.

`config_layers` reads the layers; each is a mapping from section to key to value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import tomli_w
from annotated_types import Ge
from pydantic import ValidationError, model_validator

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.fitness.judged import JUDGED_FITNESS
from rewardsmith.contract.records import Limits, TrainSettings
from rewardsmith.contract.term_limits import parse_limits
from rewardsmith.contract.trainers import find_trainer
from rewardsmith.spec.removed_settings import describe_removed_settings
from rewardsmith.spec.settings import (
    NONE,
    ROLES,
    AnalyzerSettings,
    BudgetSettings,
    CriticSettings,
    DesignerSettings,
    EvaluationSettings,
    EvolutionSettings,
    ExecutorSettings,
    FeedbackSettings,
    LimitSettings,
    LlmSettings,
    ModelSettings,
    Role,
    SearchSettings,
    Section,
)
from rewardsmith.spec.validation_errors import collect_faults, join_lines

GENERATIONAL = ("islands", "crossover", "restart_after", "novelty", "selection")
"""Settings of `[evolution]` that the other strategies have no use for."""
SETTINGS_SINCE_FORMAT_2: frozenset[str] = frozenset(
    {
        "designer.observation",
        "designer.reflection",
        "feedback.judge_mode",
        "search.warm_start",
        "search.warm_start_share",
        "training.blend",
        "training.constraints",
        "training.observation",
        "training.physics_threads",
    }
)
"""Dotted names of settings that were added after format 2 of run directories: earlier runs lack them."""
Layer = Mapping[str, Any]
"""Part of a configuration as read: section to key to value."""


class Config(Section):
    """Everything that a search depends on beside its task."""

    preset: str = "smith"
    """Settings below the others: a name that `rewardsmith presets` lists, or a TOML file."""
    search: SearchSettings = SearchSettings()
    evolution: EvolutionSettings = EvolutionSettings()
    training: TrainSettings = TrainSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    llm: LlmSettings = LlmSettings()
    designer: DesignerSettings = DesignerSettings()
    budget: BudgetSettings = BudgetSettings()
    executor: ExecutorSettings = ExecutorSettings()
    limits: LimitSettings = LimitSettings()
    sandbox: Limits = Limits()
    critic: CriticSettings = CriticSettings()
    analyzer: AnalyzerSettings = AnalyzerSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Where curves are logged beside the run directory; all are extras: `pip install 'rewardsmith[tensorboard]'`."""
    jobs: Annotated[int, Ge(0)] = 0
    """Trainings at once; 0: one per core, as far as memory reaches."""

    @model_validator(mode="after")
    def _check_trainer(self) -> Config:
        trainer = find_trainer(self.training.trainer)
        if trainer.has_own_update and self.training.activation != "tanh":
            raise ValueError("training.activation = 'relu' needs training.trainer = 'sb3': the fast update is for tanh")
        if not trainer.is_on_policy and not self.evaluation.deterministic:
            raise ValueError(f"evaluation.deterministic = false is not for training.trainer = {trainer.name!r}")
        return self

    @model_validator(mode="after")
    def _check_constraints(self) -> Config:
        try:
            limits = parse_limits(self.training.constraints)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if limits and self.designer.form == "sparse-dense":
            raise ValueError(
                "designer.form = 'sparse-dense' has no terms that training.constraints could limit; take form 'terms'"
            )
        if limits and self.search.ensemble:
            raise ValueError(
                f"search.ensemble = {self.search.ensemble} joins programs into one term, and training.constraints needs"
                f" {limits[0].term!r}; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _check_blend(self) -> Config:
        training, wanted = self.training, "training.blend = 'barfi'"
        if training.blend == "fixed":
            return self
        if not find_trainer(training.trainer).is_ppo:
            raise ValueError(
                f"{wanted} needs the policy gradient of PPO, and training.trainer is {training.trainer!r}; take 'fast'"
            )
        if training.constraints:
            raise ValueError(f"{wanted} and training.constraints both move the weights of terms; leave one of them out")
        return self

    @model_validator(mode="after")
    def _check_executor(self) -> Config:
        if self.executor.kind != "local" and self.search.rungs:
            raise ValueError("search.rungs needs executor.kind = 'local': elsewhere trainings run through")
        return self

    @model_validator(mode="after")
    def _check_budget(self) -> Config:
        steps, least = self.budget.env_steps, self.search.steps_per_generation
        if steps is not None and steps < least:
            raise ValueError(f"budget.env_steps = {steps:,} is less than one generation takes, which is {least:,}")
        return self

    @model_validator(mode="after")
    def _check_designer(self) -> Config:
        designer = self.designer
        changed = [name for name in DesignerSettings.model_fields if name in _changed_keys(designer)]
        if self.search.designer in ("symbolic", "subgoals") and changed:
            raise ValueError(
                f"search.designer = {self.search.designer!r} reads no prompt, so designer.{changed[0]} changes nothing;"
                " leave it out, take --preset smith, or --designer llm"
            )
        if self.search.designer == "subgoals" and self.search.population * self.search.generations > 1:
            raise ValueError(
                "search.designer = 'subgoals' writes one program: search.population and search.generations are 1"
            )
        if designer.conversation and not designer.history:
            raise ValueError("designer.conversation = true tells earlier turns: designer.history must be 1 or more")
        if self.analyzer.model_reads and not designer.reflection:
            raise ValueError(
                "analyzer.model_reads = true writes into the reflection, and designer.reflection = false leaves it out"
            )
        if designer.conversation and self.evolution.crossover:
            raise ValueError("designer.conversation = true tells of one parent: evolution.crossover must be 0")
        if designer.form == "terms" and {"sparse_weight", "dense_weight"} & set(changed):
            raise ValueError(
                "designer.sparse_weight and designer.dense_weight belong to designer.form = 'sparse-dense'"
            )
        return self

    @property
    def idle_settings(self) -> tuple[str, ...]:
        """Names of the settings that use earlier generations, in a search that has only one."""
        if self.search.generations > 1:
            return ()
        changed = _changed_keys(self.evolution)
        idle = [f"evolution.{name}" for name in ("islands", "crossover", "restart_after", "novelty") if name in changed]
        return (*idle, *["search.warm_start"] * bool(self.search.warm_start))

    @model_validator(mode="after")
    def _check_evolution(self) -> Config:
        search, evolution = self.search, self.evolution
        if evolution.islands > search.population:
            raise ValueError(
                f"evolution.islands = {evolution.islands} needs a search.population of at least as many slots; it is"
                f" {search.population}"
            )
        if evolution.crossover > search.population:
            raise ValueError(
                f"evolution.crossover takes {evolution.crossover} slots of a generation, and search.population gives"
                f" {search.population}"
            )
        if search.strategy != "generations":
            generational = [f"evolution.{name}" for name in GENERATIONAL if name in _changed_keys(evolution)]
            named = ", ".join([*["search.rungs"] * bool(search.rungs), *generational])
            if named:
                raise ValueError(
                    f"{named} belongs to search.strategy = 'generations'; leave it out with {search.strategy!r}"
                )
        if search.strategy == "map-elites" and self.feedback.rank != "metric" and not self.judges_fitness:
            raise ValueError(
                "search.strategy = 'map-elites' compares the programs of a cell by their fitness, and feedback.rank is"
                f" {self.feedback.rank!r}; take 'metric', or feedback.judge_mode = 'score' with 'judge'"
            )
        return self

    @model_validator(mode="after")
    def _check_ensemble(self) -> Config:
        search = self.search
        if search.ensemble == 1:
            raise ValueError("search.ensemble = 1: an ensemble has at least 2 programs; 0 switches it off")
        if search.ensemble > search.population * search.generations:
            raise ValueError(f"search.ensemble = {search.ensemble} needs as many candidates; the search has fewer")
        if search.ensemble and not search.final_seeds:
            raise ValueError(
                f"search.ensemble = {search.ensemble} is measured at the end: search.final_seeds must not be 0"
            )
        return self

    @model_validator(mode="after")
    def _check_warm_start(self) -> Config:
        if self.search.warm_start is None and self.search.warm_start_share != 1.0:
            raise ValueError("search.warm_start_share changes nothing without search.warm_start = 'parent'")
        return self

    @model_validator(mode="after")
    def _check_critic(self) -> Config:
        if self.critic.review and not self.search.max_repairs:
            raise ValueError("critic.review = true needs search.max_repairs of 1 or more: objections go to the author")
        return self

    @model_validator(mode="after")
    def _check_frames(self) -> Config:
        if self.analyzer.frames and not self.analyzer.model_reads:
            raise ValueError("analyzer.frames are for the model that reads episodes: set analyzer.model_reads = true")
        if self.feedback.judge_frames and "judge" not in self.roles:
            raise ValueError(
                "feedback.judge_frames are for the judge: they need --fitness judge or feedback.judge_mode = 'score'"
            )
        return self

    @model_validator(mode="after")
    def _check_feedback(self) -> Config:
        if self.feedback.rank == "metric" and self.feedback.blend:
            raise ValueError("feedback.blend is what the metric counts beside comparisons: it needs feedback.rank")
        if self.feedback.blend and self.judges_fitness:
            raise ValueError(
                "feedback.judge_mode = 'score': the judge's score is the fitness, and no metric counts beside it; write"
                " --fitness judge alone, or take feedback.judge_mode = 'pairs'"
            )
        if self.feedback.rank != "metric" and self.search.rungs:
            raise ValueError(f"search.rungs end trainings by the metric, and feedback.rank is {self.feedback.rank!r}")
        return self

    @property
    def asks_in_words(self) -> bool:
        """Whether prompts are written in this search, for a language model or a coding agent."""
        return bool(self.roles) or self.search.designer == "coding-agent"

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that ask a language model in this search."""
        asks: dict[Role, bool] = {
            "designer": self.search.designer == "llm",
            "critic": self.critic.review,
            "analyzer": self.analyzer.model_reads,
            "judge": self.feedback.rank == "judge" or self.feedback.judge_mode == "score",
        }
        return tuple(role for role, does in asks.items() if does)

    @property
    def judges_fitness(self) -> bool:
        """Whether the fitness of this search is a judge's score, in place of an expression."""
        return self.feedback.rank == "judge" and self.feedback.judge_mode == "score"

    def name_fitness(self, expression: str) -> str:
        """Return what a fitness of this search is called in records: the task's expression, or `JUDGED_FITNESS`."""
        return JUDGED_FITNESS if self.judges_fitness else expression


def _changed_keys(section: Section) -> set[str]:
    """Return the settings of a section that differ from their defaults."""
    defaults = type(section)()
    return {name for name in type(section).model_fields if getattr(section, name) != getattr(defaults, name)}


def resolve_config(*layers: Layer) -> Config:
    """Merge layers, later ones over earlier ones, and check them.

    Raises:
        ConfigError: if a key is unknown (with the nearest one) or was removed, or a value is not allowed.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merge_layer(merged, layer)
    removed = describe_removed_settings(merged)
    if removed:
        raise ConfigError(join_lines([line for _, line in removed]))
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(join_lines([line for _, line in _describe_faults(error, merged)])) from error


def describe_setting_faults(layer: Layer) -> list[tuple[tuple[str, ...], str]]:
    """Return the mistakes in a layer: the place of each, and a line about it.

    Use it in place of `resolve_config` for settings in a file of another kind, to name the file's line too.
    """
    removed = describe_removed_settings(layer)
    if removed:
        return removed
    try:
        Config.model_validate(layer)
    except ValidationError as error:
        return _describe_faults(error, layer)
    return []


def _describe_faults(error: ValidationError, layer: Layer) -> list[tuple[tuple[str, ...], str]]:
    return [
        (fault.location, fault.describe("setting", _known_keys(fault.location)))
        for fault in collect_faults(error, document=layer)
    ]


def merge_layer(into: dict[str, Any], layer: Layer) -> None:
    """Merge `layer` into `into`, section by section."""
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge_layer(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def dump_config(config: Config) -> str:
    """Return the configuration as TOML that reads back equal; a key without a value is the word "none"."""
    return tomli_w.dumps(_spell_out_none(config.model_dump(mode="json")))


def list_missing_settings(recorded: Layer, *, whole_sections_only: bool = False) -> list[str]:
    """Return the settings that a configuration written by `dump_config` should have and lacks.

    >>> list_missing_settings({"jobs": 1}, whole_sections_only=True)[:2]
    ['preset', 'search']

    Args:
        recorded: the configuration as read.
        whole_sections_only: of an earlier format, whose sections had other settings: look for sections alone.
    """
    spelled_out = _spell_out_none(Config().model_dump(mode="json"))
    missing = [key for key in spelled_out if key not in recorded and key not in SETTINGS_SINCE_FORMAT_2]
    for section, settings in spelled_out.items():
        values = recorded.get(section)
        if whole_sections_only or not isinstance(settings, dict) or not isinstance(values, Mapping):
            continue
        names = {f"{section}.{key}": key for key in settings}
        missing += [name for name, key in names.items() if key not in values and name not in SETTINGS_SINCE_FORMAT_2]
    return missing


def dump_changed_settings(config: Config) -> str:
    """Return as TOML what differs from the defaults; "" where nothing does."""
    values, defaults = (_spell_out_none(one.model_dump(mode="json")) for one in (config, Config()))
    return tomli_w.dumps(_select_differing(values, defaults))


def _select_differing(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    nested = {
        key: _select_differing(value, defaults.get(key, {})) for key, value in values.items() if isinstance(value, dict)
    }
    plain = {key: value for key, value in values.items() if key not in nested and value != defaults.get(key, NONE)}
    return plain | {key: value for key, value in nested.items() if value}


def _spell_out_none(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _spell_out_none(value) if isinstance(value, dict) else NONE if value is None else value
        for key, value in values.items()
    }


def _known_keys(location: tuple[str, ...]) -> list[str]:
    """Return the keys that may stand at the place of an unknown one; those of other sections, where it exists there."""
    key = location[-1] if location else ""
    elsewhere = [f"{section}.{key}" for section in _section_keys(()) if key in _section_keys((section,))]
    return elsewhere or _section_keys(location[:-1])


def _section_keys(sections: tuple[str, ...]) -> list[str]:
    """Return the keys of a section; the sections themselves where none is named."""
    if sections[:2] == ("llm", "roles"):
        return sorted(ROLES if len(sections) == 2 else ModelSettings.model_fields)
    defaults: Any = Config().model_dump()
    for section in sections:
        defaults = defaults.get(section, {})
    return sorted(defaults) if isinstance(defaults, dict) else []
