"""Trajectory tables: episodes of a trained policy, in the card's signals and in those that its program reads.

A row is a stretch of steps: the first few, where the policy finds its way from the start, then equal parts, then the
end. A cell is the range of a signal over the stretch, which tells an oscillation that single moments do not. Where all
episodes went alike one is shown, else the best and the worst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.records import Episode, Evaluation, Probe
from rewardsmith.llm.prompts import format_scaled, format_value
from rewardsmith.sandbox.recorded import EpisodeColumns, EpisodeFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MAX_COLUMNS = 6
MAX_CHOICES = 4
"""Choices shown of an episode's actions, the most frequent."""
MAX_COMPONENTS = 3
"""Components shown of a signal that has several."""
ONE_EPISODE_PARTS, TWO_EPISODES_PARTS = 10, 4
"""Equal parts of an episode where one is shown, and where two are."""
FIRST_STEPS = 10
"""Steps of the first row after the start, where the parts are at least as long."""
ALIKE = 0.1
"""Range of fitness over the episodes, relative to its size, below which they went alike."""
ALIKE_STRETCH = 0.1
"""Difference of ranges, as part of a signal's range over the episode, up to which two stretches are alike."""
LEAST_SHARE = 0.02
"""Share of actions at a bound that is worth saying."""
SATURATED = 0.98
"""Part of the way from the middle of an action's range to a bound from which it counts as at the bound."""


@dataclass(frozen=True)
class EpisodeTable:
    """One episode, as a prompt shows it."""

    title: str
    """"every", where all went alike, else "best" or "worst"."""
    episode: Episode
    actions: str | None
    """Size of the actions and how many are at a bound, or the choices with their parts of the episode; None where they
    were not recorded."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The signals at the start, over each stretch and at the end."""


def build_episode_tables(
    evaluations: Sequence[Evaluation], folders: Sequence[Path], names: Sequence[str], probe: Probe | None = None
) -> tuple[EpisodeTable, ...]:
    """Return the tables of one episode or of two; none where they were not recorded.

    Args:
        evaluations: of one program, one per training seed.
        folders: of the evaluations, in the same order.
        names: the signals to show where they were recorded, the most telling first. The card's and the program's own:
            what else was recorded may be the success that no prompt must name.
        probe: says the bounds of actions, and whether an action is the number of a choice.
    """
    shown = select_shown_episodes(evaluations)
    parts = ONE_EPISODE_PARTS if len(shown) < 2 else TWO_EPISODES_PARTS

    # Each file is opened once.
    recorded: dict[tuple[int, int], EpisodeColumns] = {}
    for number, folder in enumerate(folders):
        file = EpisodeFile.in_folder(folder)
        indices = [index for of, index in shown.values() if of == number]
        if indices and file.exists():
            columns = read_table_columns(file, indices, names)
            recorded |= {(number, index): table for index, table in zip(indices, columns, strict=True)}

    return tuple(
        _build_table(title, evaluations[number].episodes[index], recorded[number, index], parts, probe)
        for title, (number, index) in shown.items()
        if (number, index) in recorded
    )


def select_shown_episodes(evaluations: Sequence[Evaluation]) -> dict[str, tuple[int, int]]:
    """Return the episodes that are shown: title to the number of the evaluation and the index of the episode.

    Args:
        evaluations: of one program.
    """
    ranked = sorted(
        (
            (episode.fitness, number, index)
            for number, evaluation in enumerate(evaluations)
            for index, episode in enumerate(evaluation.episodes)
        ),
        reverse=True,
    )
    if not ranked:
        return {}
    if _went_alike([episode for evaluation in evaluations for episode in evaluation.episodes]):
        return {"every": ranked[len(ranked) // 2][1:]}
    return {"best": ranked[0][1:], "worst": ranked[-1][1:]}


def _went_alike(episodes: Sequence[Episode]) -> bool:
    """Return whether episodes have about the same fitness and ended in the same way."""
    fitness = [episode.fitness for episode in episodes]
    spread = max(fitness) - min(fitness)
    return spread <= ALIKE * max(map(abs, fitness)) and len({episode.terminated for episode in episodes}) == 1


def _build_table(
    title: str, episode: Episode, recorded: EpisodeColumns, parts: int, probe: Probe | None
) -> EpisodeTable:
    columns, actions = recorded.columns, recorded.actions
    summary = None
    if actions is not None and actions.size:
        has_choices = probe is not None and probe.discrete_actions is not None
        summary = _summarise_choices(actions) if has_choices else _summarise_size(actions, probe)
    rows = tuple(_build_rows(columns, parts)) if columns else ()
    return EpisodeTable(title, episode, summary, ("steps", *columns), rows)


def _summarise_size(action: Array, probe: Probe | None) -> str:
    """Return the size of an episode's actions, and in how many of them a number is at a bound."""
    import numpy as np

    size = f"action root mean square {format_value(float(np.sqrt(np.mean(np.square(action)))))}"
    if probe is None or not np.isfinite([*probe.action_low, *probe.action_high]).all():
        return size
    low, high = np.array(probe.action_low), np.array(probe.action_high)
    away = np.abs(action - 0.5 * (low + high)) / np.maximum(0.5 * (high - low), 1e-12)
    share = float(np.mean(away >= SATURATED))
    return f"{size}, {_format_share(share)} of the numbers at a bound" if share >= LEAST_SHARE else size


def _summarise_choices(action: Array) -> str:
    """Return the choices that were made most often.

    >>> import numpy as np
    >>> _summarise_choices(np.array([[5.0], [5.0], [1.0], [5.0]]))
    'action 5 in 75 % of the steps, 1 in 25 %'
    """
    import numpy as np

    numbers, counts = np.unique(action.astype(int), return_counts=True)
    most = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
    parts = [f"{number} in {_format_share(count / action.size)}" for count, number in most[:MAX_CHOICES]]
    return f"action {parts[0]} of the steps{''.join(f', {part}' for part in parts[1:])}"


def _format_share(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def read_table_columns(file: EpisodeFile, indices: Sequence[int], names: Sequence[str]) -> list[EpisodeColumns]:
    """Read the columns of tables, no more than a prompt shows."""
    episodes = file.read_columns(indices, names, MAX_COMPONENTS)
    return [replace(episode, columns=dict(list(episode.columns.items())[:MAX_COLUMNS])) for episode in episodes]


def _build_rows(columns: Mapping[str, Array], parts: int) -> list[tuple[str, ...]]:
    series = list(columns.values())
    last = len(series[0]) - 1
    spreads = [float(values.max() - values.min()) for values in series]
    rows = [
        ("start", *(format_scaled(float(values[0]), spread) for values, spread in zip(series, spreads, strict=True)))
    ]
    for first, end in merge_alike(series, split_steps(last, parts)):
        label = f"{first}-{end}" if end > first else str(end)
        pairs = zip(series, spreads, strict=True)
        rows.append((label, *(_format_stretch(values, spread, first, end) for values, spread in pairs)))
    rows.append((f"end, {last}", *(format_value(float(values[-1])) for values in series)))
    return rows


def split_steps(length: int, parts: int) -> list[tuple[int, int]]:
    """Return the stretches of an episode, each with its first and its last step: the first few, then equal parts.

    >>> split_steps(100, 5), split_steps(3, 5)
    ([(1, 10), (11, 28), (29, 46), (47, 64), (65, 82), (83, 100)], [(1, 1), (2, 2), (3, 3)])

    Args:
        length: of the episode in steps, at least 1.
        parts: how many equal parts.
    """
    begin = FIRST_STEPS if length >= FIRST_STEPS * parts else 0
    borders = sorted({0, begin, *(begin + round((length - begin) * part / parts) for part in range(1, parts + 1))})
    return [(first + 1, end) for first, end in pairwise(borders)]


def merge_alike(series: Sequence[Array], stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join neighbouring stretches in which every signal does the same: a steady gait is one row.

    A signal that goes the same way through all stretches, such as the place of a runner, does not keep them apart.

    Args:
        series: (1 + T,) each.
        stretches: first and last step of each, in order.
    """
    edges = [[(values[a : b + 1].min(), values[a : b + 1].max()) for a, b in stretches] for values in series]
    spreads = [max(high for _, high in column) - min(low for low, _ in column) for column in edges]
    steady = [index for index, column in enumerate(edges) if not _goes_one_way(column)]
    merged: list[tuple[int, int]] = []
    begin = 0
    for number, (first, end) in enumerate(stretches):
        is_alike = merged and all(
            abs(now - then) <= ALIKE_STRETCH * spreads[index]
            for index in steady
            for now, then in zip(edges[index][number], edges[index][begin], strict=True)
        )
        if is_alike:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((first, end))
            begin = number
    return merged


def _goes_one_way(edges: Sequence[tuple[float, float]]) -> bool:
    """Return whether both edges of a signal's ranges rise through all stretches, or both fall."""
    steps = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(edges)]
    return bool(steps) and (all(min(step) > 0.0 for step in steps) or all(max(step) < 0.0 for step in steps))


def _format_stretch(values: Array, spread: float, first: int, end: int) -> str:
    """Return the range of a signal over steps, or one figure where it hardly moves."""
    stretch = values[first : end + 1]
    low, high = (format_scaled(float(edge), spread) for edge in (stretch.min(), stretch.max()))
    return low if low == high else f"{low}..{high}"
