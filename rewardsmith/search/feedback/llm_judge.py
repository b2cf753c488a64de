"""LLM judge: a language model that compares the behaviour of two policies in place of people.

It reads the recorded episodes as tables, of the same seeds for both candidates, and sees frames of them if the model
takes images. Each pair is compared in both orders, because models prefer what they see first (Zheng et al., 2023,
arXiv:2306.05685); where the two answers differ, the pair counts as equal. The most informative pairs are compared;
`measure_calibration` tells how often the judge agrees with people. `scoring_judge` scores single policies instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import Candidate, Probe
from rewardsmith.executors.frames import FrameRenderer
from rewardsmith.llm import LanguageModel, ModelPool, Picture, prompts
from rewardsmith.llm.structured_output import AnswerForm, request_form
from rewardsmith.search.feedback import bradley_terry, ranking
from rewardsmith.search.feedback.bradley_terry import Z_975, PairwiseOutcome, SuggestedPair
from rewardsmith.search.feedback.episode_material import EpisodeMaterial
from rewardsmith.search.feedback.events import Answer, FeedbackState, Preference
from rewardsmith.search.feedback.state import build_state
from rewardsmith.search.storage import Journal, Run, journal_keys

ROLE: Literal["judge"] = "judge"


class JudgeAnswer(AnswerForm):
    """The judge's answer about two agents, as it is asked for."""

    better: Literal["first", "second", "equal", "neither"]
    why: Annotated[str, Field(min_length=1, max_length=4000)]


@dataclass(frozen=True)
class Judgement:
    """The outcome of one pair, as the journal keeps it."""

    a: str
    b: str
    forward: str | None
    """The answer with `a` shown first; None where the model gave none."""
    backward: str | None
    """The answer with `b` shown first."""
    answers: tuple[Preference, ...]
    """One preference; empty where the model gave no answer."""
    problem: str | None = None


@dataclass(frozen=True)
class JudgeCalibration:
    """Agreement of the judge with people."""

    agreement: float
    low: float
    """Lower end of Wilson's 95 % interval."""
    high: float
    pairs: int
    """Number of pairs of candidates about which both have a preference."""


def build_judge(
    run: Run, journal: Journal, models: ModelPool | None, frame_renderer: FrameRenderer | None = None
) -> Callable[[int, Sequence[Candidate]], None] | None:
    """Return the judge of a search, as a function of the generation and the candidates; None if none compares."""
    if models is None or run.config.feedback.rank != "judge" or run.config.judges_fitness:
        return None
    return LlmJudge(run, journal, models.for_role(ROLE), frame_renderer).compare_generation


class LlmJudge:
    """Compares the candidates of one search after each generation."""

    def __init__(
        self, run: Run, journal: Journal, model: LanguageModel, frame_renderer: FrameRenderer | None = None
    ) -> None:
        """Bind the judge to a run.

        Args:
            run: the run, for its task, settings and recorded episodes.
            journal: the run's journal, which keeps the answers.
            model: the model that compares.
            frame_renderer: renders the frames that the model sees; None shows none.
        """
        self._run, self._journal, self._model = run, journal, model
        self._material = EpisodeMaterial(run, frame_renderer)

    def compare_generation(self, generation: int, candidates: Sequence[Candidate]) -> None:
        """Compare the most informative pairs; pairs whose answer is in the journal are not asked again.

        When a budget is used up, the other pairs stay open; they are compared when the search is resumed.

        Args:
            generation: the last one that was run; its number is part of the journal's keys.
            candidates: all so far.

        Raises:
            ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
            RunError: if an answer could not be recorded.
        """
        by_id = {candidate.id: candidate for candidate in ranking.select_rankable(candidates)}
        select_pairs = partial(self._select_pairs, tuple(by_id))
        pairs = self._journal.once(journal_keys.judge_pairs_key(generation), tuple[SuggestedPair, ...], select_pairs)

        state = build_state(tuple(self._journal))
        for number, pair in enumerate(pairs):
            compare = partial(self.compare_pair, by_id[pair.a], by_id[pair.b], state)
            try:
                self._journal.once(journal_keys.judgement_key(generation, number), Judgement, compare)
            except BudgetExhausted:
                return

    def compare_pair(self, a: Candidate, b: Candidate, state: FeedbackState) -> Judgement:
        """Compare two candidates in both orders; raises as `compare_generation`."""
        try:
            forward = self._ask_model(a, b, 0, state)
            backward = self._ask_model(b, a, 1, state)
        except ModelRefused as error:
            return Judgement(a.id, b.id, None, None, (), str(error))

        answer = reconcile_answers(forward.better, backward.better)
        is_contradiction = answer == "equal" and forward.better != "equal"
        reason = "the two orders of showing gave different answers" if is_contradiction else forward.why
        preference = Preference(a.id, b.id, answer, prompts.to_one_line(reason), f"{ROLE}:{self._model.name}")
        return Judgement(a.id, b.id, forward.better, backward.better, (preference,))

    def _select_pairs(self, ids: tuple[str, ...]) -> tuple[SuggestedPair, ...]:
        """Select the pairs to compare, by all comparisons of people and of the judge so far."""
        state = build_state(tuple(self._journal))
        preferences = [
            preference
            for preference in (*state.preferences, *state.judge_preferences)
            if preference.answer in ranking.SCORES
        ]
        outcomes = [PairwiseOutcome(*one.candidates, ranking.SCORES[one.answer]) for one in preferences]
        ask_counts = Counter(frozenset(preference.candidates) for preference in preferences)
        strengths = bradley_terry.fit_strengths(ids, outcomes)
        return bradley_terry.select_pairs(strengths, self._run.config.feedback.judge_pairs, ask_counts)

    def _ask_model(self, first: Candidate, second: Candidate, sample: int, state: FeedbackState) -> JudgeAnswer:
        """Ask the model about two candidates, in the order in which they are shown."""
        task = self._run.task
        question = prompts.render_prompt(
            "judge/compare",
            task=task.text,
            environment=f"{task.env.env_id}\n{task.env_about}",
            notes="\n".join(f"- {prompts.to_one_line(remark.text)}" for remark in state.remarks),
            first=self._render_episodes(first),
            second=self._render_episodes(second),
        )

        # Frames of only one of the two would bias the answer: then none are shown.
        frames = [self._render_frames("First agent", first), self._render_frames("Second agent", second)]
        pictures = (*frames[0], *frames[1]) if all(frames) else ()

        system = prompts.render_prompt("judge/system", frames=bool(pictures))
        return request_form(self._model, system, question, JudgeAnswer, role=ROLE, sample=sample, pictures=pictures)

    def _render_episodes(self, candidate: Candidate) -> str:
        """Return a candidate's episodes as tables, without its name, its program and its fitness."""
        probe = self._journal.get(journal_keys.PROBE_KEY, Probe)
        names = [signal.name for signal in probe.signals] if probe else []
        return self._material.render_tables(self._evaluation_folder(candidate), candidate.evaluations[0], names)

    def _render_frames(self, agent: str, candidate: Candidate) -> list[Picture]:
        """Return frames of a candidate's episodes, at steps of their tables."""
        return self._material.render_frames(self._evaluation_folder(candidate), candidate.evaluations[0], agent)

    def _evaluation_folder(self, candidate: Candidate) -> Path:
        return self._run.layout.evaluation_dir(candidate.id, candidate.trainings[0].seed)


def reconcile_answers(forward: str, backward: str) -> Answer:
    """Return the answer about (a, b) that two answers give, the second with b shown first.

    >>> reconcile_answers("first", "second"), reconcile_answers("first", "first")
    ('a', 'equal')
    >>> reconcile_answers("neither", "neither"), reconcile_answers("first", "equal")
    ('neither', 'equal')
    """
    turned = {"first": "second", "second": "first"}.get(backward, backward)
    if forward != turned:
        return "equal"
    answers: dict[str, Answer] = {"first": "a", "second": "b", "equal": "equal", "neither": "neither"}
    return answers[forward]


def measure_calibration(state: FeedbackState) -> JudgeCalibration | None:
    """Measure how often the judge agrees with people; None where no pair has a preference of both."""
    people, judge = _count_leads(state.preferences), _count_leads(state.judge_preferences)
    pairs = [pair for pair in people if people[pair] and judge.get(pair)]
    if not pairs:
        return None
    agreeing = sum((people[pair] > 0) == (judge[pair] > 0) for pair in pairs)
    low, high = wilson_interval(agreeing, len(pairs))
    return JudgeCalibration(agreeing / len(pairs), low, high, len(pairs))


def wilson_interval(count: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion (Wilson, 1927).

    >>> [round(bound, 3) for bound in wilson_interval(8, 10)]
    [0.49, 0.943]
    """
    share, z = count / n, Z_975
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half_width = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half_width), min(1.0, middle + half_width)


def _count_leads(preferences: Sequence[Preference]) -> Counter[tuple[str, str]]:
    """Return, for each pair of ids in their order, by how many answers the first one leads."""
    leads: Counter[tuple[str, str]] = Counter()
    for preference in preferences:
        a, b = preference.candidates
        lead = {"a": 1, "b": -1}.get(preference.answer, 0)
        leads[min(a, b), max(a, b)] += lead if a < b else -lead
    return leads
