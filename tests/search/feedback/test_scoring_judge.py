"""The scoring judge: subtasks once in a run, two answers about each policy, its score as fitness or as reflection."""

import json
from dataclasses import dataclass, field

import pytest
from fakes.played_runs import PlayedExecutor, make_proposal, make_run, write_program

from rewardsmith.contract.errors import BudgetExhausted, ConfigError, ModelRefused
from rewardsmith.contract.records import ModelUsage, Subtask
from rewardsmith.llm import Completion
from rewardsmith.report.result_lines import summarize_result
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.feedback.scoring_judge import NO_FRAMES, number_sample
from rewardsmith.search.loop import Search
from rewardsmith.search.steps.designer.symbolic import SymbolicDesigner
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config

PROGRAMS = [write_program(up=1.0), write_program(up=3.0)]
SUBTASKS = [
    {"name": "leave the ground", "meaning": "1 if the height ends above 0, 0 if not."},
    {"name": "reach four", "meaning": "The share of 4 m that the height reaches."},
]
JUDGED = {"rank": "judge", "judge_mode": "score"}


@dataclass
class Examiner:
    """A model that scores by the height at the end of the shown episode, and higher the second time."""

    name: str = "small"
    asked: list[str] = field(default_factory=list)
    systems: list[str] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    answer_split: object = None
    fails: dict[int, Exception] = field(default_factory=dict)
    """Error by number of the call, from 0."""

    def complete(self, messages, *, role, sample=0) -> Completion:
        assert role == "judge"
        number, prompt = len(self.asked), "\n".join(message.content for message in messages[1:])
        self.asked.append(prompt)
        self.systems.append(messages[0].content)
        self.samples.append(sample)
        if number in self.fails:
            raise self.fails[number]
        answer = self.split() if "<subtasks>" not in prompt else self.score(prompt)
        return Completion(json.dumps(answer), "stop", 1, 1, None, "k.0", 0.1, False)

    def split(self) -> object:
        return self.answer_split or {"subtasks": SUBTASKS}

    def score(self, prompt: str) -> object:
        row = next(line for line in prompt.splitlines() if line.startswith("step 8"))
        height = float(row.split(" | ")[1])
        ground = next(n for n in (1, 2) if f"{n}. leave the ground" in prompt)
        bonus = 0.0 if ground == 1 else 0.1
        scores = {ground: float(height > 0.0), 3 - ground: min(1.0, height / 4 + bonus)}
        return {"scores": [{"subtask": n, "why": f"It ends at {height} m.", "score": scores[n]} for n in (2, 1)]}


class Models:
    def __init__(self, model: object) -> None:
        self.model = model

    @property
    def spent(self) -> ModelUsage:
        return ModelUsage(calls=len(self.model.asked))

    def for_role(self, role: str) -> object:
        return self.model


class Given(SymbolicDesigner):
    """Proposes the programs of this test."""

    def propose(self, brief, slot):
        self.notes = brief.notes
        return make_proposal(PROGRAMS[slot])


class Notices(NullCallback):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_notice(self, text: str) -> None:
        self.lines.append(text)


def search(run: Run, model: object, callback: NullCallback | None = None):
    journal = run.open_journal()
    try:
        parts = (run, journal, Given(), PlayedExecutor(), callback or NullCallback(), Models(model))
        return Search(*parts).run_search()
    finally:
        journal.close()


def test_the_score_is_the_fitness_of_the_search_and_of_the_report(tmp_path):
    run = make_run(tmp_path / "run", feedback=JUDGED, search={"baseline": True})
    result = search(run, Examiner())
    # Means over two answers: (1 + 1 + 0.75 + 0.85) / 4, and for 1 m (1 + 1 + 0.25 + 0.35) / 4.
    assert [candidate.fitness for candidate in result.candidates] == pytest.approx([0.65, 0.9])
    assert (result.best.id, result.reported.mean, result.fitness) == ("g0c01", pytest.approx(0.9), "judge")
    # Random actions stay on the ground: 0 + 0 + 0 + 0.1; the environment reward reaches 5 m.
    assert result.baselines.random == pytest.approx(0.025)
    assert result.baselines.environment_reward.mean == 1.0
    score = result.best.evaluations[0].judge
    assert [(one.name, one.disagreement) for one in score.subtasks] == [
        ("leave the ground", 0.0),
        ("reach four", pytest.approx(0.1)),
    ]
    assert score.subtasks[1].reasons == ("It ends at 3.0 m.", "It ends at 3.0 m.")
    assert summarize_result(result)[0] == "fitness = a model's score of recorded episodes (0 to 1), not a measurement"
    # The fitness of single episodes is still the expression's.
    assert result.best.evaluations[0].episodes[0].fitness == 3.0


def test_the_task_is_split_once_and_every_policy_is_asked_about_twice(tmp_path):
    run, model = make_run(tmp_path / "run", feedback=JUDGED), Examiner()
    result = search(run, model)
    policies = 2 + 1 + 1  # two candidates, the best retrained, random actions
    assert len(model.asked) == result.spent.calls == 1 + 2 * policies
    assert sum("<subtasks>" not in prompt for prompt in model.asked) == 1
    assert len(set(model.samples)) == len(model.samples)
    forward, backward = model.asked[1:3]
    assert "1. leave the ground" in forward
    assert "2. leave the ground" in backward
    for prompt in model.asked:
        assert "g0c0" not in prompt
        assert "WEIGHTS" not in prompt
        assert "itness" not in prompt
    journal = run.open_journal()
    try:
        assert [one.name for one in journal.get("judge/subtasks", tuple[Subtask, ...])] == [
            "leave the ground",
            "reach four",
        ]
    finally:
        journal.close()


def test_a_resumed_search_asks_nothing_again(tmp_path):
    run = make_run(tmp_path / "run", feedback=JUDGED)
    first = search(run, Examiner())
    again = Examiner()
    assert search(Run.open(run.path), again).reported == first.reported
    assert again.asked == []


def test_with_a_metric_the_reasons_go_into_the_reflection_and_the_metric_ranks(tmp_path):
    run, model = make_run(tmp_path / "run", feedback={"judge_mode": "score"}), Examiner()
    result = search(run, model)
    assert len(model.asked) == 1 + 2 * 2  # the first training of each candidate, and nothing of the report
    assert [candidate.fitness for candidate in result.candidates] == [1.0, 3.0]
    assert result.fitness == "height[-1]"
    text = result.best.reflection.text
    assert "Fitness 3: the mean over" in text
    assert "- reach four: 0.8. It ends at 3.0 m. / It ends at 3.0 m." in text
    assert "- leave the ground: 1. It ends" in text


def test_a_judged_fitness_is_called_so_in_the_reflection_and_in_later_prompts(tmp_path):
    run = make_run(tmp_path / "run", feedback=JUDGED, search={"generations": 2})
    designer, journal = Given(), run.open_journal()
    try:
        result = Search(run, journal, designer, PlayedExecutor(), NullCallback(), Models(Examiner())).run_search()
    finally:
        journal.close()
    assert "Fitness 0.9, from 0 to 1: a judge's score of recorded episodes." in result.best.reflection.text
    assert any("is a judge's score of recorded episodes" in note and "height[-1]" in note for note in designer.notes)


def test_a_score_that_is_missing_is_asked_for_again(tmp_path):
    class Forgetful(Examiner):
        def score(self, prompt: str) -> object:
            if len(self.asked) == 2:
                return {"scores": [{"subtask": 1, "why": "It stands.", "score": 1.0}]}
            if "each of the subtasks 1 to 2; those given are of 1" in prompt:
                return {"scores": [{"subtask": n, "why": "It rises.", "score": 0.5} for n in (1, 2)]}
            return super().score(prompt)

    run, model = make_run(tmp_path / "run", feedback=JUDGED, search={"population": 1, "final_seeds": 0}), Forgetful()
    result = search(run, model)
    assert result.best.evaluations[0].judge.subtasks[0].reasons[0] == "It rises."


@pytest.mark.parametrize("score", [-0.1, 1.5, "half", None])
def test_a_score_outside_of_0_to_1_is_no_score(tmp_path, score):
    class Wild(Examiner):
        def score(self, prompt: str) -> object:
            return {"scores": [{"subtask": n, "why": "So.", "score": score} for n in (1, 2)]}

    run = make_run(tmp_path / "run", feedback={"judge_mode": "score"}, search={"population": 1, "final_seeds": 0})
    result = search(run, Wild())
    judge = result.best.evaluations[0].judge
    assert (judge.subtasks, judge.score) == ((), None)
    assert judge.problem.startswith("the model 'small' gave no usable answer as the judge, asked twice: scores.0.score")


def test_a_judge_that_declines_leaves_the_candidate_without_fitness(tmp_path):
    model = Examiner(fails={1: ModelRefused("the model declined")})
    result = search(make_run(tmp_path / "run", feedback=JUDGED), model)
    states = {candidate.status: candidate for candidate in result.candidates}
    assert set(states) == {"ok", "failed"}
    assert (states["failed"].fitness, states["failed"].cause) == (None, "the judge gave no score: the model declined")


def test_a_spent_budget_ends_the_search_and_a_resumed_one_scores_the_rest(tmp_path):
    run = make_run(tmp_path / "run", feedback=JUDGED)
    poor = Examiner(fails={number: BudgetExhausted("4 of 4 calls are spent") for number in range(3, 99)})
    result = search(run, poor)
    statuses = sorted(candidate.status for candidate in result.candidates)
    assert statuses in (["infrastructure", "ok"], ["infrastructure", "infrastructure"]) and result.reported is None
    assert "the judge gave no score: 4 of 4 calls are spent" in {one.cause for one in result.candidates}
    rich = search(Run.open(run.path), Examiner())
    assert [candidate.fitness for candidate in rich.candidates] == pytest.approx([0.65, 0.9])
    assert rich.reported.mean == pytest.approx(0.9)


def test_a_model_that_splits_nothing_ends_a_search_that_needs_it_before_any_training(tmp_path):
    model = Examiner(answer_split={"subtasks": [SUBTASKS[0]]})
    run = make_run(tmp_path / "run", feedback=JUDGED)
    with pytest.raises(ModelRefused, match="gave no usable answer as the judge, asked twice: subtasks"):
        search(run, model)
    assert not run.layout.candidates_dir.exists()


def test_a_model_that_splits_nothing_costs_a_search_with_a_metric_only_the_reasons(tmp_path):
    model, notices = Examiner(answer_split={"subtasks": []}), Notices()
    result = search(make_run(tmp_path / "run", feedback={"judge_mode": "score"}), model, notices)
    assert result.best.fitness == 3.0
    assert any(line.startswith("no judge scores the episodes, as the task was not split") for line in notices.lines)
    assert result.best.evaluations[0].judge is None


def test_a_judge_without_frames_says_so_once(tmp_path):
    notices, model = Notices(), Examiner()
    search(make_run(tmp_path / "run", feedback=JUDGED), model, notices)
    assert notices.lines.count(NO_FRAMES) == 1
    assert "the judge scores each of: leave the ground; reach four" in notices.lines
    assert not any("frame" in text for text in model.systems)


def test_a_judge_with_frames_sees_those_of_the_steps_in_its_table(tmp_path, monkeypatch):
    shown = []

    class Eyes(Examiner):
        def complete(self, messages, *, role, sample=0):
            shown.append([picture.label for picture in messages[1].pictures])
            return super().complete(messages, role=role, sample=sample)

    def draw(self, evaluation, episode, steps):
        files = {step: evaluation / f"{episode.seed}-{step}.png" for step in steps}
        for file in files.values():
            file.write_bytes(b"png")
        return files

    monkeypatch.setattr("rewardsmith.executors.frames.FrameRenderer.render_frames", draw)
    notices, model = Notices(), Eyes()
    run = make_run(tmp_path / "run", feedback={**JUDGED, "judge_frames": 2}, search={"final_seeds": 0})
    result = search(run, model, notices)
    assert shown[0] == []
    labels = [f"Episode {number}, step {step}:" for number in (1, 2) for step in (1, 8)]
    assert all(one == labels for one in shown[1:])
    assert "figures and frames" in model.systems[1]
    assert result.best.evaluations[0].judge.frames == 4
    assert NO_FRAMES not in notices.lines


def test_all_policies_are_shown_in_the_same_signals(tmp_path):
    recorded = []

    class Recorder(PlayedExecutor):
        def run(self, job, out, on_event=None, decide=None):
            if hasattr(job, "record"):
                recorded.append(job.record)
            return super().run(job, out, on_event, decide)

    run = make_run(tmp_path / "run", feedback=JUDGED)
    journal = run.open_journal()
    try:
        Search(run, journal, Given(), Recorder(), NullCallback(), Models(Examiner())).run_search()
    finally:
        journal.close()
    assert {tuple(sorted(names)) for names in recorded} == {("height", "speed")}


def test_sample_numbers_depend_on_the_policy_alone():
    numbers = [number_sample(owner, 0, attempt) for owner in ("g0c00", "g0c01", "final/g0c01") for attempt in (0, 1)]
    assert len({*numbers, number_sample("baseline", None, 0)}) == 7
    assert number_sample("g0c00", 0, 1) == number_sample("g0c00", 0, 0) + 1


def test_a_metric_beside_a_judges_score_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="the judge's score is the fitness, and no metric counts beside it"):
        resolve_config({"feedback": {**JUDGED, "blend": 0.5}})
