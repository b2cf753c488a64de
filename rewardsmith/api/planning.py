"""Plans: a search, a training of one program or a probe as it would be run, checked before anything is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rewardsmith.api.search_budget import SearchBudget, divide_budget, refuse_sizes
from rewardsmith.contract import env_families
from rewardsmith.contract.errors import ConfigError, FitnessError, TaskError
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records.fitness import AUTO_FITNESS
from rewardsmith.search.behaviour_proposal import needs_proposal
from rewardsmith.search.curriculum import count_stage_trainings
from rewardsmith.search.feedback import rank_option
from rewardsmith.search.feedback.rank_option import RankOption
from rewardsmith.spec import config as configuration
from rewardsmith.spec import config_layers, labelling, learned_signals, presets, rl_zoo, subgoals
from rewardsmith.spec.behaviour import set_descriptors
from rewardsmith.spec.card_checks import check_sentence
from rewardsmith.spec.config import Config, Layer, merge_layer
from rewardsmith.spec.env_options import NO_ENV_OPTIONS, EnvOptions, check_variables_set
from rewardsmith.spec.task_cards import Task, adjust_environment, find_env, load_task

EVOLVED_SIZE: Layer = {"search": {"population": 4, "generations": 3}}
"""Default size of a search whose programs come from earlier ones: of the symbolic designer, mcts or map-elites."""
ENVIRONMENT_RETURN = "sum(environment_reward)"
"""Fitness that every environment has."""


@dataclass(frozen=True)
class SearchPlan:
    """A search as it would be run: its task, configuration and size."""

    task: Task
    config: Config
    trainings: int
    """Trainings of the search, the final ones and the baseline's included."""
    env_steps: int
    """Environment steps of all of them together, at most."""
    calls: int
    """Calls of the language model if no program needs a repair; 0 without a model."""


def plan_search(
    text: str | None,
    env: str | Task,
    fitness: str | None = None,
    *,
    file: Path | None = None,
    overrides: Layer | None = None,
    sets: Sequence[str] = (),
    variables: Mapping[str, str] = os.environ,
    trainer_config: Path | None = None,
    env_options: EnvOptions = NO_ENV_OPTIONS,
    budget: SearchBudget | None = None,
    behaviour: Sequence[str] = (),
) -> SearchPlan:
    """Plan a search.

    Its configuration has these layers: defaults < preset < task card < stable-baselines3's defaults where there is a
    trainer's file < file < environment < trainer's file < overrides < sets < the sizes that a budget decides.

    Args:
        text: what the agent should do, in a sentence; None takes the sentence of the card or task.
        env: a task's name, a Gymnasium id or the file of a card; or the task itself.
        fitness: an expression over the episode's signals; None takes the card's; "people" or "judge" where they rank
            the programs, "people+0.5*EXPRESSION" where a metric counts beside them.
        file: a TOML configuration.
        overrides: sections and keys, as the command's options give them.
        sets: assignments "section.key=value".
        variables: environment variables, of which REWARDSMITH_* count.
        trainer_config: tuned settings of the training, as an rl-zoo3 YAML file.
        env_options: keyword arguments and environment variables for the environment, besides the card's.
        budget: what the whole search may take; it decides programs, generations and seeds.
        behaviour: descriptors of behaviour in place of the card's, as `--behaviour` takes them.

    Raises:
        UserError: if the task, the fitness or a setting is wrong, an override and an assignment contradict, or the
            budget is too small for one training.
    """
    assigned = config_layers.parse_assignments(sets)
    config_layers.refuse_contradictions(overrides or {}, assigned)
    ranking = rank_option.parse_rank_option(fitness)

    # The task.
    task = _plan_task(text, env, ranking, fitness)
    task = set_descriptors(adjust_environment(task, env_options), behaviour)
    check_variables_set(task.env, variables)
    env_families.require_packages(task.env.env_id)

    # The configuration.
    lower = [config_layers.read_layer(file) if file else {}, config_layers.read_environment_layer(variables)]
    upper = [overrides or {}, ranking.layer if ranking else {}, assigned]
    layers = _order_layers(task, lower, upper, trainer_config)
    config = configuration.resolve_config(*layers)
    designer = _choose_designer(config, variables)
    layers.append({"search": {"designer": designer}})

    # The size: that of the default preset is for a language model's programs, other presets state their own.
    if designer == "symbolic" or config.search.strategy != "generations":
        layers.insert(1 if config.preset == presets.DEFAULT else 0, EVOLVED_SIZE)
    if budget:
        refuse_sizes(budget, overrides or {}, assigned)
        layers.append(divide_budget(budget, configuration.resolve_config(*layers), task.env.env_id))
    config = configuration.resolve_config(*layers)

    # What the two ask for together.
    task = subgoals.add_subgoal_signal(task, config)
    _check_models(task, config)
    return _measure_size(task, config)


def plan_without_search(
    heading: str,
    env: str,
    fitness: str | None = None,
    *,
    file: Path | None = None,
    overrides: Layer | None = None,
    sets: Sequence[str] = (),
    trainer_config: Path | None = None,
    env_options: EnvOptions = NO_ENV_OPTIONS,
) -> SearchPlan:
    """Plan what trains or probes without a search: no sentence is needed, and nobody ranks programs.

    Args:
        heading: line that people read over it: "train reward.py".
        env: a task's name, a Gymnasium id or the file of a card.
        fitness: an expression over the episode's signals; None takes the card's.
        file: as in `plan_search`, as are the following.
        overrides: sections and keys, as the command's options give them.
        sets: assignments "section.key=value".
        trainer_config: tuned settings of the training.
        env_options: of the environment.

    Raises:
        UserError: as `plan_search` does.
    """
    if rank_option.parse_rank_option(fitness):
        raise FitnessError(
            f"--fitness {fitness}: people and judges compare the programs of a search; write an expression here, or"
            " leave --fitness out to take the task card's"
        )
    task = replace(load_task(None, env, fitness, needs_text=False), title=heading)
    return plan_search(
        None,
        task,
        file=file,
        overrides=overrides,
        sets=sets,
        trainer_config=trainer_config,
        env_options=env_options,
    )


def plan_training(
    heading: str,
    env: str,
    fitness: str | None = None,
    *,
    env_steps: int | None = None,
    seeds: int = 1,
    baseline: bool = False,
    designer: str = "symbolic",
    overrides: Layer | None = None,
    file: Path | None = None,
    sets: Sequence[str] = (),
    trainer_config: Path | None = None,
    env_options: EnvOptions = NO_ENV_OPTIONS,
) -> SearchPlan:
    """Plan to train on one program and measure it: a search of this program, of which only the report takes place.

    Args:
        heading: line that people read over it: "train reward.py".
        env: a task's name, a Gymnasium id or the file of a card.
        fitness: an expression over the episode's signals; None takes the card's.
        env_steps: environment steps of each training; None takes the card's.
        seeds: training seeds.
        baseline: train on the environment reward too.
        designer: "llm" where a language model proposes the fitness.
        overrides: as in `plan_search`, as are the following.
        file: a TOML configuration.
        sets: assignments "section.key=value".
        trainer_config: tuned settings of the training.
        env_options: of the environment.

    Raises:
        UserError: as `plan_search` does.
    """
    search: dict[str, Any] = {"population": 1, "generations": 1, "seeds": 1, "designer": designer}
    search |= {"final_seeds": seeds, "baseline": baseline}
    if env_steps is not None:
        search["env_steps"] = env_steps
    layer: dict[str, Any] = {"search": search}
    merge_layer(layer, overrides or {})
    plan = plan_without_search(
        heading,
        env,
        fitness,
        file=file,
        overrides=layer,
        sets=sets,
        trainer_config=trainer_config,
        env_options=env_options,
    )
    if plan.config.judges_fitness:
        raise ConfigError(
            "feedback.judge_mode = 'score' with feedback.rank = 'judge': a judge scores the programs of a search, and"
            " one program is measured by an expression; leave feedback.rank out"
        )
    trainings = seeds * (1 + baseline)
    return replace(plan, trainings=trainings, env_steps=trainings * plan.config.search.env_steps)


def plan_probe(
    heading: str, env: str, overrides: Layer | None = None, env_options: EnvOptions = NO_ENV_OPTIONS
) -> SearchPlan:
    """Plan to probe an environment without a search; one without a card needs no fitness for that.

    See `plan_without_search` for the arguments and for what it raises.
    """
    _, card = find_env(env)
    fitness = None if card else ENVIRONMENT_RETURN
    return plan_without_search(heading, env, fitness, overrides=overrides, env_options=env_options)


# ---------------------------------------------------------------- the task


def _plan_task(text: str | None, env: str | Task, ranking: RankOption | None, fitness: str | None) -> Task:
    """Return the task of a search; see `plan_search`.

    Raises:
        TaskError: if there is no such task, or its sentence is missing or empty.
        FitnessError: if the fitness expression does not parse.
    """
    if not isinstance(env, Task):
        metric = rank_option.select_metric(ranking, env) if ranking else fitness
        return load_task(text, env, metric)
    sentence = env.text if text is None else text
    if text is not None:
        check_sentence(text)
    metric = (ranking.fitness if ranking else fitness) or env.fitness
    Fitness.parse(metric)
    return replace(env, text=sentence, fitness=metric)


def _check_models(task: Task, config: Config) -> None:
    """Make sure that every language model that is asked about a task can be, and is told what the agent should do.

    Raises:
        ConfigError: if a model is missing, or jobs run where none can label.
        TaskError: if nobody said what the agent should do.
    """
    if task.fitness == AUTO_FITNESS and config.search.designer != "llm":
        raise ConfigError(
            f"--fitness auto asks the designer's language model, and the designer is {config.search.designer!r}; name a"
            " --model (design, train), or write the fitness yourself: --fitness 'EXPRESSION'"
        )
    labelling.check_executor(config, task.env)
    subgoals.check_writer(task, config)
    if task.text:
        return
    learned_signals.check_goals(task.env)
    if task.fitness == AUTO_FITNESS:
        raise TaskError(
            f"no task card says what {task.env.env_id!r} is for, and a language model is asked about it; write a card"
            f" (rewardsmith envs new {task.env.env_id}) and name its file as --env"
        )


# ---------------------------------------------------------------- the configuration


def _order_layers(
    task: Task, lower: Sequence[Layer], upper: Sequence[Layer], trainer_config: Path | None
) -> list[Layer]:
    """Return the layers of a configuration, the weakest first; see `plan_search`.

    Args:
        task: whose card has settings.
        lower: the user's file and environment variables.
        upper: the command's options and assignments.
        trainer_config: tuned settings of the training, as an rl-zoo3 YAML file.
    """
    preset = presets.find_preset_layer([task.settings, *lower, *upper])
    zoo = rl_zoo.ZooLayers({}, {})
    if trainer_config:
        trainer = rl_zoo.read_trainer_name(preset, task.settings, *lower, *upper)
        zoo = rl_zoo.read_zoo_layers(trainer_config, task.env.env_id, trainer)
    return [preset, task.settings, zoo.defaults, *lower, zoo.written, *upper]


def _choose_designer(config: Config, variables: Mapping[str, str]) -> str:
    """Return the designer; for "auto" "llm" where a model, recorded answers or a key is named, else "symbolic"."""
    if config.search.designer != "auto":
        return config.search.designer
    model = config.llm.model or config.llm.replay or config.llm.cache or variables.get(config.llm.key_variable)
    return "llm" if model else "symbolic"


# ---------------------------------------------------------------- the size


def _measure_size(task: Task, config: Config) -> SearchPlan:
    """Return the plan of a task and a configuration: its trainings, steps and calls.

    Raises:
        ConfigError: if the settings do not fit a stage of the card.
    """
    search = config.search
    stages, stage_steps = count_stage_trainings(task, config)
    env_steps = search.trainings * search.env_steps + stage_steps
    return SearchPlan(task, config, search.trainings + stages, env_steps, _count_calls(task, config))


def _count_calls(task: Task, config: Config) -> int:
    """Return the calls of the language model that a search makes if no program needs a repair."""
    search = config.search
    programs = search.population * search.generations
    calls = programs if search.prompts_designer else 0
    calls += programs * config.critic.review
    calls += search.population * search.read_generations * config.analyzer.model_reads
    calls += _count_judge_calls(config)
    # What is proposed before the first program.
    open_signals = subgoals.list_open_signals(task.env)
    calls += needs_proposal(task, config) + (task.fitness == AUTO_FITNESS) + len(open_signals)
    return calls * (1 + len(task.stages))


def _count_judge_calls(config: Config) -> int:
    """Return how many calls the judge of a search makes: two a comparison, or two a policy and one for the subtasks."""
    search, feedback = config.search, config.feedback
    if config.judges_fitness:
        random_actions = 1
        return 1 + 2 * (search.trainings + random_actions)
    if feedback.judge_mode == "score":
        return 1 + 2 * search.population * search.generations
    return 2 * feedback.judge_pairs * search.generations * (feedback.rank == "judge")
