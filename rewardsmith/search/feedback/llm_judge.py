"""The judge: a language model that compares what two policies did, where nobody has the time to look.

It reads the recorded episodes as tables, the same seeds of both candidates, and sees frames of them where it can. Each
pair is asked about in both orders: models prefer what stands first (Zheng et al., 2023, arXiv:2306.05685), and where
the two answers differ the pair counts as equal. Which pairs are asked about is decided by what an answer would tell;
`calibration` holds the judge against people.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import Candidate, Episode, Probe
from rewardsmith.executors.frames import Stills, spread
from rewardsmith.llm import LanguageModel, Message, Models, Picture, prompts
from rewardsmith.llm.structured_output import Form, ask
from rewardsmith.search.feedback import bradley_terry, ranking
from rewardsmith.search.feedback.bradley_terry import Match, Pair
from rewardsmith.search.feedback.events import Answer, Preference, State
from rewardsmith.search.feedback.state import of as state_of
from rewardsmith.search.storage import Journal, Run

ROLE: Literal["judge"] = "judge"
EPISODES = 2
"""Of each candidate's first training that are shown."""
MOMENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
MAX_COLUMNS = 8
Z_975 = 1.959964


class Choice(Form):
    """What the judge answers."""

    better: Literal["first", "second", "equal", "neither"]
    why: Annotated[str, Field(min_length=1, max_length=4000)]


@dataclass(frozen=True)
class Judgement:
    """What came of one pair."""

    a: str
    b: str
    forward: str | None
    """The answer with `a` shown first; None where there was none."""
    backward: str | None
    """The answer with `b` shown first."""
    answers: tuple[Preference, ...]
    """What counts: one preference, none where the model gave no answer."""
    problem: str | None = None


@dataclass(frozen=True)
class Calibration:
    """How often the judge prefers what people prefer."""

    agreement: float
    low: float
    """Of Wilson's 95 % interval."""
    high: float
    pairs: int
    """Pairs of candidates about which both have a preference."""


def of(
    run: Run, journal: Journal, models: Models | None, stills: Stills | None = None
) -> Callable[[int, Sequence[Candidate]], None] | None:
    """Return the judge of a search; None where no model judges."""
    if models is None or run.config.feedback.rank != "judge":
        return None
    return Judge(run, journal, models.of(ROLE), stills).judge


class Judge:
    """Compares the candidates of one search after each generation."""

    def __init__(self, run: Run, journal: Journal, model: LanguageModel, stills: Stills | None = None) -> None:
        """Take the run, where its answers are kept, whom to ask, and what makes the frames that it is shown."""
        self._run, self._journal, self._model, self._stills = run, journal, model, stills

    def judge(self, generation: int, candidates: Sequence[Candidate]) -> None:
        """Compare the pairs that tell most; what the journal knows is not asked again.

        A budget that ends leaves the rest of the pairs open; they are asked about when the search is resumed.

        Args:
            generation: the last one that was run; its number names the events.
            candidates: all so far.

        Raises:
            ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
            RunError: if an answer could not be recorded.
        """
        known = {one.id: one for one in ranking.rankable(candidates)}
        name = f"g{generation}/judge"
        pairs = self._journal.once(f"{name}/pairs", tuple[Pair, ...], partial(self._pairs, tuple(known)))
        state = state_of(tuple(self._journal))
        for number, pair in enumerate(pairs):
            compare = partial(self.compare, known[pair.a], known[pair.b], state)
            try:
                self._journal.once(f"{name}/{number}", Judgement, compare)
            except BudgetExhausted:
                return

    def compare(self, a: Candidate, b: Candidate, state: State) -> Judgement:
        """Compare two candidates, in both orders; see `judge` for what it raises."""
        try:
            forward, backward = self._ask(a, b, 0, state), self._ask(b, a, 1, state)
        except ModelRefused as error:
            return Judgement(a.id, b.id, None, None, (), str(error))
        answer = settled(forward.better, backward.better)
        why = forward.why if answer != "equal" or forward.better == "equal" else "the order of showing decided"
        preference = Preference(a.id, b.id, answer, prompts.one_line(why), f"{ROLE}:{self._model.name}")
        return Judgement(a.id, b.id, forward.better, backward.better, (preference,))

    def _pairs(self, ids: tuple[str, ...]) -> tuple[Pair, ...]:
        settings, state = self._run.config.feedback, state_of(tuple(self._journal))
        said = [one for one in (*state.preferences, *state.judged) if one.answer in ranking.SCORES]
        matches = [Match(*one.candidates, ranking.SCORES[one.answer]) for one in said]
        asked = Counter(frozenset(one.candidates) for one in said)
        return bradley_terry.next_pairs(bradley_terry.fit(ids, matches, settings.prior), settings.judge_pairs, asked)

    def _ask(self, first: Candidate, second: Candidate, sample: int, state: State) -> Choice:
        task = self._run.task
        told = prompts.render(
            "judge/compare",
            task=task.text,
            environment=f"{task.env.env_id}\n{task.env_about}",
            notes="\n".join(f"- {prompts.one_line(one.text)}" for one in state.remarks),
            first=self._seen(first),
            second=self._seen(second),
        )
        of_both = [self._pictures(name, one) for name, one in (("First agent", first), ("Second agent", second))]
        # Frames of one alone would speak for it, or against it.
        pictures = tuple(picture for some in of_both for picture in some) if all(of_both) else ()
        messages = [
            Message("system", prompts.render("judge/system", frames=bool(pictures))),
            Message("user", told, pictures),
        ]
        return ask(self._model, messages, Choice, role=ROLE, sample=sample)

    def _seen(self, one: Candidate) -> str:
        """Return a candidate's episodes as tables, without its name, its program and its fitness."""
        file = self._folder(one) / "episodes.npz"
        episodes = one.evaluations[0].episodes[:EPISODES]
        known = self._journal.get("probe/loop", Probe)
        names = [signal.name for signal in known.signals] if known else []
        parts = [
            f"Episode {index + 1}: {episode.length} steps, {_end(episode)}\n{table(file, index, names)}"
            for index, episode in enumerate(episodes)
        ]
        return "\n\n".join(parts)

    def _folder(self, one: Candidate) -> Path:
        return self._run.path / "candidates" / one.id / f"eval-s{one.trainings[0].seed}"

    def _pictures(self, name: str, one: Candidate) -> list[Picture]:
        """Return frames of a candidate's episodes, at steps of their tables."""
        count, pictures = self._run.config.feedback.judge_frames, list[Picture]()
        for number, episode in enumerate(one.evaluations[0].episodes[:EPISODES], 1):
            if self._stills is None or not count:
                break
            steps = [at + 1 for at in moments(episode.length)]
            files = self._stills.of(self._folder(one), episode, spread(steps, count))
            label = f"{name}, episode {number}, step {{}}:"
            pictures += [Picture.of(label.format(step), file, self._run.path) for step, file in files.items()]
        return pictures


def moments(length: int) -> list[int]:
    """Return the rows of an episode that its table shows, of those after each of its steps.

    >>> moments(101)
    [0, 25, 50, 75, 100]
    """
    return list(dict.fromkeys(round(part * (length - 1)) for part in MOMENTS))


def _end(episode: Episode) -> str:
    return "ended early" if episode.terminated else "to the time limit"


def table(file: Path, index: int, names: Sequence[str]) -> str:
    """Return one recorded episode as rows of moments; what was not recorded is left out.

    Args:
        file: the recorded episodes, whose layout stands at `Evaluation`.
        index: of the episode.
        names: the signals to show.
    """
    if not file.is_file():
        return "(not recorded)"
    columns: dict[str, bradley_terry.Array] = {}
    with np.load(file, allow_pickle=False) as arrays:
        for name in (one for one in names if f"{index}/{one}" in arrays):
            values = np.asarray(arrays[f"{index}/{name}"], dtype=np.float64)
            parts = values.reshape(len(values), -1)
            plain = values.ndim == 1
            columns |= {name if plain else f"{name}[{part}]": parts[:, part] for part in range(parts.shape[1])}
    shown = dict(list(columns.items())[:MAX_COLUMNS])
    if not shown:
        return "(no signal was recorded)"
    places = moments(len(next(iter(shown.values()))))
    rows = [[f"step {at + 1}", *(prompts.figure(float(values[at])) for values in shown.values())] for at in places]
    for word, over in (("mean", np.mean), ("lowest", np.min), ("highest", np.max)):
        rows.append([word, *(prompts.figure(float(over(values))) for values in shown.values())])
    return "\n".join(" | ".join(row) for row in [["moment", *shown], *rows])


def settled(forward: str, backward: str) -> Answer:
    """Return the answer about (a, b) that two answers give, the second with b shown first.

    >>> settled("first", "second"), settled("first", "first"), settled("neither", "neither"), settled("first", "equal")
    ('a', 'equal', 'neither', 'equal')
    """
    turned = {"first": "second", "second": "first"}.get(backward, backward)
    if forward != turned:
        return "equal"
    answers: dict[str, Answer] = {"first": "a", "second": "b", "equal": "equal", "neither": "neither"}
    return answers[forward]


def calibration(state: State) -> Calibration | None:
    """Return how often the judge agrees with people; None where there is no pair about which both have a preference."""
    people, judge = _leads(state.preferences), _leads(state.judged)
    both = [pair for pair in people if people[pair] and judge.get(pair)]
    if not both:
        return None
    agreed, n = sum((people[pair] > 0) == (judge[pair] > 0) for pair in both), len(both)
    low, high = wilson(agreed, n)
    return Calibration(agreed / n, low, high, n)


def wilson(count: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion (Wilson, 1927).

    >>> [round(bound, 3) for bound in wilson(8, 10)]
    [0.49, 0.943]
    """
    share, z = count / n, Z_975
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _leads(preferences: Sequence[Preference]) -> Counter[tuple[str, str]]:
    """Return by how many answers the first of each pair of ids, in their order, leads."""
    leads: Counter[tuple[str, str]] = Counter()
    for one in preferences:
        a, b = one.candidates
        lead = {"a": 1, "b": -1}.get(one.answer, 0)
        leads[min(a, b), max(a, b)] += lead if a < b else -lead
    return leads
