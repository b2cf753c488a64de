"""The reader: a language model reads recorded episodes, step by step, and says why they went as they did.

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

from rewardsmith.contract import reward_program
from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import Candidate, Probe, Reading
from rewardsmith.executors.frames import Stills, spread
from rewardsmith.llm import LanguageModel, Message, Picture, prompts
from rewardsmith.llm.structured_output import Form, ask
from rewardsmith.search.steps.analyzer.claim_checks import Claim, refuted
from rewardsmith.search.steps.analyzer.episode_selection import Watched, informative, moments, watch
from rewardsmith.search.storage import Run

ROLE = "analyzer"
ROWS = 14
"""Steps shown of an episode."""
TERMS = 6
"""Terms shown, those of the greatest size first."""
LINE_CHARS = 400
Line = Annotated[str, Field(min_length=1, max_length=4000)]


class Cause(Form):
    """One thing that the reader makes out."""

    cause: Line
    claims: list[Claim] = Field(default_factory=list, max_length=6)


class Account(Form):
    """What the reader answers."""

    causes: list[Cause] = Field(min_length=1, max_length=6)
    suggestions: list[Line] = Field(default_factory=list, max_length=6)


class Reader:
    """Reads episodes by asking a language model; for several threads."""

    def __init__(self, model: LanguageModel, run: Run, probe: Probe, stills: Stills | None = None) -> None:
        """Take the model.

        Args:
            model: whom to ask.
            run: for the task, the settings, and the limits of the reward process.
            probe: what the environment offers.
            stills: makes the frames that the settings ask for; None shows none.
        """
        self._model, self._run, self._probe, self._stills = model, run, probe, stills

    def read(self, candidate: Candidate, folders: Sequence[Path]) -> Reading:
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
        parsed = reward_program.parse(candidate.proposal.source)
        watched = watch(parsed, candidate.evaluations, folders, self._probe, self._run.config.sandbox)
        reasons = informative(watched)
        if not reasons:
            return Reading(problem="no episode was recorded with the signals that the program reads")
        named = {f"E{number}": one for number, one in enumerate(reasons.values(), 1)}
        prompt = self._prompt(candidate, watched, named, list(reasons))
        asked = Message("user", prompt, self._pictures(named))
        messages = [Message("system", prompts.render("analyzer/system")), asked]
        try:
            account = ask(self._model, messages, Account, role=ROLE, sample=candidate.slot)
        except (ModelRefused, BudgetExhausted) as error:
            return Reading(problem=str(error))
        return checked(account, named)

    def _pictures(self, named: Mapping[str, Watched]) -> tuple[Picture, ...]:
        """Return frames of the episodes, each at a step of its table."""
        count, pictures = self._run.config.analyzer.frames, list[Picture]()
        for name, one in named.items():
            if self._stills is None or not count or one.folder is None:
                continue
            files = self._stills.of(one.folder, one.episode, spread(moments(one, ROWS), count))
            pictures += [Picture.of(f"{name}, step {step}:", file, self._run.path) for step, file in files.items()]
        return tuple(pictures)

    def _prompt(
        self, candidate: Candidate, watched: Sequence[Watched], named: Mapping[str, Watched], reasons: list[str]
    ) -> str:
        task = self._run.task
        fitness = sorted(one.episode.fitness for one in watched)
        about = self._probe.signals
        read = set(reward_program.parse(candidate.proposal.source).signals)
        return prompts.render(
            "analyzer/read",
            task=task,
            signals="\n".join(
                f"{signal.name} | {signal.unit} | {prompts.one_line(signal.meaning)}"
                for signal in about
                if signal.name in read
            ),
            source=candidate.proposal.source,
            count=len(watched),
            worst=fitness[0],
            best=fitness[-1],
            episodes="\n\n".join(
                _table(name, reason, one) for (name, one), reason in zip(named.items(), reasons, strict=True)
            ),
        )


def checked(account: Account, episodes: Mapping[str, Watched]) -> Reading:
    """Return what is left of an account when its claims are held against the recording.

    Args:
        account: what the reader said.
        episodes: name to episode, as it was shown them.
    """
    claims = [claim for cause in account.causes for claim in cause.claims]
    good = [[claim for claim in cause.claims if refuted(claim, episodes) is None] for cause in account.causes]
    causes = tuple(
        f"{prompts.one_line(cause.cause, LINE_CHARS)} ({'; '.join(map(_said, held))})"
        for cause, held in zip(account.causes, good, strict=True)
        if held
    )
    # Suggestions rest on causes: without one that holds there is nothing to follow.
    suggestions = tuple(prompts.one_line(text, LINE_CHARS) for text in account.suggestions) if causes else ()
    return Reading(causes, suggestions, len(claims), len(claims) - sum(map(len, good)))


def _said(claim: Claim) -> str:
    words = claim.comparison.replace("_", " ")
    name = prompts.one_line(claim.signal, 40)
    return f"{claim.episode}, steps {claim.steps[0]} to {claim.steps[1]}: {name} {words} {prompts.figure(claim.value)}"


def _table(name: str, reason: str, watched: Watched) -> str:
    """Return an episode as text: what it is, then its signals and what was paid at the steps that matter."""
    episode = watched.episode
    end = "ended by the environment's rule" if episode.terminated else "ran to the time limit"
    earned = f", earned {prompts.figure(watched.earned)}" if watched.earned is not None else ""
    head = f"{name} ({reason}): fitness {prompts.figure(episode.fitness)}{earned}, {episode.length} steps, {end}"
    paid = ["reward", *_greatest(watched)] if watched.paid else []
    rows = [" | ".join(["step", *watched.signals, *(prompts.one_line(term, 40) for term in paid)])]
    for step in moments(watched, ROWS):
        values = [prompts.figure(float(values[step])) for values in watched.signals.values()]
        values += [prompts.figure(float(watched.paid[term][step - 1]) if step else None) for term in paid]
        rows.append(" | ".join([str(step), *values]))
    return "\n".join([head, *rows])


def _greatest(watched: Watched) -> list[str]:
    """Return the terms of the greatest size in an episode."""
    sizes = {name: float(abs(values).mean()) for name, values in watched.paid.items() if name != "reward"}
    return sorted(sizes, key=lambda name: (-sizes[name], name))[:TERMS]
