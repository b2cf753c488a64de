"""The page docs/evidence.md: the tables of the evidence, and the best program of each task with a film.

What people write stands above the mark in the page; all below it is written by `evidence.py page`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from textwrap import indent

from evidence_tables import (
    ENVIRONMENT,
    KINDS,
    Row,
    complete_rows,
    format_values,
    list_fitness,
    render_tables,
    sort_rows,
)
from films import FilmFormat, write_film

from rewardsmith.api.sweep import Cell, SweepStore
from rewardsmith.contract import records
from rewardsmith.search.storage import Run
from rewardsmith.spec.task_cards import load_cards

PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"
MARK = "<!-- All below is written by `benchmarks/evidence.py page`. -->"
FILMS = PAGE.with_name("evidence")
"""Folder of the films, `<task>.webp`."""
FILM = FilmFormat(
    rendered=(320, 240), crop=(0, 0, 320, 240), shown=(208, 156), most_fps=10.0, most_s=4.0, quality=20, font_size=12
)


def choose_best(rows: Sequence[Row]) -> list[Row]:
    """Return for each task the search whose program has the highest mean fitness; of equal ones the first."""
    rows = sort_rows(complete_rows(rows))
    tasks = dict.fromkeys(row["task"] for row in rows)
    return [
        max(
            (row for row in rows if row["task"] == task and row.get("program")),
            key=lambda row: fmean(list_fitness(row)),
        )
        for task in tasks
    ]


def film_best(rows: Sequence[Row], store: SweepStore, cells: Sequence[Cell]) -> None:
    """Write the films of the best programs whose searches are among some cells; those that exist stay."""
    for row in choose_best(rows):
        place = (row["task"], row["arm"], row["seed"])
        cell = next((cell for cell in cells if (cell.task.name, cell.preset, cell.seed) == place), None)
        film = FILMS / f"{row['task']}.webp"
        if cell is None or film.exists():
            continue
        labels = (
            f"found reward: {fmean(list_fitness(row)):.3g}",
            f"{ENVIRONMENT}: {fmean(row['environment_reward']):.3g}",
        )
        write_film(Run.open(store.cells / cell.id), labels, film, FILM)
        print(f"{film}: {film.stat().st_size / 1000:.0f} kB")


def write_page(rows: Sequence[Row]) -> None:
    """Write what is below the mark of the page."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else f"# Evidence\n\n{MARK}\n"
    above, mark, _ = text.partition(MARK)
    if not mark:
        raise SystemExit(f"{PAGE} has lost the line {MARK!r}")
    programs = "\n".join(render_program(row) for row in choose_best(rows))
    below = f"\n\n## Tables\n\n{render_tables(rows)}\n## The best program of each task\n\n{programs}"
    records.write_text(PAGE, above + mark + below)


def render_program(row: Row) -> str:
    """Render a task with its best program: what was asked for, its figures, its film and its text."""
    sentence = next(card.text for card in load_cards() if card.name == row["task"])
    found, human = format_values(list_fitness(row)), format_values(row["environment_reward"])
    parts = [
        f"### {row['task']}",
        f"*{sentence}* ({KINDS[row['task']]}; found by {row['arm']}, program {row['best']})",
        f"Fitness {found}; policies on the environment reward {human}.",
    ]
    film = FILMS / f"{row['task']}.webp"
    if film.exists():
        parts.append(f"![Two policies of {row['task']} side by side]({film.relative_to(PAGE.parent)})")
    program = indent(f"```python\n{row['program'].rstrip()}\n```\n", "    ")
    return "\n\n".join([*parts, '??? note "The program"', program])
