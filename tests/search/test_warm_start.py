"""Warm start: children begin with their parents' policies, the report from nothing, and a resumed run with the same."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.journals import canonical_events
from fakes.played_runs import PlayedExecutor, make_run, write_program

from rewardsmith.api import searches
from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import Candidate, Evaluation, Finalist, Proposal, Result, Training, TrainJob
from rewardsmith.llm.ledger import read_ledger
from rewardsmith.report import result_lines
from rewardsmith.search import finalists, shrinkage
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.journal import read_journal, strip_times
from rewardsmith.search.training_facts import describe_training
from rewardsmith.search.trial import TrialRunner
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.settings import EvolutionSettings

PROGRAMS = [[write_program(up=worth) for worth in pair] for pair in ((1.0, 3.0), (2.0, 4.0), (5.0, 0.5))]
WARM = {"warm_start": "parent", "generations": 3, "finalist_share": 0.2, "final_seeds": 2}


class InheritingExecutor(PlayedExecutor):
    """Trains nothing, and reports the policy that a training would begin with."""

    def train(self, job: TrainJob, out: Path) -> Training:
        training = super().train(job, out)
        initial = job.initial_policy
        return replace(training, inherited_from=initial.owner if initial else None)

    def initial_policies(self) -> dict[str, str | None]:
        """Return the owner of the initial policy of each training of the search's seed 0, by its program."""
        return {job.program or "": job.initial_policy and job.initial_policy.owner for job in self.jobs}  # type: ignore[attr-defined]


class Notices(NullCallback):
    """Keeps the notices."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_notice(self, text: str) -> None:
        self.texts.append(text)


def run_warm(path: Path, executor: PlayedExecutor | None = None, **search: object) -> tuple[Run, Result]:
    run = make_run(path, PROGRAMS, search={**WARM, **search})
    return run, searches.continue_run(run, executor=executor or InheritingExecutor())


def test_children_begin_with_their_parents_policies_and_the_report_from_nothing(tmp_path: Path) -> None:
    executor = InheritingExecutor()
    _, result = run_warm(tmp_path / "run", executor)
    parents = {candidate.id: candidate.trainings[0].inherited_from for candidate in result.candidates}
    assert parents["g0c00"] is parents["g0c01"] is None
    assert parents["g1c00"] == parents["g1c01"] == "g0c01"
    assert parents["g2c00"] == parents["g2c01"] == "g1c01"

    # The policy is that of the parent's training with the same seed.
    for job in executor.jobs:
        assert isinstance(job, TrainJob)
        if job.initial_policy:
            assert Path(job.initial_policy.folder).name == f"train-s{job.seed}"
            assert job.initial_policy.share == 1.0

    # Finalists and report: fresh seeds, from nothing.
    fresh = [job for job in executor.jobs if job.seed >= 500]  # type: ignore[attr-defined]
    assert len(fresh) >= 3
    assert all(job.initial_policy is None for job in fresh)  # type: ignore[attr-defined]
    assert result.reported is not None


def test_the_lineage_has_a_line_of_its_own(tmp_path: Path) -> None:
    run, result = run_warm(tmp_path / "run")
    assert result.best.id == "g2c00"
    assert result.lineage is not None
    assert result.lineage.members == ("g0c01", "g1c01", "g2c00")
    assert result.lineage.env_steps == 300
    assert result.lineage.reached is not None
    assert result.lineage.reached.values == (5.0,)
    folder = run.layout.evaluation_dir("final/lineage-g2c00", 0)
    assert folder.is_dir(), "on episodes of its own, beside the selection's"
    text = "\n".join(result_lines.summarize_result(result))
    assert "warm-started lineage, 300 steps" in text
    assert "g0c01 > g1c01 > g2c00: the policies of the search, not trained from nothing" in text
    assert "warm-started" in run.layout.report.read_text()
    assert searches.find_complete_result(run) is not None
    assert run.read_result() == result


def test_the_prompts_say_from_scratch_only_without_warm_start(tmp_path: Path) -> None:
    for start, is_said in (("parent", False), ("none", True)):
        run, _ = run_warm(tmp_path / start, warm_start=start)
        systems = {entry.request.messages[0].content for entry in read_ledger(run.layout.ledger)}
        assert len(systems) == 1
        assert ("trained from scratch" in systems.pop()) is is_said


def test_without_warm_start_there_is_no_lineage_and_no_initial_policy(tmp_path: Path) -> None:
    executor = InheritingExecutor()
    _, result = run_warm(tmp_path / "run", executor, warm_start="none")
    assert result.lineage is None
    assert set(executor.initial_policies().values()) == {None}
    assert "warm-started" not in "\n".join(result_lines.summarize_result(result))


def test_a_killed_run_goes_on_to_the_same_result(tmp_path: Path) -> None:
    whole, expected = run_warm(tmp_path / "whole")
    for kills, trained in enumerate((3, 5), start=1):
        run = make_run(tmp_path / f"killed-{kills}", PROGRAMS, search=WARM)
        with pytest.raises(KeyboardInterrupt):
            searches.continue_run(run, executor=StoppingExecutor(stop_after=trained))
        opened = Run.open(run.path)
        result = searches.continue_run(opened, executor=InheritingExecutor())
        assert _without_times(result) == _without_times(expected)
        journals = [canonical_events(read_journal(one.layout.journal)) for one in (run, whole)]
        assert journals[0] == journals[1]


class StoppingExecutor(InheritingExecutor):
    """Is interrupted after some trainings."""


def test_a_parents_lost_policy_is_made_again_before_a_child_needs_it(tmp_path: Path) -> None:
    _, expected = run_warm(tmp_path / "whole")
    run = make_run(tmp_path / "run", PROGRAMS, search=WARM)
    with pytest.raises(KeyboardInterrupt):
        searches.continue_run(run, executor=StoppingExecutor(stop_after=4))
    lost = run.layout.training_dir("g1c01", 0)
    shutil.rmtree(lost)
    shutil.rmtree(run.layout.training_dir("g0c01", 0))

    notices, executor = Notices(), InheritingExecutor()
    result = searches.continue_run(Run.open(run.path), notices, executor)
    assert _without_times(result) == _without_times(expected)
    assert (lost / "policy.json").is_file()
    again = [text for text in notices.texts if "its policy is missing; it was done again, with the same result" in text]
    assert sorted(text.partition(":")[0] for text in again) == ["g0c01/trainer/s0", "g1c01/trainer/s0"]


def test_a_parent_without_a_policy_is_a_line_and_a_start_from_nothing(tmp_path: Path) -> None:
    """People may make a program of a candidate whose training failed."""
    run, result = run_warm(tmp_path / "run")
    journal, notices = run.open_journal(), Notices()
    try:
        trials = TrialRunner(run, journal, InheritingExecutor(), notices, run.read_probe())  # type: ignore[arg-type]
        failed = replace(result.candidates[0].trainings[0], status="failed")
        trials.inherit_policies("g3c00", replace(result.candidates[0], trainings=(failed,)))
        (trial,) = trials.run_trials("g3c00", write_program(up=6.0), [0], (1, 2))
    finally:
        journal.close()
    assert (trial.fitness, trial.training.inherited_from) == (6.0, None)
    assert notices.texts == ["g3c00/trainer/s0: trained from nothing: g0c00 has no policy of this training seed"]


def test_a_warm_started_candidate_is_named_after_a_training_from_nothing_alone() -> None:
    """g1c00 looks best by its warm-started training, and g0c00 is better where both are trained from nothing."""

    def make_candidate(id: str, fitness: float, parent: str | None) -> Candidate:
        training = Training("ok", 0, 100, (), 0.1, 0.1, 0.0, inherited_from=parent)
        evaluation = Evaluation("ok", (), fitness, 0.1)
        proposal = Proposal(write_program(up=fitness), "test")
        return Candidate(id, 0, 0, proposal, "ok", None, (training,), (evaluation,), fitness)

    history = [make_candidate("g0c00", 3.0, None), make_candidate("g1c00", 9.0, "g0c00")]
    first = Finalist("g0c00", (3.2,))
    settings = EvolutionSettings()
    assert shrinkage.collect_fitness(history, [first]) == {"g0c00": (3.0, 3.2), "g1c00": (9.0,)}
    assert finalists.name_best(history, [first], settings) is history[0]
    both = [first, Finalist("g1c00", (1.0, 1.2))]
    assert shrinkage.collect_fitness(history, both)["g1c00"] == (1.0, 1.2)
    assert finalists.name_best(history, both, settings) is history[0]
    better = [first, Finalist("g1c00", (6.0, 6.2))]
    assert finalists.name_best(history, better, settings) is history[1]


def test_a_share_without_warm_start_is_refused_in_a_line() -> None:
    with pytest.raises(ConfigError, match=r"warm_start_share changes nothing without search\.warm_start = 'parent'"):
        resolve_config({"search": {"warm_start_share": 0.5}})
    with pytest.raises(ConfigError, match=r"search\.warm_start"):
        resolve_config({"search": {"warm_start": "parents"}})
    config = resolve_config({"search": {"warm_start": "parent", "warm_start_share": 0.5}})
    assert (config.search.warm_start, config.search.warm_start_share) == ("parent", 0.5)
    assert resolve_config({"search": {"warm_start": "none"}}).search.warm_start is None


def test_a_prompt_says_what_a_training_begins_with() -> None:
    plain = describe_training(resolve_config({}))
    warm = describe_training(resolve_config({"search": {"warm_start": "parent"}}))
    assert warm == f"{plain} A program's training begins with the policy of the program that it is built on."
    staged = describe_training(resolve_config({}), "Stand\nup")
    assert staged.endswith("Every training begins with a policy that was trained for this before: Stand up")


def _without_times(result: Result) -> object:
    return strip_times(records.dump(replace(result, run="")))
