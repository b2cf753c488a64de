from dataclasses import replace

import pytest

from rewardsmith.api import planning
from rewardsmith.contract.errors import ConfigError, FitnessError, TaskError
from rewardsmith.spec.env_options import read_env_options
from rewardsmith.spec.task_cards import load_task

MODEL = ("llm.model=m",)
LABELLED = 'told = { provider = "labelled", events = ["torso_height"] }'
SUBGOALS = 'told = { provider = "subgoals" }'


@pytest.mark.parametrize(
    ("sets", "environment", "designer"),
    [
        ((), {}, "symbolic"),
        (("llm.model=m",), {}, "llm"),
        ((), {"OPENAI_API_KEY": "sk"}, "llm"),
        (("llm.replay=ledger.jsonl",), {}, "llm"),
        (("search.designer=symbolic",), {"OPENAI_API_KEY": "sk"}, "symbolic"),
        (("search.designer=llm",), {}, "llm"),
    ],
)
def test_the_designer_is_a_model_where_one_can_be_asked(sets, environment, designer):
    plan = planning.plan_search("Hop", "Hopper-v5", sets=sets, variables=environment)
    assert plan.config.search.designer == designer


def test_a_plan_counts_what_lies_ahead():
    sets = ("search.population=3", "search.generations=2", "search.seeds=2", "search.final_seeds=4", "llm.model=m")
    plan = planning.plan_search("Hop", "Hopper-v5", sets=(*sets, "search.env_steps=100"), variables={})
    assert (plan.trainings, plan.env_steps, plan.calls) == (3 * 2 * 2 + 4 * 2, 2_000, 6)


def test_a_plan_counts_the_finalists_too():
    sets = ("search.population=4", "search.generations=2", "search.finalist_share=0.33", "search.env_steps=100")
    search = planning.plan_search("Hop", "Hopper-v5", sets=sets, variables={}).config.search
    assert (search.finalist_trainings, search.trainings) == (4, 4 * 2 + 4 + 5 * 2)


def test_layers_override_in_their_order(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[search]\npopulation = 5\ngenerations = 5\nseeds = 5\n")
    plan = planning.plan_search(
        "Hop",
        "Hopper-v5",
        file=file,
        variables={"REWARDSMITH_SEARCH__GENERATIONS": "6", "REWARDSMITH_SEARCH__SEEDS": "6"},
        overrides={"search": {"seeds": 7}},
        sets=("search.env_steps=8",),
    )
    search = plan.config.search
    assert (search.population, search.generations, search.seeds, search.env_steps) == (5, 6, 7, 8)


def test_a_task_without_a_card_needs_a_fitness():
    with pytest.raises(TaskError, match="--fitness"):
        planning.plan_search("Cross the lake", "FrozenLake-v1", variables={})
    assert planning.plan_search("Cross the lake", "FrozenLake-v1", "length", variables={}).task.fitness == "length"


@pytest.mark.parametrize("signal", [LABELLED, SUBGOALS])
def test_the_sentence_of_a_measured_program_is_the_card_s_and_its_title_a_heading(signal):
    options = read_env_options(None, signals=[signal])
    task = planning.plan_training("train hop.py", "hopper", env_options=options, sets=MODEL).task
    assert (task.heading, task.text) == ("train hop.py", load_task(None, "hopper").text)
    searched = planning.plan_search("Hop twice", "hopper", env_options=options, sets=MODEL).task
    assert searched.heading == searched.text == "Hop twice"


@pytest.mark.parametrize(
    ("signal", "fitness", "message"),
    [
        (LABELLED, "length", r"'told': no task card says what 'Room-v0' is for; write .* goal = "),
        (SUBGOALS, "length", r"'told': no task card says what 'Room-v0' is for; write .* goal = "),
        (None, "auto", r"a language model is asked about it; write a card \(rewardsmith envs new Room-v0\)"),
    ],
)
def test_a_model_is_not_asked_about_a_task_that_nobody_stated(signal, fitness, message):
    options = read_env_options(None, signals=[signal] if signal else [])
    with pytest.raises(TaskError, match=message):
        planning.plan_training("train a.py", "Room-v0", fitness, designer="llm", env_options=options, sets=MODEL)
    stated = read_env_options(None, signals=[LABELLED.replace('labelled"', 'labelled", goal = "Find gold."')])
    task = planning.plan_training("train a.py", "Room-v0", "length", env_options=stated, sets=MODEL).task
    assert (task.heading, task.text) == ("train a.py", "")


def test_a_search_needs_a_sentence():
    with pytest.raises(TaskError, match="say in a sentence"):
        planning.plan_search(None, "Room-v0", "length", variables={})
    with pytest.raises(TaskError, match="text is empty; say in a sentence"):
        planning.plan_search(" ", "hopper", variables={})
    assert planning.plan_search(None, "hopper", variables={}).task == load_task(None, "hopper")


def test_a_given_task_keeps_what_is_not_replaced():
    task = replace(load_task(None, "hopper"), title="mine")
    planned = planning.plan_search(None, task, "length", variables={}).task
    assert (planned.heading, planned.text, planned.fitness) == ("mine", task.text, "length")


def test_only_a_named_model_proposes_the_fitness_of_a_measured_program():
    with pytest.raises(ConfigError, match="the designer is 'symbolic'"):
        planning.plan_training("train hop.py", "hopper", "auto")
    plan = planning.plan_training("train hop.py", "hopper", "auto", designer="llm", sets=MODEL)
    assert (plan.task.fitness, plan.trainings) == ("auto", 1)


@pytest.mark.parametrize("fitness", ["people", "judge", "judge + 0.5*length"])
def test_nobody_compares_one_program(fitness):
    with pytest.raises(FitnessError, match="compare the programs of a search; write an expression here"):
        planning.plan_training("train hop.py", "hopper", fitness, sets=MODEL)
    scored = ("feedback.rank=judge", "feedback.judge_mode=score", *MODEL)
    with pytest.raises(ConfigError, match="one program is measured by an expression"):
        planning.plan_training("train hop.py", "hopper", sets=scored)
