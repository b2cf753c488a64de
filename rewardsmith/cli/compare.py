"""`rewardsmith compare`: reward programs side by side."""

from __future__ import annotations

import difflib
import itertools
import string
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_error, print_json, print_line, print_rows
from rewardsmith.cli.options import (
    EnvKwargsOption,
    JsonOption,
    PassEnvOption,
    SignalOption,
    complete_env,
    complete_run,
)
from rewardsmith.contract.text import format_number

if TYPE_CHECKING:
    from rewardsmith.api.compare import ComparedProgram, ProgramComparison
    from rewardsmith.contract.records import Interval, TermStats

ESTIMATE_COLUMNS = ("retrained", "environment reward", "selection score")


def compare(
    programs: Annotated[
        list[str],
        typer.Argument(
            metavar="A B...",
            help="Runs (their best programs), RUN:g1c02, or reward files.",
            autocompletion=complete_run,
        ),
    ],
    env: Annotated[
        str | None,
        typer.Option(
            help="Environment whose transitions are used. [default: the first run's]", autocompletion=complete_env
        ),
    ] = None,
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    signal: SignalOption = None,
    diff: Annotated[bool, typer.Option("--diff", help="Also show the differences of the first two texts.")] = False,
    json_: JsonOption = False,
) -> None:
    """Compare reward programs: fitness with intervals, STARC distance, term by term."""
    from rewardsmith.api.compare import compare_programs
    from rewardsmith.contract import records
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.spec.env_options import read_env_options

    if len(programs) < 2:
        raise ConfigError("compare takes two programs or more: runs, RUN:g1c02, or reward files")
    if env is None and (env_kwargs or pass_env or signal):
        raise ConfigError(
            "--env-kwargs, --pass-env and --signal belong to the environment that --env names; give --env too"
        )
    options = read_env_options(env_kwargs, pass_env or (), signals=signal or ())
    with tempfile.TemporaryDirectory() as folder:
        comparison = compare_programs(programs, Path(folder), env, options)
    if json_:
        print_json(records.dump(comparison))
    else:
        _print_comparison(comparison)
        if diff:
            _print_difference(*comparison.programs[:2])
    if _print_problems(comparison):
        raise typer.Exit(2)


def _print_comparison(comparison: ProgramComparison) -> None:
    count = len(comparison.programs)
    letters = list(string.ascii_uppercase[:count]) if count <= 26 else [str(number) for number in range(count)]
    _print_fitness(comparison, letters)
    _print_metrics(comparison, letters)
    _print_distances(comparison, letters)
    _print_terms(comparison, letters)


def _print_difference(first: ComparedProgram, second: ComparedProgram) -> None:
    """Print the lines in which the texts of two programs differ."""
    texts = (first.source.splitlines(), second.source.splitlines())
    print_line("\n" + "\n".join(difflib.unified_diff(*texts, first.name, second.name, lineterm="")))


def _print_problems(comparison: ProgramComparison) -> bool:
    """Print why programs could not be run on the transitions; return whether there are some."""
    problems = [
        f"{program.name}: {terms.problem}"
        for program, terms in zip(comparison.programs, comparison.terms, strict=True)
        if terms.problem
    ]
    for problem in problems:
        print_error(problem)
    return bool(problems)


def _print_fitness(comparison: ProgramComparison, letters: Sequence[str]) -> None:
    rows = []
    for letter, program in zip(letters, comparison.programs, strict=True):
        estimates = (program.reported, program.environment_reward, program.chosen)
        steps = "" if program.env_steps is None else f"{program.env_steps:,}"
        rows.append((letter, program.name, program.env_id or "", *map(_format_interval, estimates), steps))
    print_rows(("", "program", "environment", *ESTIMATE_COLUMNS, "steps"), rows)

    expressions = {program.fitness for program in comparison.programs if program.fitness}
    if len(expressions) > 1:
        print_line("Note: the fitness of the programs is not the same: " + "; ".join(sorted(expressions)))
    elif expressions:
        print_line(f"fitness = {expressions.pop()}; intervals are 95 %, over training seeds")


def _print_metrics(comparison: ProgramComparison, letters: Sequence[str]) -> None:
    """Print the metrics that the tasks' cards define in addition to the fitness."""
    rows = []
    for letter, program in zip(letters, comparison.programs, strict=True):
        for metric in program.metrics:
            estimates = (metric.reported, metric.environment_reward, metric.chosen)
            rows.append((letter, metric.name, *map(_format_interval, estimates), metric.expression))
    if rows:
        print_rows(("", "metric", *ESTIMATE_COLUMNS, "expression"), rows)


def _print_distances(comparison: ProgramComparison, letters: Sequence[str]) -> None:
    from rewardsmith.api.compare import describe_distance

    transitions = f"{comparison.transitions:,} random transitions of {comparison.env_id} and as many perturbed ones"
    print_line(f"\nSTARC distance on {transitions} (0 = same order of policies, 1 = opposite order)")
    rows = []
    for letter, row in zip(letters, comparison.distances, strict=True):
        rows.append((letter, *("–" if value is None else f"{value:.3f}" for value in row)))
    print_rows(("", *letters), rows)
    for (i, first), (j, second) in itertools.combinations(enumerate(letters), 2):
        distance = comparison.distances[i][j]
        if distance is not None:
            print_line(f"{first} and {second}: {describe_distance(distance)} (STARC {distance:.2f})")


def _print_terms(comparison: ProgramComparison, letters: Sequence[str]) -> None:
    from rewardsmith.api.compare import describe_correlation

    # A column for each program, a row for each name of a term.
    columns = [{term.name: term for term in program.terms} for program in comparison.terms]
    names = dict.fromkeys(name for terms in columns for name in terms)
    print_line("\nterms on these transitions: weight, mean ± deviation before the weight, share of the total")
    if names:
        rows = [(name, *(_format_term(terms.get(name)) for terms in columns)) for name in names]
        print_rows(("term", *letters), rows)

    # Terms of the first two programs that belong together.
    for pair in comparison.correlations:
        if pair.first != pair.second or pair.correlation < 0.0:
            terms = f"{letters[0]}'s {pair.first} and {letters[1]}'s {pair.second}"
            print_line(f"{terms}: {describe_correlation(pair.correlation)} (r = {pair.correlation:+.2f})")


def _format_interval(value: Interval | None) -> str:
    from rewardsmith.report.result_lines import format_estimate

    return format_estimate(value) if value else "–"


def _format_term(term: TermStats | None) -> str:
    if term is None:
        return "–"
    mean = f"{format_number(term.mean, 3)} ± {format_number(term.std, 3)}"
    return f"{format_number(term.weight, 3)}: {mean}, {term.share:.0%}"
