"""Trajectory tables: the best, the median and the worst episode of a policy, in the signals that its program reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.records import Episode, Evaluation
from rewardsmith.executors.episode_steps import select_quarter_steps
from rewardsmith.llm.prompts import format_value
from rewardsmith.sandbox.recorded import EpisodeColumns, EpisodeFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MAX_COLUMNS = 8
MAX_CHOICES = 4
"""Choices shown of an episode's actions, the most frequent."""
MAX_COMPONENTS = 3
"""Components shown of a signal that has several."""


@dataclass(frozen=True)
class EpisodeTable:
    """One episode, as a prompt shows it."""

    title: str
    """"best", "median" or "worst"."""
    episode: Episode
    actions: str | None
    """Root mean square over all actions and components, or the choices with their parts of the episode; None where
    they were not recorded."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The signals at the start and after each quarter, then their mean and extremes over the episode."""


def build_episode_tables(
    evaluations: Sequence[Evaluation], folders: Sequence[Path], names: Sequence[str], choices: bool = False
) -> tuple[EpisodeTable, ...]:
    """Return the best, the median and the worst episode over all evaluations; fewer where there are fewer.

    Args:
        evaluations: of one program, one per training seed.
        folders: of the evaluations, in the same order.
        names: the signals to show where they were recorded, the most telling first. The program's own: what else
            was recorded may be the success that no prompt must name.
        choices: an action is a number of a choice, which no root mean square tells.
    """
    ranked = sorted(
        (
            (episode.fitness, number, index)
            for number, evaluation in enumerate(evaluations)
            for index, episode in enumerate(evaluation.episodes)
        ),
        reverse=True,
    )
    shown = {title: ranked[place][1:] for title, place in _shown_places(len(ranked)).items()}

    # Each file is opened once.
    recorded: dict[tuple[int, int], EpisodeColumns] = {}
    for number, folder in enumerate(folders):
        file = EpisodeFile.in_folder(folder)
        indices = [index for of, index in shown.values() if of == number]
        if indices and file.exists():
            columns = read_table_columns(file, indices, names)
            recorded |= {(number, index): table for index, table in zip(indices, columns, strict=True)}

    return tuple(
        _build_table(title, evaluations[number].episodes[index], recorded[number, index], choices)
        for title, (number, index) in shown.items()
        if (number, index) in recorded
    )


def _shown_places(count: int) -> dict[str, int]:
    """Return the places of a ranking that are shown.

    >>> _shown_places(5), _shown_places(2), _shown_places(1)
    ({'best': 0, 'median': 2, 'worst': 4}, {'best': 0, 'worst': 1}, {'best': 0})
    """
    if count < 2:
        return {"best": 0} if count else {}
    if count == 2:
        return {"best": 0, "worst": 1}
    return {"best": 0, "median": count // 2, "worst": count - 1}


def _build_table(title: str, episode: Episode, recorded: EpisodeColumns, choices: bool) -> EpisodeTable:
    columns, actions = recorded.columns, recorded.actions
    summary = None
    if actions is not None and actions.size:
        summary = _summarise_choices(actions) if choices else _summarise_size(actions)
    return EpisodeTable(title, episode, summary, ("moment", *columns), tuple(_build_rows(columns)) if columns else ())


def _summarise_size(action: Array) -> str:
    import numpy as np

    return f"action root mean square {format_value(float(np.sqrt(np.mean(np.square(action)))))}"


def _summarise_choices(action: Array) -> str:
    """Return the choices that were made most often.

    >>> import numpy as np
    >>> _summarise_choices(np.array([[5.0], [5.0], [1.0], [5.0]]))
    'action 5 in 75 % of the steps, 1 in 25 %'
    """
    import numpy as np

    numbers, counts = np.unique(action.astype(int), return_counts=True)
    most = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
    parts = [f"{number} in {count / action.size:.0%}".replace("%", " %") for count, number in most[:MAX_CHOICES]]
    return f"action {parts[0]} of the steps{''.join(f', {part}' for part in parts[1:])}"


def read_table_columns(file: EpisodeFile, indices: Sequence[int], names: Sequence[str]) -> list[EpisodeColumns]:
    """Read the columns of tables, no more than a prompt shows."""
    episodes = file.read_columns(indices, names, MAX_COMPONENTS)
    return [replace(episode, columns=dict(list(episode.columns.items())[:MAX_COLUMNS])) for episode in episodes]


def _build_rows(columns: Mapping[str, Array]) -> list[tuple[str, ...]]:
    series = list(columns.values())
    length = len(series[0]) - 1
    rows = []
    for step in select_quarter_steps(length):
        label = f"step {step}" if step else "start"
        rows.append((label, *(format_value(float(values[step])) for values in series)))
    rows.append(("mean", *(format_value(float(values.mean())) for values in series)))
    rows.append(("lowest", *(format_value(float(values.min())) for values in series)))
    rows.append(("highest", *(format_value(float(values.max())) for values in series)))
    return rows
