"""`rewardsmith compare`: reward programs side by side."""

from __future__ import annotations

import difflib
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import complain, say, say_json, say_table

if TYPE_CHECKING:
    from rewardsmith.api.compare import Comparison
    from rewardsmith.contract.records import Interval, TermStats


def compare(
    programs: Annotated[
        list[str], typer.Argument(metavar="A B...", help="Runs (their best programs), RUN:g1c02, or reward files.")
    ],
    env: Annotated[
        str | None, typer.Option(help="Whose transitions they are asked about. [default: the first run's]")
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Also show how the texts of the first two differ.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Compare reward programs: fitness with intervals, STARC distance, term by term."""
    from rewardsmith.api import compare as comparison
    from rewardsmith.contract import records
    from rewardsmith.contract.errors import ConfigError

    if len(programs) < 2:
        raise ConfigError("compare takes two programs or more: runs, RUN:g1c02, or reward files")
    with tempfile.TemporaryDirectory() as folder:
        found = comparison.compare(programs, Path(folder), env)
    if json_:
        say_json(records.dump(found))
    else:
        _say(found, diff)
    unasked = [f"{c.name}: {one.problem}" for c, one in zip(found.contenders, found.terms, strict=True) if one.problem]
    for line in unasked:
        complain(line)
    if unasked:
        raise typer.Exit(2)


def _say(found: Comparison, diff: bool) -> None:
    programs = found.contenders
    letters = (
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(programs)] if len(programs) <= 26 else [*map(str, range(len(programs)))]
    )
    _say_worth(found, letters)
    _say_distances(found, letters)
    _say_terms(found, letters)
    if diff:
        first, second = programs[:2]
        lines = difflib.unified_diff(
            first.source.splitlines(), second.source.splitlines(), first.name, second.name, lineterm=""
        )
        say("\n" + "\n".join(lines))


def _say_worth(found: Comparison, letters: Sequence[str]) -> None:
    rows = []
    for letter, one in zip(letters, found.contenders, strict=True):
        steps = "" if one.env_steps is None else f"{one.env_steps:,}"
        figures = (_told(one.reported), _told(one.own_reward), _told(one.chosen))
        rows.append((letter, one.name, one.env_id or "", *figures, steps))
    say_table(("", "program", "environment", "trained anew", "own reward", "in the search", "steps"), rows)
    _say_beside(found, letters)
    measures = {one.measure for one in found.contenders if one.measure}
    if len(measures) > 1:
        say("mind: their fitness is measured by different expressions: " + "; ".join(sorted(measures)))
    elif measures:
        say(f"fitness = {measures.pop()}; intervals are 95 %, over training seeds")


def _say_beside(found: Comparison, letters: Sequence[str]) -> None:
    """Say what was measured beside the fitness, where a task's card wants that."""
    rows = [
        (letter, one.name, _told(one.reported), _told(one.own_reward), _told(one.chosen), one.expression)
        for letter, contender in zip(letters, found.contenders, strict=True)
        for one in contender.figures
    ]
    if rows:
        say_table(("", "beside it", "trained anew", "own reward", "in the search", "measured as"), rows)


def _say_distances(found: Comparison, letters: Sequence[str]) -> None:
    from rewardsmith.api.compare import told_distance

    about = f"{found.transitions:,} transitions of {found.env_id} under random actions, and as many stretched"
    say(f"\nSTARC distance on {about}: 0 orders all policies alike, 1 the opposite way")
    rows = []
    for letter, row in zip(letters, found.distances, strict=True):
        rows.append((letter, *("–" if value is None else f"{value:.3f}" for value in row)))
    say_table(("", *letters), rows)
    for (i, a), (j, b) in itertools.combinations(enumerate(letters), 2):
        value = found.distances[i][j]
        if value is not None:
            say(f"{a} and {b} {told_distance(value)}")


def _say_terms(found: Comparison, letters: Sequence[str]) -> None:
    from rewardsmith.api.compare import likeness

    known = [{term.name: term for term in one.terms} for one in found.terms]
    names = dict.fromkeys(name for terms in known for name in terms)
    say("\nterms on those transitions: weight, mean ± deviation before it, part of the total")
    if names:
        say_table(("term", *letters), [(name, *(_term(terms.get(name)) for terms in known)) for name in names])
    for like in found.likenesses:
        if like.first != like.second or like.correlation < 0.0:
            pair = f"{letters[0]}'s {like.first} and {letters[1]}'s {like.second}"
            say(f"{pair} {likeness(like.correlation)}: r = {like.correlation:+.2f}")


def _told(value: Interval | None) -> str:
    from rewardsmith.report.tables import bounded

    return bounded(value) if value else "–"


def _term(term: TermStats | None) -> str:
    from rewardsmith.report.text import figure

    if term is None:
        return "–"
    return f"{figure(term.weight, 3)}: {figure(term.mean, 3)} ± {figure(term.std, 3)}, {term.share:.0%}"
