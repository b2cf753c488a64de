"""The loop with fake trainings: its reaction to every kind of outcome."""

from dataclasses import replace

import pytest
from fakes.played_search import BROKEN, PROGRAM, TASK, PlayedExecutor, ScriptedDesigner, search

from rewardsmith.contract import records
from rewardsmith.contract.errors import (
    BudgetExhausted,
    FitnessError,
    ModelRefused,
    ModelUnavailable,
    NoValidCandidate,
    TaskError,
)
from rewardsmith.contract.records import (
    EnvSpec,
    EvaluateJob,
    Evaluation,
    Metric,
    Result,
    TrainJob,
)
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.loop import Search
from rewardsmith.search.steps import evaluator, trainer
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config


def test_the_best_candidate_wins_and_is_trained_anew(tmp_path):
    executor = PlayedExecutor()
    result = search(tmp_path, ScriptedDesigner([1.0, 3.0, 2.0, 0.5]), executor)
    assert (result.best.id, result.best.fitness) == ("g0c01", pytest.approx(3.0))
    assert result.reported.mean == pytest.approx(3.0005)
    assert (result.baselines.random, result.baselines.environment_reward.mean) == (0.0, pytest.approx(5.0005))
    assert result.normalised == pytest.approx(3.0005 / 5.0005)
    assert (tmp_path / "run" / "reward.py").read_text() == PROGRAM.format(worth=3.0)
    assert result.env_steps == 800


def test_a_final_training_that_fails_is_not_left_out_of_a_normalised_score(tmp_path):
    class OneFinalFails(PlayedExecutor):
        def train(self, job, out):
            training = super().train(job, out)
            return (
                replace(training, status="failed", cause="it diverged")
                if out.match("final/*/train-s1001")
                else training
            )

    executor = OneFinalFails()
    result = search(tmp_path, ScriptedDesigner([1.0, 3.0, 2.0, 0.5]), executor)
    assert (len(result.reported.values), len(result.baselines.environment_reward.values)) == (1, 2)
    assert result.normalised is None


def test_what_is_reported_uses_no_seed_of_the_selection(tmp_path):
    executor = PlayedExecutor()
    search(tmp_path, ScriptedDesigner([1.0, 3.0, 2.0, 0.5]), executor)
    config = resolve_config({"search": {"final_seeds": 2}})
    training = {job.seed for job in executor.jobs if isinstance(job, TrainJob)}
    selected = set(trainer.training_seeds(config, trainer.SEARCH_SEEDS, 1))
    reported = set(trainer.training_seeds(config, trainer.FINAL_SEEDS, 2))
    assert training == selected | reported
    assert not selected & reported
    episodes = [set(job.seeds) for job in executor.jobs if isinstance(job, EvaluateJob)]
    selection = set(evaluator.episode_seeds(config, evaluator.SELECTION, 10))
    assert all(seeds == selection or not seeds & selection for seeds in episodes)
    assert any(not seeds & selection for seeds in episodes)


def test_a_refused_program_goes_back_to_its_author_with_the_finding(tmp_path):
    designer = ScriptedDesigner([BROKEN, 1.0, 1.0, 1.0], repaired=PROGRAM.format(worth=9.0))
    result = search(tmp_path, designer)
    assert (result.best.id, result.best.repairs) == ("g0c00", 1)
    ((round, findings),) = designer.repairs
    assert round == 1
    assert any("hight" in finding.message and "height" in finding.message for finding in findings)


def test_a_program_that_is_never_mended_is_invalid_after_three_repairs(tmp_path):
    designer = ScriptedDesigner([BROKEN, 1.0, 1.0, 1.0])
    result = search(tmp_path, designer)
    invalid = result.candidates[0]
    assert (invalid.status, invalid.fitness, invalid.repairs) == ("invalid", None, 3)
    assert "hight" in invalid.cause


def test_a_model_that_declines_costs_its_slot_alone(tmp_path):
    result = search(tmp_path, ScriptedDesigner([ModelRefused("the model declined"), 1.0, 2.0, 3.0]))
    assert (result.candidates[0].status, result.candidates[0].cause) == ("invalid", "the model declined")
    assert result.best.id == "g1c01"


def test_a_failed_training_never_outranks_a_negative_fitness(tmp_path):
    result = search(tmp_path, ScriptedDesigner([8.0, -3.0, 8.0, -4.0]), PlayedExecutor({8.0: "failed"}))
    assert (result.best.id, result.best.fitness) == ("g0c01", pytest.approx(-3.0))
    assert result.candidates[0].cause == "it failed"


def test_an_all_failed_generation_is_told_to_the_next(tmp_path):
    designer = ScriptedDesigner([8.0, 8.5, 1.0, 2.0])
    search(tmp_path, designer, PlayedExecutor({8.0: "failed", 8.5: "timeout"}))
    brief = designer.briefs[-1]
    assert brief.parents == ()
    assert [(candidate.status, candidate.cause) for candidate in brief.history] == [
        ("failed", "it failed"),
        ("timeout", "it timeout"),
    ]


def test_no_scored_candidate_at_all_is_an_error_with_the_first_cause(tmp_path):
    with pytest.raises(NoValidCandidate, match=r"none of 4 candidates.*g0c00 \(failed\): it failed"):
        search(tmp_path, ScriptedDesigner([8.0] * 4), PlayedExecutor({8.0: "failed"}))


def test_the_target_ends_the_search(tmp_path):
    sets = ({"search": {"target_fitness": 2.5}},)
    result = search(tmp_path, ScriptedDesigner([1.0, 3.0, 9.0, 9.0]), sets=sets)
    assert len(result.candidates) == 2
    assert "target fitness 2.5 is reached" in result.stopped


def test_an_exhausted_budget_ends_orderly_with_the_best_so_far(tmp_path):
    designer = ScriptedDesigner([1.0, 3.0, 2.0, BudgetExhausted("9 of 9 calls are spent")])
    result = search(tmp_path, designer)
    assert (result.best.id, len(result.candidates)) == ("g0c01", 3)
    assert "9 of 9 calls" in result.stopped


def test_the_step_budget_starts_no_further_generation(tmp_path):
    result = search(tmp_path, ScriptedDesigner([1.0, 3.0, 9.0, 9.0]), sets=({"budget": {"env_steps": 350}},))
    assert len(result.candidates) == 2
    assert "200 of 350 environment steps are done, and a generation may take 200 more" in result.stopped


def test_a_lost_endpoint_keeps_what_is_done(tmp_path):
    with pytest.raises(ModelUnavailable):
        search(tmp_path, ScriptedDesigner([1.0, 3.0, 2.0, ModelUnavailable("down")]))
    executor = PlayedExecutor()
    executor.worth = {str(tmp_path / f"run/candidates/{id}/train-s0"): 0.0 for id in ("g0c00", "g0c01", "g1c00")}
    result = search(tmp_path, ScriptedDesigner([None, None, None, 7.0]), executor)
    assert result.best.id == "g1c01"
    trained = [job.program for job in executor.jobs if isinstance(job, TrainJob) and job.seed < 1000]
    assert trained == [PROGRAM.format(worth=7.0)]


def test_a_cause_that_ended_several_programs_is_told_once(tmp_path):
    with pytest.raises(ModelUnavailable) as caught:
        search(tmp_path, ScriptedDesigner([ModelUnavailable("down"), ModelUnavailable("down")]))
    assert str(caught.value) == "down (this hit 2 programs)"


def test_a_failure_of_the_machine_is_tried_again_by_a_resumed_search(tmp_path):
    outcomes = {9.0: "infrastructure"}
    first = search(tmp_path, ScriptedDesigner([9.0, 1.0, 1.0, 1.0]), PlayedExecutor(outcomes))
    assert (first.candidates[0].status, first.best.id) == ("infrastructure", "g0c01")
    executor = PlayedExecutor()
    executor.worth = dict.fromkeys(executor.worth, 1.0)
    second = search(tmp_path, ScriptedDesigner([None] * 4), executor)
    assert second.best.id == "g0c00"


def test_a_fitness_that_names_no_signal_is_found_before_anything_is_trained(tmp_path):
    executor = PlayedExecutor()
    path = tmp_path / "run"
    Run.create(path, replace(TASK, fitness="hight[-1]"), resolve_config({"search": {"designer": "symbolic"}}))
    with pytest.raises(Exception, match="hight") as raised:
        search(tmp_path, ScriptedDesigner([1.0] * 12), executor)
    assert "height" in str(raised.value)
    assert not any(isinstance(job, TrainJob) for job in executor.jobs)


def test_an_environment_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    class NoEnvironment(PlayedExecutor):
        def probe(self, out):
            return replace(super().probe(out), status="failed", cause="there is no environment 'Thing-v0'")

    with pytest.raises(TaskError, match="there is no environment 'Thing-v0'"):
        search(tmp_path, ScriptedDesigner([1.0] * 4), NoEnvironment())


def test_an_action_that_no_card_tells_of_is_described_by_its_space(tmp_path):
    class Choosing(PlayedExecutor):
        def probe(self, out):
            return replace(super().probe(out), action_about="one number, a choice")

    designer, small = ScriptedDesigner([1.0, 2.0]), {"population": 2, "generations": 1, "final_seeds": 0}
    config = resolve_config({"search": {**small, "designer": "symbolic"}})
    Run.create(tmp_path / "run", replace(TASK, action=""), config)
    search(tmp_path, designer, Choosing())
    assert {brief.action for brief in designer.briefs} == {"one number, a choice"}


def test_what_a_program_reads_is_recorded_also_where_the_task_does_not_name_it(tmp_path):
    task = replace(TASK, env=EnvSpec("Thing-v0"))
    config = {"population": 1, "generations": 1, "final_seeds": 1, "env_steps": 100, "designer": "symbolic"}
    run = Run.create(tmp_path / "run", task, resolve_config({"search": config}))
    journal, executor = run.open_journal(), PlayedExecutor()
    try:
        Search(run, journal, ScriptedDesigner([1.0]), executor, NullCallback()).run_search()
    finally:
        journal.close()
    recorded = {
        job.policy is not None and "baseline" not in job.policy: job.record
        for job in executor.jobs
        if isinstance(job, EvaluateJob)
    }
    assert recorded == {True: ("height",), False: ()}


FIGURES = (Metric("depth", "-min(height)", "how low it sank"), Metric("lost", "sqrt(height[-1])", "no number for some"))


class FiguresToo(PlayedExecutor):
    """Measures the metrics of a job; the deeper a policy sinks, the lower its fitness."""

    def run(self, job, out, on_event=None, decide=None):
        found = super().run(job, out, on_event, decide)
        if not isinstance(found, Evaluation):
            return found
        assert set(job.metrics) in ({"depth", "lost"}, set())
        values = {"depth": 10.0 - found.fitness, "lost": None} if job.metrics else {}
        episodes = tuple(replace(episode, metrics=values) for episode in found.episodes)
        cause = "metric 'lost': the result is nan" if job.metrics else None
        return replace(found, episodes=episodes, metrics=values, cause=cause)


class Notices(NullCallback):
    def __init__(self):
        self.said = []

    def on_notice(self, text):
        self.said.append(text)


def searched(path, task, designer, watch=None):
    config = {"population": 2, "generations": 2, "final_seeds": 2, "env_steps": 100, "designer": "symbolic"}
    run = Run.create(path, task, resolve_config({"search": config}))
    journal = run.open_journal()
    try:
        return Search(run, journal, designer, FiguresToo(), watch or NullCallback()).run_search()
    finally:
        journal.close()


def test_figures_are_reported_beside_the_fitness_and_nothing_is_chosen_by_them(tmp_path):
    watch, plain, beside = Notices(), ScriptedDesigner([1.0, 3.0, 2.0, 0.5]), ScriptedDesigner([1.0, 3.0, 2.0, 0.5])
    without = searched(tmp_path / "without", TASK, plain)
    result = searched(tmp_path / "with", replace(TASK, metrics=FIGURES), beside, watch)
    depth, lost = result.metrics
    assert (depth.name, depth.expression, depth.meaning) == ("depth", "-min(height)", "how low it sank")
    assert depth.reported.values == tuple(10.0 - value for value in result.reported.values)
    assert depth.reported.low < depth.reported.mean < depth.reported.high
    assert (depth.random, depth.environment_reward.mean) == (10.0, pytest.approx(4.9995))
    assert depth.chosen.mean == pytest.approx(7.0)
    assert (lost.reported, lost.environment_reward, lost.random, lost.chosen) == (None, None, None, None)
    assert any("metric 'lost': the result is nan" in said for said in watch.said)
    assert without.metrics == ()
    assert [[one.id for one in brief.parents] for brief in beside.briefs] == [
        [one.id for one in brief.parents] for brief in plain.briefs
    ]
    assert (result.best.id, result.reported, result.baselines) == (without.best.id, without.reported, without.baselines)


def test_a_figure_that_names_what_is_not_there_is_refused_before_anything_is_trained(tmp_path):
    task = replace(TASK, metrics=(Metric("depth", "-min(hight)", "how low"),))
    with pytest.raises(FitnessError, match=r"metric 'depth': no signal 'hight'; near it: height"):
        searched(tmp_path / "run", task, ScriptedDesigner([1.0] * 4))


def test_a_result_from_before_there_were_figures_still_loads(tmp_path):
    result = searched(tmp_path / "run", TASK, ScriptedDesigner([1.0, 3.0, 2.0, 0.5]))
    old = records.dump(result)
    del old["metrics"]
    for candidate in (old["best"], *old["candidates"]):
        for evaluation in candidate["evaluations"]:
            del evaluation["metrics"]
            for episode in evaluation["episodes"]:
                del episode["metrics"]
    assert records.load(Result, old) == result


def test_the_wall_clock_of_earlier_sessions_counts(tmp_path):
    path = tmp_path / "run"
    search_of_two = {"population": 2, "generations": 2, "final_seeds": 2, "env_steps": 100, "designer": "symbolic"}
    Run.create(path, TASK, resolve_config({"search": search_of_two, "budget": {"wall_s": 1000}}))
    (path / "clock.json").write_text('{"wall_s": 2000}')
    with pytest.raises(NoValidCandidate, match="1000 s of wall time are over"):
        search(tmp_path, ScriptedDesigner([1.0] * 4))


def test_a_generation_that_has_begun_is_finished_although_the_wall_clock_has_run_out(tmp_path):
    sets = ({"budget": {"wall_s": 1000}},)
    with pytest.raises(ModelUnavailable):
        search(tmp_path, ScriptedDesigner([1.0, ModelUnavailable("down"), 2.0, 4.0]), sets=sets)
    (tmp_path / "run" / "clock.json").write_text('{"wall_s": 2000}')
    executor = PlayedExecutor()
    executor.worth = {str(tmp_path / "run/candidates/g0c00/train-s0"): 1.0}
    result = search(tmp_path, ScriptedDesigner([1.0, 3.0, 2.0, 4.0]), executor)
    assert [candidate.id for candidate in result.candidates] == ["g0c00", "g0c01"]
    assert "1000 s of wall time are over" in result.stopped


@pytest.mark.parametrize("deterministic", [True, False])
def test_policies_are_measured_as_the_settings_say(tmp_path, deterministic):
    executor = PlayedExecutor()
    search(
        tmp_path, ScriptedDesigner([1.0, 3.0, 2.0, 4.0]), executor, [{"evaluation": {"deterministic": deterministic}}]
    )
    measured = [job for job in executor.jobs if job.kind == "evaluate"]
    assert {job.deterministic for job in measured} == {deterministic}
