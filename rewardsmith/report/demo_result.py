"""The end of the demo on a terminal: the verdict, the numbers, the program, the files and the next commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.fitness.judged import describe_fitness_source
from rewardsmith.contract.records import Interval, Result
from rewardsmith.contract.text import format_number, pluralize
from rewardsmith.report.result_lines import format_estimate
from rewardsmith.report.tables import TableColumn, print_program, print_table
from rewardsmith.report.text import compare_with_baseline, replace_control_chars
from rewardsmith.report.video import ENVIRONMENT_REWARD, FINAL_OWNER, VideoClip
from rewardsmith.search.storage.layout import RunLayout

if TYPE_CHECKING:
    from rich.console import Console

LABEL_WIDTH = 26


def print_demo_result(
    result: Result, console: Console, path: Path, clips: Sequence[VideoClip] = (), meaning: str = ""
) -> None:
    """Print the outcome of a demo.

    Args:
        result: the outcome.
        console: the terminal or pipe to print to.
        path: the run directory.
        clips: the films, where this machine can render.
        meaning: the fitness in words.
    """
    # The verdict, and the numbers behind it.
    verdict = compare_with_baseline(result) or "not compared with the environment reward"
    console.print(f"\n{verdict[0].upper()}{verdict[1:]}\n", markup=False, style="bold", soft_wrap=True)
    _print_numbers(result, console)
    for line in _explain_numbers(result, meaning):
        console.print(line, markup=False, style="dim")

    # The program.
    layout = RunLayout(path)
    console.print(f"\nThe reward program, {result.best.id} ({layout.best_program}):\n", markup=False, soft_wrap=True)
    print_program(result.best.proposal.source, console)

    # The files, and how to go on.
    films = {FINAL_OWNER: "film, this reward", ENVIRONMENT_REWARD: "film, environment reward"}
    files = [(films[clip.owner], clip.file) for clip in clips]
    if layout.report.is_file():
        files.append(("report", layout.report))
    for label, file in files:
        console.print(f"{label + ':':<{LABEL_WIDTH}}{file}", markup=False, soft_wrap=True)
    console.print("\nWhat to try next:", markup=False, style="bold")
    for command, purpose in _list_next_commands(path):
        console.print(f"  {command}\n      {purpose}", markup=False, soft_wrap=True)


def _print_numbers(result: Result, console: Console) -> None:
    """Print fitness and metrics side by side: of the best program, of the environment reward, of random actions."""
    columns = [TableColumn(""), TableColumn("this reward"), TableColumn("environment reward"), TableColumn("random")]
    rows = [
        _number_row("fitness", result.reported, result.baselines.environment_reward, result.baselines.random),
        *(_number_row(one.name, one.reported, one.environment_reward, one.random) for one in result.metrics),
    ]
    print_table(columns, rows, console)


def _number_row(name: str, program: Interval | None, baseline: Interval | None, random: float | None) -> list[str]:
    estimates = ["–" if value is None else format_estimate(value) for value in (program, baseline)]
    return [name, *estimates, format_number(random, 3)]


def _explain_numbers(result: Result, meaning: str) -> list[str]:
    """Return what the numbers are: how they were measured, and what each of them means."""
    lines = []
    if result.reported is not None:
        seeds = pluralize(len(result.reported.values), "fresh seed")
        lines.append(f"Each trained on {seeds}; mean [95 % interval] over the seeds.")
    lines.append(f"fitness: {meaning}" if meaning else f"fitness = {describe_fitness_source(result.fitness)}")
    lines += [f"{metric.name}: {metric.meaning}" for metric in result.metrics if metric.meaning]
    return [replace_control_chars(line) for line in lines]


def _list_next_commands(path: Path) -> list[tuple[str, str]]:
    return [
        (f"rewardsmith export {path} --out reward.py", "this reward as a Gymnasium wrapper for your own training"),
        (
            'rewardsmith design "YOUR SENTENCE" --env Hopper-v5 --model NAME',
            "your own sentence, with your language model (--dry-run shows the plan)",
        ),
    ]
