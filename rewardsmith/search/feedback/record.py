"""Writers: what a person says becomes an event of the run's journal, after it was checked.

Each opens the journal for a moment and so waits for nobody: while a search goes on in the run they refuse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from rewardsmith.contract import records
from rewardsmith.contract.errors import ProgramError, RunError, UserError
from rewardsmith.contract.records import Candidate, Interval, Probe, Verdict
from rewardsmith.contract.reward_program import refusal, reweigh
from rewardsmith.llm import prompts
from rewardsmith.search.feedback.events import (
    USER,
    Answer,
    Ban,
    Edit,
    Entry,
    Input,
    More,
    Pin,
    Preference,
    Ranking,
    Release,
    Remark,
    Said,
    State,
    Weights,
)
from rewardsmith.search.feedback.state import key_of, of
from rewardsmith.search.steps import critic, evolution
from rewardsmith.search.steps.designer.term_expressions import terms_of
from rewardsmith.search.storage import Event, Journal, Run

MAX_TEXT, MAX_NAME = 4_000, 60
ANSWERS = ("a", "b", "equal", "neither")
_ID = re.compile(r"g(\d{1,4})c(\d{1,4})")
_EPISODE = re.compile(r"(g\d{1,4}c\d{1,4})(?:/s(\d{1,9})/(\d{1,6}))?")
_PLANNED = re.compile(r"g(\d+)c\d+/designer/0")


@dataclass(frozen=True)
class Outcome:
    """What a search had come to when it was told to go on: the report that a later one replaces."""

    best: str
    candidates: int
    fitness: float | None
    reported: Interval | None
    normalised: float | None
    env_steps: int


# ---------------------------------------------------------------- what a person says


def say(run: Run, text: str, *, by: str = "", about: str | None = None) -> Said:
    """Say something in words, which the next generation's prompts repeat.

    Args:
        run: the run.
        text: what to change, what is right and what is wrong.
        by: who says so; "" is the user.
        about: id of the candidate that is meant.

    Raises:
        UserError: if the text is empty or too long, or there is no such candidate.
        RunError: if the run is being run, is damaged or of another version.
    """
    words, name = _words(text, "the remark", least=1), _name(by)
    return _append(run, lambda state: Remark(words, candidate(run, about).id if about else None, name))


def prefer(run: Run, a: str, b: str, answer: Answer = "a", *, reason: str = "", by: str = "") -> Said:
    """Compare two candidates, or an episode of each; see `say` for what else it raises.

    Args:
        run: the run.
        a: a candidate's id, or "<id>/s<training seed>/<index of the episode>".
        b: another one.
        answer: which is better; "neither" if none is what is wanted.
        reason: why; the next prompts repeat it.
        by: who says so.
    """
    if answer not in ANSWERS:
        raise UserError(f"{answer!r} is no answer; there are {', '.join(ANSWERS)}")
    words, name = _words(reason, "the reason"), _name(by)
    first, second = _seen(run, a), _seen(run, b)
    if first == second:
        raise UserError(f"{first} is compared with itself; name two")
    return _append(run, lambda state: Preference(first, second, answer, words, name))


def pin(run: Run, term: str, *, candidate: str | None = None, by: str = "") -> Said:
    """Demand that every program keeps a term; see `say` for what else it raises.

    Args:
        run: the run.
        term: its name.
        candidate: where it was seen; None looks in the best program first.
        by: who says so.

    Raises:
        UserError: if no program has such a term.
    """
    home = _home_of(run, _term(term), candidate)
    if home is None:
        known = ", ".join(sorted({name for one in run.candidates() for name in _terms(one)})) or "none"
        raise UserError(f"no program{f' {candidate}' if candidate else ''} has a term {term!r}; there are: {known}")
    expression, weight = _terms(home)[term]
    return _append(run, lambda state: Pin(term, home.id, expression, weight, _name(by)))


def ban(run: Run, term: str, *, candidate: str | None = None, by: str = "") -> Said:
    """Demand that no program has a term; see `pin`, except that the term need not be in any program yet."""
    home = _home_of(run, _term(term), candidate)
    expression = _terms(home)[term][0] if home else None
    return _append(run, lambda state: Ban(term, home.id if home else None, expression, _name(by)))


def release(run: Run, term: str, *, by: str = "") -> Said:
    """Lift a pin or a ban; see `say` for what else it raises.

    Raises:
        UserError: if the term is neither pinned nor banned.
    """

    def make(state: State) -> Input:
        held = [*(wish.term for wish in state.pins), *(wish.term for wish in state.bans)]
        if term not in held:
            raise UserError(f"the term {term!r} is neither pinned nor banned; these are: {', '.join(held) or 'none'}")
        return Release(term, _name(by))

    return _append(run, make)


def weigh(run: Run, id: str, weights: Mapping[str, float], *, by: str = "") -> Said:
    """Hand in a candidate's program with other weights, for the next generation; see `edit` for what it raises.

    Args:
        run: the run.
        id: the candidate.
        weights: term name to weight; the others stay as they are.
        by: who says so.
    """
    base = candidate(run, id)
    known = _terms(base)
    unknown = [name for name in weights if name not in known]
    if unknown or not weights:
        what = f"has no term {unknown[0]!r}" if unknown else "needs at least one weight"
        raise UserError(f"{base.id} {what}; its terms are: {', '.join(known) or 'not known'}")
    if not all(math.isfinite(weight) for weight in weights.values()):
        raise UserError(f"a weight is a finite number, not {next(w for w in weights.values() if not math.isfinite(w))}")
    source = _checked(run, reweigh(base.proposal.source, weights))
    return _append(run, lambda state: Weights(base.id, dict(weights), source, _name(by)))


def edit(run: Run, id: str, source: str, *, by: str = "", about: str = "") -> Said:
    """Hand in a program for the next generation; the critic checks it first.

    Args:
        run: the run.
        id: the candidate that it was made from.
        source: the whole program.
        by: who says so.
        about: what it is, in a sentence; "" for an edit by hand.

    Raises:
        ProgramError: if the critic refuses it; its findings hang on the error.
        UserError: if it is the candidate's own program, or there is no such candidate.
        RunError: if the run is being run, is damaged or of another version.
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
        WorkerFailed: if the reward process fails for another reason than the program.
    """
    base = candidate(run, id)
    if source.strip() == base.proposal.source.strip():
        raise UserError(f"this is the program of {base.id} as it is; nothing was changed")
    checked = _checked(run, source)
    return _append(run, lambda state: Edit(base.id, checked, _words(about, "the sentence"), _name(by)))


def rank_by(run: Run, rank: Literal["metric", "people"], blend: float = 0.0, *, by: str = "") -> Said:
    """Let comparisons by people rank the programs from the next generation on, or the metric again.

    Args:
        run: the run.
        rank: who ranks.
        blend: what one standard deviation of the metric counts beside people, in log-odds.
        by: who says so.

    Raises:
        UserError: if the two contradict each other.
        RunError: if the run is being run, is damaged or of another version.
    """
    if rank not in ("metric", "people") or not 0.0 <= blend < math.inf or (rank == "metric" and blend):
        raise UserError(f"rank by metric, or by people with a weight of the metric of 0 or more; not {rank!r}, {blend}")
    if rank == "people" and run.config.search.rungs:
        raise UserError("search.rungs end this run's trainings by the metric; people cannot rank what was not finished")
    return _append(run, lambda state: Ranking(rank, blend, _name(by)))


def more(run: Run, *, by: str = "") -> Said:
    """Ask for one more generation than has begun; the report of before is kept in the journal.

    Raises:
        RunError: if the run is being run, is damaged or of another version.
    """
    with _writing(run) as (journal, state):
        result = run.result()
        if result is not None and state.begun:
            key = f"g{max(one.generation for one in result.candidates)}/loop/reported"
            best, figure = result.best, result.reported
            about = (len(result.candidates), best.fitness, figure, result.normalised, result.env_steps)
            if key not in journal:
                journal.append(key, Outcome(best.id, *about))
        return _add(journal, state, More(state.begun + 1, _name(by)))


# ---------------------------------------------------------------- reading


def check(run: Run, source: str) -> Verdict:
    """Judge a program as the critic judges a candidate's; nothing is written.

    Raises:
        RunError: if the environment was not looked at yet, or the run is damaged.
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
        WorkerFailed: if the reward process fails for another reason than the program.
    """
    return critic.review(source, probe(run), run.transitions, run.config.sandbox)


def probe(run: Run) -> Probe:
    """Return what a run knows of its environment.

    Raises:
        RunError: if it has not looked yet, or is damaged.
    """
    data = next((event.data for event in run.events() if event.key == "probe/loop"), None)
    if data is None or not run.transitions.is_file():
        raise RunError(f"{run.path} has not looked at its environment yet; `rewardsmith resume {run.path}` does")
    return records.load(Probe, data)


def candidate(run: Run, id: str) -> Candidate:
    """Return a candidate of a run.

    Args:
        run: the run.
        id: such as "g1c03", or "g1c3" for short.

    Raises:
        UserError: if there is none.
    """
    found, known = _ID.fullmatch(id.strip()), {one.id: one for one in run.candidates()}
    full = f"g{int(found[1])}c{int(found[2]):02d}" if found else None
    if full in known:
        return known[full]
    raise UserError(f"there is no candidate {prompts.one_line(id, 40)!r}; there are: {', '.join(known) or 'none yet'}")


def terms(one: Candidate) -> dict[str, float]:
    """Return the terms of a candidate's program with their weights."""
    return {name: weight for name, (_, weight) in _terms(one).items()}


# ---------------------------------------------------------------- parts


@contextmanager
def _writing(run: Run) -> Iterator[tuple[Journal, State]]:
    if not (run.path / "journal.jsonl").is_file():
        raise RunError(f"{run.path} has not begun; `rewardsmith resume {run.path}` begins")
    journal = run.journal()
    try:
        events = tuple(journal)
        state = of(events)
        _check_kind(run, events)
        yield journal, state
    finally:
        journal.close()


def _check_kind(run: Run, events: tuple[Event, ...]) -> None:
    """Refuse what is no search, and a search of which this version cannot run another generation."""
    path, keys = run.path, {event.key for event in events}
    generations = {int(found[1]) for key in keys if (found := _PLANNED.fullmatch(key))}
    if any(f"g{generation}/evolution/plan" not in keys for generation in generations):
        raise RunError(
            f"{path} was made by an older rewardsmith, whose generations cannot be continued; `show` reads it"
        )
    if run.measured_program() is not None:
        raise RunError(f"{path} measures one program and is no search; `design --seed-reward FILE` begins one")


def _append(run: Run, make: Callable[[State], Input]) -> Said:
    with _writing(run) as (journal, state):
        return _add(journal, state, make(state))


def _add(journal: Journal, state: State, what: Input) -> Said:
    number = 1 + max((one.number for one in state.said), default=0)
    key = key_of(number)
    journal.append(key, Entry(what))
    event = next(event for event in journal if event.key == key)
    return Said(number, key, event.time, what)


def _checked(run: Run, source: str) -> str:
    """Return a program that the critic accepts, with one line end at its end."""
    source = source.rstrip() + "\n"
    verdict = check(run, source)
    if not verdict.trainable:
        raise refusal(verdict.findings)
    return source


def _seen(run: Run, name: str) -> str:
    """Return the full name of a candidate or an episode that there is something to see of."""
    found = _EPISODE.fullmatch(name.strip())
    one = candidate(run, found[1] if found else name)
    if one.status != "ok" or not one.evaluations:
        raise UserError(f"{one.id} has no trained policy to compare ({one.status})")
    if not found or found[2] is None:
        return one.id
    seed, index = int(found[2]), int(found[3])
    lengths = {t.seed: len(e.episodes) for t, e in zip(one.trainings, one.evaluations, strict=True)}
    if index >= lengths.get(seed, 0):
        there = ", ".join(f"s{known}/0 to s{known}/{count - 1}" for known, count in lengths.items())
        raise UserError(f"{one.id} has no episode s{seed}/{index}; there are {there}")
    return f"{one.id}/s{seed}/{index}"


def _home_of(run: Run, term: str, id: str | None) -> Candidate | None:
    """Return the candidate whose term is meant: the named one, else the best that has it."""
    if id is not None:
        one = candidate(run, id)
        return one if term in _terms(one) else None
    best = evolution.ranked(run.candidates(), run.config.evolution.caution)
    rest = [one for one in run.candidates() if one not in best]
    return next((one for one in (*best, *rest) if term in _terms(one)), None)


def _terms(one: Candidate) -> dict[str, tuple[str | None, float]]:
    """Return a program's terms: what each computes, where that can be taken out of the text, and its weight."""
    try:
        parts = terms_of(one.proposal.source)
    except ProgramError:
        return {}
    found: dict[str, tuple[str | None, float]] = {part.name: (part.expression, part.weight) for part in parts or ()}
    ran = one.verdict.dry_run.terms if one.verdict and one.verdict.dry_run else ()
    return {**{term.name: (None, term.weight) for term in ran}, **found}


def _term(name: str) -> str:
    if not name.isidentifier() or len(name) > MAX_NAME:
        raise UserError(f"{prompts.one_line(name, 40)!r} is no name of a term")
    return name


def _words(text: str, what: str, least: int = 0) -> str:
    words = prompts.clean(text).strip()
    if len(words) < least:
        raise UserError(f"{what} is empty; say what to change")
    if len(words) > MAX_TEXT:
        raise UserError(f"{what} has {len(words):,} characters; at most {MAX_TEXT:,} are taken")
    return words


def _name(by: str) -> str:
    name = prompts.one_line(by, MAX_TEXT)
    if len(name) > MAX_NAME:
        raise UserError(f"the name has {len(name)} characters; at most {MAX_NAME} are taken")
    return name or USER
