"""One budget for a whole search: its division, and the budgets that are refused."""

from dataclasses import replace

import pytest

from rewardsmith.api import planning, search_budget
from rewardsmith.api.search_budget import SearchBudget, divide_trainings, parse_budget
from rewardsmith.contract.errors import ConfigError
from rewardsmith.spec.config import resolve_config

SHARED = resolve_config({"search": {"finalist_share": 0.33}})
TASK = ("Hop", "Hopper-v5")
CARD_STEPS = planning.plan_search(*TASK, variables={}).config.search.env_steps


@pytest.mark.parametrize("trainings", [*range(1, 40), 60, 100, 250, 1000])
@pytest.mark.parametrize("layer", [{}, {"baseline": False}, {"final_seeds": 0}, {"finalist_share": 0.0}])
def test_a_division_never_takes_more_than_there_is(trainings, layer):
    config = resolve_config({"search": {"finalist_share": 0.33} | layer})
    shape = divide_trainings(trainings, config)
    resolved = resolve_config({"search": layer}, shape.layer).search
    assert resolved.finalist_trainings == shape.finalist_trainings
    assert 1 <= resolved.trainings <= trainings
    assert resolved.seeds == 1


def test_a_bigger_budget_tries_more_programs():
    programs = [
        shape.population * shape.generations
        for shape in (divide_trainings(trainings, SHARED) for trainings in (1, 6, 18, 60, 250))
    ]
    assert programs == sorted(set(programs))


def test_little_goes_to_programs_first_and_much_to_a_better_report_too():
    assert divide_trainings(1, SHARED).final_seeds == 0
    assert [divide_trainings(trainings, SHARED).final_seeds for trainings in (6, 12, 18, 20, 60)] == [1, 3, 4, 5, 5]


def test_the_budget_of_the_default_search_gives_the_default_search():
    default = planning.plan_search(*TASK, variables={})
    plan = planning.plan_search(*TASK, variables={}, budget=SearchBudget(env_steps=default.env_steps))
    sizes = [
        (one.population, one.generations, one.finalist_trainings, one.final_seeds)
        for one in (default.config.search, plan.config.search)
    ]
    assert sizes[0] == sizes[1]
    assert (plan.env_steps, plan.config.search.env_steps) == (default.env_steps, CARD_STEPS)


def test_a_language_model_writes_all_programs_of_a_small_budget_at_once():
    layer = {"search": {"designer": "llm"}, "llm": {"model": "m"}}
    shapes = []
    for trainings in (8, 16, 28, 40):
        budget = SearchBudget(env_steps=trainings * CARD_STEPS)
        search = planning.plan_search(*TASK, overrides=layer, variables={}, budget=budget).config.search
        shapes.append((search.population, search.generations, search.final_seeds))
    assert shapes == [(4, 1, 2), (8, 1, 4), (18, 1, 5), (6, 5, 5)]


def test_what_grows_from_earlier_programs_has_generations_by_default(tmp_path):
    preset = tmp_path / "mine.toml"
    preset.write_text('about = "a tree"\n[search]\nstrategy = "mcts"\npopulation = 2\n')
    symbolic = planning.plan_search(*TASK, variables={}).config.search
    written = planning.plan_search(*TASK, variables={"OPENAI_API_KEY": "k"}).config.search
    tree = {"search": {"strategy": "mcts"}}
    searched = planning.plan_search(*TASK, overrides=tree, variables={"OPENAI_API_KEY": "k"}).config.search
    own = planning.plan_search(*TASK, sets=["search.generations=2"], variables={}).config.search
    mine = planning.plan_search(*TASK, overrides={"preset": str(preset)}, variables={"OPENAI_API_KEY": "k"})
    plans = (symbolic, written, searched, own, mine.config.search)
    sizes = [(search.population, search.generations) for search in plans]
    assert sizes == [(4, 3), (6, 1), (4, 3), (4, 2), (2, 3)]


def test_minutes_count_by_the_measured_speed_and_the_trainings_that_follow_one_another(monkeypatch):
    monkeypatch.setattr(search_budget, "measure_training_speed", lambda env_id: CARD_STEPS / 60.0)
    monkeypatch.setattr(search_budget, "slots_for", lambda config: 4)
    plan = planning.plan_search(*TASK, variables={}, budget=SearchBudget(minutes=7.5))
    search = plan.config.search
    shape = divide_trainings(search.trainings, plan.config)
    waves = replace(
        shape,
        population=search.population,
        generations=search.generations,
        finalist_trainings=search.finalist_trainings,
        final_seeds=search.final_seeds,
    ).count_waves(2, 4)
    assert waves <= 7
    assert search.trainings > 7


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (SearchBudget(env_steps=CARD_STEPS - 1), f"the least is --budget-steps {CARD_STEPS}"),
        (SearchBudget(minutes=0.5), r"the least is --budget-minutes 2"),
    ],
)
def test_a_budget_for_less_than_one_training_is_refused_with_the_least(monkeypatch, budget, message):
    monkeypatch.setattr(search_budget, "measure_training_speed", lambda env_id: CARD_STEPS / 120.0)
    with pytest.raises(ConfigError, match=message) as raised:
        planning.plan_search(*TASK, variables={}, budget=budget)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("overrides", "sets", "option"),
    [
        ({"search": {"population": 3}}, (), "--population"),
        ({"search": {"env_steps": 3}}, (), "--steps"),
        ({}, ("search.generations=2",), "--generations"),
        ({}, ("search.seeds=2",), "--seeds"),
    ],
)
def test_sizes_beside_a_budget_are_refused(overrides, sets, option):
    with pytest.raises(ConfigError, match=f"{option} and --budget-steps contradict each other"):
        planning.plan_search(
            *TASK, overrides=overrides, sets=sets, variables={}, budget=SearchBudget(env_steps=10_000_000)
        )


def test_a_budget_lies_over_a_file_and_a_preset(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('preset = "eureka"\n[llm]\nmodel = "m"\n[search]\ngenerations = 9\n')
    plan = planning.plan_search(*TASK, file=file, variables={}, budget=SearchBudget(env_steps=20 * CARD_STEPS))
    assert plan.trainings <= 20
    assert plan.config.search.finalist_trainings == 0
    assert plan.config.preset == "eureka"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((1, 1.0), "give one of them"),
        ((0, None), "--budget-steps 0: must be at least 1"),
        ((None, 0.0), "--budget-minutes 0: must be"),
        ((None, float("nan")), "--budget-minutes nan: must be"),
        ((None, float("inf")), "--budget-minutes inf: must be"),
    ],
)
def test_a_budget_that_is_none_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        parse_budget(*options)
    assert parse_budget(None, None) is None
