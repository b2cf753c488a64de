import pytest

from rewardsmith.api import searches
from rewardsmith.contract.errors import ConfigError, TaskError
from rewardsmith.executors import open_executor
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.spec.env_options import read_env_options
from rewardsmith.spec.task_cards import load_task


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
    plan = searches.plan_search("Hop", "Hopper-v5", sets=sets, environment=environment)
    assert plan.config.search.designer == designer


def test_a_plan_counts_what_lies_ahead():
    sets = ("search.population=3", "search.generations=2", "search.seeds=2", "search.final_seeds=4", "llm.model=m")
    plan = searches.plan_search("Hop", "Hopper-v5", sets=(*sets, "search.env_steps=100"), environment={})
    assert (plan.trainings, plan.env_steps, plan.calls) == (3 * 2 * 2 + 4 * 2, 2_000, 6)


def test_a_plan_counts_the_finalists_too():
    sets = ("search.population=4", "search.generations=2", "search.finalist_share=0.33", "search.env_steps=100")
    search = searches.plan_search("Hop", "Hopper-v5", sets=sets, environment={}).config.search
    assert (search.finalist_trainings, search.trainings) == (4, 4 * 2 + 4 + 3 * 2)


def test_layers_override_in_their_order(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[search]\npopulation = 5\ngenerations = 5\nseeds = 5\n")
    plan = searches.plan_search(
        "Hop",
        "Hopper-v5",
        file=file,
        environment={"REWARDSMITH_SEARCH__GENERATIONS": "6", "REWARDSMITH_SEARCH__SEEDS": "6"},
        overrides={"search": {"seeds": 7}},
        sets=("search.env_steps=8",),
    )
    search = plan.config.search
    assert (search.population, search.generations, search.seeds, search.env_steps) == (5, 6, 7, 8)


def test_the_limits_of_a_job_are_settings():
    defaults = searches.plan_search("Hop", "Hopper-v5", environment={}).config.limits
    assert (defaults.job_s, defaults.memory_mib) == (43_200.0, 4_096)
    sets = ("limits.job_s=none", "limits.memory_mib=900")
    plan = searches.plan_search("Hop", "Hopper-v5", sets=sets, environment={})
    with open_executor(plan.config, NullCallback().on_notice) as executor:
        assert (executor._time_limit_s, executor._memory_limit_mib) == (None, 900)


def test_more_jobs_than_the_machine_has_cores_are_told_and_run(monkeypatch):
    class Noting(NullCallback):
        def on_notice(self, text):
            told.append(text)

    told = []
    monkeypatch.setattr("rewardsmith.executors.host.count_cores", lambda: 1)
    monkeypatch.setattr("rewardsmith.executors.host.measure_free_memory_mib", lambda: None)
    plan = searches.plan_search("Hop", "Hopper-v5", sets=("jobs=64",), environment={})
    with open_executor(plan.config, Noting().on_notice) as executor:
        assert executor.slots == 64
    assert told == ["64 jobs at once on 1 core: each computes on one thread, so more than 1 gain nothing"]


def test_a_task_without_a_card_needs_a_fitness():
    with pytest.raises(TaskError, match="--fitness"):
        searches.plan_search("Cross the lake", "FrozenLake-v1", environment={})
    assert searches.plan_search("Cross the lake", "FrozenLake-v1", "length", environment={}).task.fitness == "length"


@pytest.mark.parametrize("asks", ["provider = 'labelled', events = ['torso_height']", "provider = 'subgoals'"])
def test_a_model_is_told_the_task_and_not_the_title_of_a_measured_program(asks):
    def read_goal(plan):
        return plan.task.env.learned_signals[0].options.get("goal")

    asked = read_env_options(None, signals=[f"told = {{ {asks} }}"])
    titled = searches.plan_search("train hop.py", "hopper", env_options=asked, is_title=True, sets=("llm.model=m",))
    assert read_goal(titled) == load_task(None, "hopper").text
    assert titled.task.text == "train hop.py"
    searched = searches.plan_search("Hop twice", "hopper", env_options=asked, sets=("llm.model=m",))
    assert read_goal(searched) is None  # the search's own sentence counts


def test_a_model_that_cannot_be_asked_leaves_no_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    plan = searches.plan_search("Hop", "Hopper-v5", sets=("llm.model=m",), environment={})
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        searches.create_run(plan, tmp_path / "run")
    assert not (tmp_path / "run").exists()
