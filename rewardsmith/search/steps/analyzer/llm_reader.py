"""Reader of recorded episodes: a language model goes through them step by step and says why they went as they did.

A failed or misled episode shows what no curve does (the trajectory analyzer of Auto MC-Reward, Li et al., CVPR 2024,
arXiv:2312.09238). What the model says must rest on claims about steps and signals; each is checked against the
recording, and a cause of which none holds is dropped. It sees only signals that the program reads: others may tell the
success.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import Candidate, EpisodeReading, Probe
from rewardsmith.executors.episode_steps import spread_steps
from rewardsmith.executors.frames import FrameRenderer
from rewardsmith.llm import LanguageModel, Picture, prompts
from rewardsmith.llm.structured_output import AnswerForm, request_form
from rewardsmith.search.steps.analyzer.claim_checks import Claim, refute_claim
from rewardsmith.search.steps.analyzer.episode_selection import (
    ScoredEpisode,
    score_episodes,
    select_informative,
)
from rewardsmith.search.storage import Run

ROLE = "analyzer"
ROWS = 14
"""Steps shown of an episode."""
TERMS = 6
"""Terms shown, those of the greatest size first."""
LINE_CHARS = 400
Line = Annotated[str, Field(min_length=1, max_length=4000)]


class StatedCause(AnswerForm):
    """One thing that the reader makes out."""

    cause: Line
    claims: list[Claim] = Field(default_factory=list, max_length=6)


class ReaderAnswer(AnswerForm):
    """Answer of the reader."""

    causes: list[StatedCause] = Field(min_length=1, max_length=6)
    suggestions: list[Line] = Field(default_factory=list, max_length=6)


class EpisodeReader:
    """Reads episodes by asking a language model; for several threads."""

    def __init__(self, model: LanguageModel, run: Run, probe: Probe, frames: FrameRenderer | None = None) -> None:
        """Take the model.

        Args:
            model: the model to ask.
            run: for the task, the settings, and the limits of the reward process.
            probe: what the environment offers.
            frames: renders the frames that the settings ask for; None shows none.
        """
        self._model, self._run, self._probe, self._frames = model, run, probe, frames

    def read_episodes(self, candidate: Candidate, folders: Sequence[Path]) -> EpisodeReading:
        """Ask what went wrong in a candidate's episodes, and keep what the recording bears out.

        Args:
            candidate: trained and evaluated.
            folders: of its evaluations, in their order.

        Raises:
            ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
            RunError: if an answer could not be recorded.
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if the reward process fails for another reason than the program.
            OSError: if a recording cannot be read.
        """
        # The episodes that tell the most, under short names.
        limits = self._run.config.sandbox
        scored = score_episodes(candidate.program, candidate.evaluations, folders, self._probe, limits)
        by_reason = select_informative(scored)
        if not by_reason:
            return EpisodeReading(problem="no episode was recorded with the signals that the program reads")
        named = {f"E{number}": episode for number, episode in enumerate(by_reason.values(), 1)}

        # The question, and what the recording bears out of the answer.
        system, frames = prompts.render_prompt("analyzer/system"), self._render_frames(named)
        question = self._build_prompt(candidate, scored, named, list(by_reason))
        try:
            answer = request_form(
                self._model, system, question, ReaderAnswer, role=ROLE, sample=candidate.slot, pictures=frames
            )
        except (ModelRefused, BudgetExhausted) as error:
            return EpisodeReading(problem=str(error))
        return keep_supported_causes(answer, named)

    def _render_frames(self, named: Mapping[str, ScoredEpisode]) -> tuple[Picture, ...]:
        """Return frames of the episodes, each at a step of its table."""
        count, pictures = self._run.config.analyzer.frames, list[Picture]()
        if self._frames is None or not count:
            return ()
        for name, scored in named.items():
            if scored.folder is None:
                continue
            steps = spread_steps(scored.select_steps(ROWS), count)
            for step, file in self._frames.render_frames(scored.folder, scored.episode, steps).items():
                pictures.append(Picture.from_file(f"{name}, step {step}:", file, self._run.path))
        return tuple(pictures)

    def _build_prompt(
        self,
        candidate: Candidate,
        scored: Sequence[ScoredEpisode],
        named: Mapping[str, ScoredEpisode],
        reasons: Sequence[str],
    ) -> str:
        fitness = [episode.episode.fitness for episode in scored]
        read_signals = [signal for signal in self._probe.signals if signal.name in candidate.program.signals]
        signal_lines = [
            f"{signal.name} | {signal.unit} | {prompts.to_one_line(signal.meaning)}" for signal in read_signals
        ]
        tables = [
            _render_table(name, reason, episode) for (name, episode), reason in zip(named.items(), reasons, strict=True)
        ]
        return prompts.render_prompt(
            "analyzer/read",
            task=self._run.task,
            signals="\n".join(signal_lines),
            source=candidate.proposal.source,
            count=len(scored),
            worst=min(fitness),
            best=max(fitness),
            episodes="\n\n".join(tables),
        )


def keep_supported_causes(answer: ReaderAnswer, episodes: Mapping[str, ScoredEpisode]) -> EpisodeReading:
    """Return what is left of an answer when its claims are checked against the recording.

    Args:
        answer: what the reader said.
        episodes: name to episode, as the reader was shown them.
    """
    causes: list[str] = []
    claim_count = supported_count = 0
    for cause in answer.causes:
        supported = [claim for claim in cause.claims if refute_claim(claim, episodes) is None]
        claim_count += len(cause.claims)
        supported_count += len(supported)
        if supported:
            evidence = "; ".join(_describe_claim(claim) for claim in supported)
            causes.append(f"{prompts.to_one_line(cause.cause, LINE_CHARS)} ({evidence})")

    # Suggestions rest on causes: without one that holds there is nothing to follow.
    suggestions = [prompts.to_one_line(text, LINE_CHARS) for text in answer.suggestions] if causes else []
    return EpisodeReading(tuple(causes), tuple(suggestions), claim_count, claim_count - supported_count)


def _describe_claim(claim: Claim) -> str:
    words = claim.comparison.replace("_", " ")
    name, value = prompts.to_one_line(claim.signal, 40), prompts.format_value(claim.value)
    return f"{claim.episode}, steps {claim.steps[0]} to {claim.steps[1]}: {name} {words} {value}"


def _render_table(name: str, reason: str, scored: ScoredEpisode) -> str:
    """Return an episode as text: a heading, then its signals and rewards at the most informative steps."""
    # The heading.
    episode = scored.episode
    end = "ended by the environment's rule" if episode.terminated else "ran to the time limit"
    earned = f", earned {prompts.format_value(scored.earned)}" if scored.earned is not None else ""
    fitness = prompts.format_value(episode.fitness)
    heading = f"{name} ({reason}): fitness {fitness}{earned}, {episode.length} steps, {end}"

    # A row for each step; the start, step 0, has no reward.
    rewards = ["reward", *_largest_terms(scored)] if scored.paid else []
    rows = [" | ".join(["step", *scored.signals, *(prompts.to_one_line(term, 40) for term in rewards)])]
    for step in scored.select_steps(ROWS):
        cells = [prompts.format_value(float(values[step])) for values in scored.signals.values()]
        cells += [prompts.format_value(float(scored.paid[term][step - 1]) if step else None) for term in rewards]
        rows.append(" | ".join([str(step), *cells]))
    return "\n".join([heading, *rows])


def _largest_terms(scored: ScoredEpisode) -> list[str]:
    """Return the terms of the largest mean size in an episode."""
    sizes = {name: float(abs(values).mean()) for name, values in scored.paid.items() if name != "reward"}
    return sorted(sizes, key=lambda name: (-sizes[name], name))[:TERMS]
