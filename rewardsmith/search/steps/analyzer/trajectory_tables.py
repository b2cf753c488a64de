"""What the trained policy does: its best, median and worst episode as small tables of the signals that matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.records import Episode, Evaluation
from rewardsmith.llm.prompts import figure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FILE = "episodes.npz"
MOMENTS = (0.25, 0.5, 0.75, 1.0)
"""Parts of the episode after its start at which signals are shown."""
MAX_COLUMNS = 8
MAX_CHOICES = 4
"""Choices shown of an episode's actions, the most frequent."""
MAX_COMPONENTS = 3
"""Components shown of a signal that has several."""


@dataclass(frozen=True)
class View:
    """One episode, as a prompt shows it."""

    title: str
    """"best", "median" or "worst"."""
    episode: Episode
    actions: str | None
    """Root mean square over all actions and components, or the choices with their parts of the episode; None where
    they were not recorded."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The signals at the moments, then their mean and extremes over the episode."""


def read_views(
    evaluations: Sequence[Evaluation], folders: Sequence[Path], names: Sequence[str], choices: bool = False
) -> tuple[View, ...]:
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
    views = []
    for title, place in _places(len(ranked)).items():
        _, number, index = ranked[place]
        file = folders[number] / FILE if number < len(folders) else None
        if file is not None and file.is_file():
            views.append(_view(title, evaluations[number].episodes[index], file, index, names, choices))
    return tuple(views)


def _places(count: int) -> dict[str, int]:
    """Return which places of a ranking to show.

    >>> _places(5), _places(2), _places(1)
    ({'best': 0, 'median': 2, 'worst': 4}, {'best': 0, 'worst': 1}, {'best': 0})
    """
    places = {"best": 0, "median": count // 2, "worst": count - 1} if count else {}
    if count == 2:
        del places["median"]
    return places if count > 1 else {title: place for title, place in places.items() if title == "best"}


def _view(title: str, episode: Episode, file: Path, index: int, names: Sequence[str], choices: bool) -> View:
    import numpy as np

    with np.load(file, allow_pickle=False) as arrays:
        columns = columns_of(arrays, index, names)
        action = np.asarray(arrays[f"{index}/action"]) if f"{index}/action" in arrays else None
    told = None if action is None or not action.size else _choices(action) if choices else _size(action)
    return View(title, episode, told, ("moment", *columns), tuple(_rows(columns)) if columns else ())


def _size(action: Array) -> str:
    import numpy as np

    return f"action root mean square {figure(float(np.sqrt(np.mean(np.square(action)))))}"


def _choices(action: Array) -> str:
    """Return the choices that were made most often.

    >>> import numpy as np
    >>> _choices(np.array([[5.0], [5.0], [1.0], [5.0]]))
    'action 5 in 75 % of the steps, 1 in 25 %'
    """
    import numpy as np

    numbers, counts = np.unique(action.astype(int), return_counts=True)
    most = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
    parts = [f"{number} in {count / action.size:.0%}".replace("%", " %") for count, number in most[:MAX_CHOICES]]
    return f"action {parts[0]} of the steps{''.join(f', {part}' for part in parts[1:])}"


def columns_of(arrays: np.lib.npyio.NpzFile, index: int, names: Sequence[str]) -> dict[str, Array]:
    """Return the columns of the table: name to (1 + T,), the value at the start and after each step."""
    import numpy as np

    columns: dict[str, Array] = {}
    for name in names:
        if f"{index}/{name}" not in arrays or f"{index}/start/{name}" not in arrays:
            continue
        start, steps = arrays[f"{index}/start/{name}"], arrays[f"{index}/{name}"]
        values = np.concatenate([np.asarray(start, dtype=np.float64)[None], np.asarray(steps, dtype=np.float64)])
        parts = values.reshape(len(values), -1)
        shown = min(parts.shape[1], MAX_COMPONENTS)
        for part in range(shown):
            columns[name if values.ndim == 1 else f"{name}[{part}]"] = parts[:, part]
    return dict(list(columns.items())[:MAX_COLUMNS])


def _rows(columns: dict[str, Array]) -> list[tuple[str, ...]]:
    series = list(columns.values())
    last = len(series[0]) - 1
    moments = [("start", 0), *((f"step {math.ceil(part * last)}", math.ceil(part * last)) for part in MOMENTS)]
    rows = [(name, *(figure(float(values[at])) for values in series)) for name, at in dict(moments).items()]
    rows.append(("mean", *(figure(float(values.mean())) for values in series)))
    rows.append(("lowest", *(figure(float(values.min())) for values in series)))
    rows.append(("highest", *(figure(float(values.max())) for values in series)))
    return rows
