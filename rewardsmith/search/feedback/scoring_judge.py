"""Scoring judge: a language model that scores one policy by itself, from 0 to 1, from its recorded episodes.

The task is split into subtasks once in a run, so that all its policies are scored by the same ones. The model is asked
twice about each policy, the second time with the subtasks in the opposite order; the mean counts, and the disagreement
is recorded. Remarks of people change no score, since earlier scores were given without them.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

from pydantic import Field

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import Evaluation, JudgeScore, Probe, Status, Subtask, SubtaskScore
from rewardsmith.executors.frames import FrameRenderer
from rewardsmith.llm import LanguageModel, ModelPool, Picture, prompts
from rewardsmith.llm.structured_output import AnswerForm, request_form
from rewardsmith.search.feedback.episode_material import MAX_COLUMNS, EpisodeMaterial
from rewardsmith.search.feedback.llm_judge import ROLE
from rewardsmith.search.steps import trainer
from rewardsmith.search.storage import Journal, Run, journal_keys, layout

MOMENTS = 12
"""Moments of each episode in its table: a score by itself needs more of them than a comparison."""
ANSWERS = 2
"""Times that the model is asked about a policy."""
REASON_CHARS = 300
NAME_CHARS = 60
NO_FRAMES = (
    "the judge scores from tables of signals alone and sees no picture; feedback.judge_frames = 4 shows it frames too"
)
Text = Annotated[str, Field(min_length=1, max_length=4000)]


class SplitSubtask(AnswerForm):
    """A subtask as the model names it."""

    name: Text
    meaning: Text


class SplitAnswer(AnswerForm):
    """The model's answer to the question into which subtasks a task is split."""

    subtasks: Annotated[list[SplitSubtask], Field(min_length=2, max_length=6)]


class GivenScore(AnswerForm):
    """The score of one subtask, as the model gives it."""

    subtask: int
    """Its number in the prompt, from 1."""
    why: Text
    score: Annotated[float, Field(ge=0.0, le=1.0)]


class ScoreAnswer(AnswerForm):
    """The model's answer about one policy."""

    scores: Annotated[list[GivenScore], Field(min_length=1, max_length=12)]


def build_scoring_judge(
    run: Run,
    journal: Journal,
    models: ModelPool | None,
    probe: Probe,
    frame_renderer: FrameRenderer | None,
    notice: Callable[[str], None],
) -> ScoringJudge | None:
    """Return the scoring judge of a search, with the task split into subtasks; None where no judge scores.

    A judge whose score is the fitness must be able to split the task; one that only adds reasons to the reflection is
    left out where it cannot.

    Args:
        run: the run, for its task and settings.
        journal: the run's journal, which keeps the subtasks.
        models: the models of the run; None where no role asks one.
        probe: the environment's catalogue.
        frame_renderer: renders the frames that the model sees.
        notice: told in a line what a user should know.

    Raises:
        ModelError: if the endpoint cannot be used, a replayed ledger lacks the answer, or the model gave no subtasks.
        BudgetExhausted: if the calls are spent.
        RunError: if an answer could not be recorded.
    """
    if models is None or run.config.feedback.judge_mode != "score":
        return None
    judge = ScoringJudge(run, journal, models.for_role(ROLE), probe, frame_renderer)
    if not run.config.feedback.judge_frames:
        notice(NO_FRAMES)
    try:
        names = [subtask.name for subtask in judge.split_task()]
    except (ModelRefused, BudgetExhausted) as error:
        if run.config.judges_fitness:
            raise
        notice(f"no judge scores the episodes, as the task was not split into subtasks: {error}")
        return None
    notice(f"the judge scores each of: {'; '.join(names)}")
    return judge


class ScoringJudge:
    """Scores the policies of one search; for several threads."""

    def __init__(
        self,
        run: Run,
        journal: Journal,
        model: LanguageModel,
        probe: Probe,
        frame_renderer: FrameRenderer | None = None,
    ) -> None:
        """Bind the judge to a run.

        Args:
            run: the run, for its task, settings and recorded episodes.
            journal: the run's journal, which keeps the subtasks.
            model: the model that scores.
            probe: the environment's catalogue, of which the first signals are shown.
            frame_renderer: renders the frames that the model sees; None shows none.
        """
        self._run, self._journal, self._model = run, journal, model
        self._shown_signals = probe.signals[:MAX_COLUMNS]
        self._material = EpisodeMaterial(run, frame_renderer, MOMENTS)
        self._lock = threading.Lock()

    @property
    def recorded_signals(self) -> tuple[str, ...]:
        """Signals that every evaluation must record, so that all policies are shown in the same ones."""
        return tuple(signal.name for signal in self._shown_signals)

    def split_task(self) -> tuple[Subtask, ...]:
        """Return the subtasks of the task; the model is asked once in a run.

        Raises:
            ModelError: if the endpoint cannot be used, or the model gave no subtasks.
            BudgetExhausted: if the calls are spent.
            RunError: if an answer could not be recorded.
        """
        with self._lock:
            return self._journal.once(journal_keys.JUDGE_SUBTASKS_KEY, tuple[Subtask, ...], self._ask_for_subtasks)

    def score_evaluation(self, owner: str, seed: int | None, evaluation: Evaluation) -> Evaluation:
        """Return an evaluation with the judge's score; where the judge gives the fitness, with that as its fitness.

        A judge that only adds reasons to the reflection scores the first training of each candidate.

        Args:
            owner: whose policy it is, as in `TrialRunner.run_trials`.
            seed: of its training; None acts at random.
            evaluation: as the worker measured it; its episodes lie in the evaluation's folder.

        Raises:
            ModelError: if the endpoint cannot be used, or a replayed ledger lacks an answer.
            RunError: if an answer could not be recorded.
        """
        gives_fitness = self._run.config.judges_fitness
        is_first = not layout.is_phase(owner) and seed == trainer.search_seeds(self._run.config)[0]
        if evaluation.status != "ok" or not (gives_fitness or is_first):
            return evaluation
        try:
            score = self._score_episodes(owner, seed, evaluation)
        except (ModelRefused, BudgetExhausted) as error:
            if not gives_fitness:
                return replace(evaluation, judge=JudgeScore(self._name, (), problem=str(error)))
            # Calls that are spent are no fault of the policy: a resumed search asks again.
            status: Status = "infrastructure" if isinstance(error, BudgetExhausted) else "failed"
            return replace(evaluation, status=status, fitness=None, cause=f"the judge gave no score: {error}")
        return replace(evaluation, judge=score, fitness=score.score if gives_fitness else evaluation.fitness)

    @property
    def _name(self) -> str:
        return f"{ROLE}:{self._model.name}"

    def _ask_for_subtasks(self) -> tuple[Subtask, ...]:
        has_frames = bool(self._run.config.feedback.judge_frames)
        system = prompts.render_prompt("judge/split-system", frames=has_frames, moments=MOMENTS)
        question = prompts.render_prompt("judge/split", **self._describe_task())
        answer = request_form(self._model, system, question, SplitAnswer, role=ROLE, sample=0)
        return tuple(
            Subtask(prompts.to_one_line(subtask.name, NAME_CHARS), prompts.to_one_line(subtask.meaning, REASON_CHARS))
            for subtask in answer.subtasks
        )

    def _score_episodes(self, owner: str, seed: int | None, evaluation: Evaluation) -> JudgeScore:
        """Ask twice about one policy, and join the answers."""
        subtasks = self.split_task()
        folder = self._run.layout.evaluation_dir(owner, seed)
        tables = self._material.render_tables(folder, evaluation, self.recorded_signals)
        pictures = self._material.render_frames(folder, evaluation)

        # The second answer sees the subtasks in the opposite order.
        numbers = range(len(subtasks))
        answers = []
        for attempt, order in enumerate((numbers, numbers[::-1])):
            sample = number_sample(owner, seed, attempt)
            answers.append(self._ask_for_scores([subtasks[number] for number in order], tables, pictures, sample))
        forward, backward = answers[0], answers[1][::-1]
        scores = tuple(map(join_scores, subtasks, forward, backward))
        return JudgeScore(self._name, scores, len(pictures), self._run.config.judges_fitness)

    def _ask_for_scores(
        self, subtasks: Sequence[Subtask], tables: str, pictures: Sequence[Picture], sample: int
    ) -> list[GivenScore]:
        """Return the model's score of each subtask, in the order in which they are shown."""
        shown = [f"{number}. {subtask.name}: {subtask.meaning}" for number, subtask in enumerate(subtasks, 1)]
        question = prompts.render_prompt(
            "judge/score", **self._describe_task(), subtasks="\n".join(shown), episodes=tables
        )
        answer = request_form(
            self._model,
            prompts.render_prompt("judge/score-system", frames=bool(pictures)),
            question,
            ScoreAnswer,
            role=ROLE,
            sample=sample,
            pictures=pictures,
            check=partial(find_missing_scores, count=len(subtasks)),
        )
        return sorted(answer.scores, key=lambda given: given.subtask)

    def _describe_task(self) -> dict[str, str]:
        task = self._run.task
        signals = [
            f"{signal.name} | {signal.unit} | {prompts.to_one_line(signal.meaning)}" for signal in self._shown_signals
        ]
        return {
            "task": task.text,
            "environment": f"{task.env.env_id}\n{task.env_about}",
            "signals": "\n".join(signals),
        }


def find_missing_scores(answer: ScoreAnswer, count: int) -> str | None:
    """Return what is wrong with the subtasks of an answer; None where each has one score.

    >>> find_missing_scores(ScoreAnswer(scores=[GivenScore(subtask=2, why="It stands.", score=0.5)]), 2)
    'scores: one entry is needed for each of the subtasks 1 to 2; those given are of 2'
    """
    given = sorted(score.subtask for score in answer.scores)
    if given == list(range(1, count + 1)):
        return None
    named = ", ".join(map(str, given))
    return f"scores: one entry is needed for each of the subtasks 1 to {count}; those given are of {named}"


def join_scores(subtask: Subtask, first: GivenScore, second: GivenScore) -> SubtaskScore:
    """Return the score of a subtask over two answers: their mean and their difference."""
    reasons = tuple(prompts.to_one_line(given.why, REASON_CHARS) for given in (first, second))
    mean, difference = (first.score + second.score) / 2, abs(first.score - second.score)
    return SubtaskScore(subtask.name, round(mean, 9), round(difference, 9), reasons)


def number_sample(owner: str, seed: int | None, attempt: int) -> int:
    """Return the sample number of an answer in the ledger.

    It depends on the policy alone: policies are scored from several threads, and a replay by position finds the answers
    in whatever order they ask.

    Args:
        owner: whose policy it is.
        seed: of its training; None acts at random.
        attempt: 0 for the first answer, 1 for the second.
    """
    return 1 + ANSWERS * (zlib.crc32(journal_keys.evaluator_key(owner, seed).encode()) % 1_000_000) + attempt
