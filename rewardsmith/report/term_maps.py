"""Maps of what each term pays over two signals, before and after training.

They are the reward analysis of "Lucy-SKG: Learning to Play Rocket League Efficiently Using Deep Reinforcement Learning"
(Moschopoulos et al., 2023, arXiv:2305.15801). A cell is the mean over recorded transitions whose signals fall into it:
random actions before training, the reported policies after it, scored again in the sealed process. The paper sets a
state for each point of a grid; recorded ones are states that the simulator does reach, they serve programs with memory,
and empty cells show where a policy never is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import ConfigError, RewardsmithError
from rewardsmith.contract.records import Candidate, Probe
from rewardsmith.contract.reward_program import Array, RewardProgram
from rewardsmith.report.charts.heat_map import GridAxis, HeatMap, layout_heat_map
from rewardsmith.report.video import FINAL_OWNER, RecordedEpisode, list_episodes
from rewardsmith.sandbox import RewardProcess, open_process
from rewardsmith.sandbox.recorded import EpisodeFile, TransitionFile
from rewardsmith.sandbox.recorded_scores import build_layout, score_recording
from rewardsmith.search.storage import Run

CELLS = 20
"""Cells of each axis."""
MAX_EPISODES = 20
"""Recorded episodes of the trained policies that are scored, evenly from all training seeds."""
MAX_TERMS = 8
"""Terms that are drawn, those with the largest payments first; the total always is."""
MAX_COMPONENTS = 12
"""Components of signals from which the two axes are chosen, when nobody names them."""
TRIMMED = 0.5
"""Per cent of the transitions at each end of a signal that the axes leave out."""
TOTAL = "total"


@dataclass(frozen=True)
class ScoredStates:
    """n recorded transitions with what a program pays for them."""

    signals: Mapping[str, Array]
    """Component of a signal, "tilt[0]", to its value (n,) after the transition."""
    paid: Mapping[str, Array]
    """Term to its payment (n,), weight included; the last one is the total."""


@dataclass(frozen=True)
class TermMaps:
    """The maps of a program."""

    x_name: str
    y_name: str
    transitions: tuple[int, int]
    """Number of transitions before and after training; 0 if nothing was recorded."""
    rows: tuple[tuple[str, float, HeatMap, HeatMap | None], ...]
    """Term, or the total; the size of its full colour; its map before and after training."""


def draw_term_maps(run: Run, best: Candidate, axes: Sequence[str] = ()) -> TermMaps | str:
    """Draw the maps of a run's best program.

    Args:
        run: finished or not.
        best: the program, with its evaluations where it was trained.
        axes: two components of signals; empty takes the two that tell most about the total.

    Returns:
        A line that says why there are none, where nothing is recorded or programs cannot be sealed on this machine.

    Raises:
        ConfigError: if an axis is not a recorded signal's component.
    """
    try:
        probe = run.read_probe()
        program = best.program
        if probe is None or not run.transitions.is_file():
            return "there are no recorded transitions"
        with open_process(program, build_layout(probe), run.config.sandbox) as process:
            before = _score_random_actions(run, process, probe)
            after = _score_policies(run, process, best, axes)
    except (RewardsmithError, OSError, KeyError) as error:
        return f"the recorded transitions cannot be scored: {error}"
    recordings = [before, after] if after else [before]
    chosen = _choose_axes(recordings, program, axes)
    if chosen is None:
        return "fewer than two signals that change were recorded"
    return _layout_maps(before, after, chosen)


# ---------------------------------------------------------------- recorded transitions


def _score_random_actions(run: Run, process: RewardProcess, probe: Probe) -> ScoredStates:
    """Score the transitions that the probe recorded."""
    file, program = TransitionFile(run.transitions), process.program
    recording = file.read(program)
    scores = score_recording(process, recording)
    signals: dict[str, Array] = {}
    for name, values in file.read_signals("after", [signal.name for signal in probe.signals]).items():
        signals |= _split_components(name, np.asarray(values, dtype=np.float64))
    return ScoredStates(signals, _weigh(program, scores.terms, scores.total))


def _score_policies(run: Run, process: RewardProcess, best: Candidate, axes: Sequence[str]) -> ScoredStates | None:
    """Score episodes of the reported policies; of the search's own where none was reported, None without any."""
    episodes = _choose_episodes(run, best)
    program = process.program
    card_signals = [signal.name for signal in run.task.env.signals]
    wanted = [*program.signals, *card_signals, *(axis.partition("[")[0] for axis in axes)]
    parts: list[ScoredStates] = []
    for folder in dict.fromkeys(episode.folder for episode in episodes):
        file = EpisodeFile.in_folder(folder)
        chosen = [episode for episode in episodes if episode.folder == folder]
        indices = [episode.index for episode in chosen]
        if not file.exists():
            continue
        recording = file.read_transitions(program, indices, [episode.episode.terminated for episode in chosen])
        if recording is None:
            continue
        scores = score_recording(process, recording)
        tables = [table.columns for table in file.read_columns(indices, list(dict.fromkeys(wanted)))]
        signals = {name: np.concatenate([table[name][1:] for table in tables]) for name in tables[0]}
        parts.append(ScoredStates(signals, _weigh(program, scores.terms, scores.total)))
    if not parts:
        return None
    signals = {name: np.concatenate([part.signals[name] for part in parts]) for name in parts[0].signals}
    return ScoredStates(signals, {name: np.concatenate([part.paid[name] for part in parts]) for name in parts[0].paid})


def _choose_episodes(run: Run, best: Candidate) -> list[RecordedEpisode]:
    for owner in (FINAL_OWNER, best.id):
        try:
            recorded = list_episodes(run, owner)
        except RewardsmithError:
            continue
        places = np.linspace(0, len(recorded) - 1, min(MAX_EPISODES, len(recorded))).round().astype(int)
        return [recorded[place] for place in places]
    return []


def _weigh(program: RewardProgram, terms: Mapping[str, Array], total: Array) -> dict[str, Array]:
    return {name: program.weight(name) * values for name, values in terms.items()} | {TOTAL: total}


def _split_components(name: str, values: Array) -> dict[str, Array]:
    """Return the components (n,) of a signal (n, *shape) by the names that tables give them."""
    if values.ndim == 1:
        return {name: values}
    flat = values.reshape(len(values), -1)
    return {f"{name}[{index}]": flat[:, index] for index in range(flat.shape[1])}


# ---------------------------------------------------------------- the axes


def _choose_axes(
    recordings: Sequence[ScoredStates], program: RewardProgram, axes: Sequence[str]
) -> tuple[GridAxis, GridAxis] | None:
    """Return the axes that were named, or the two components that explain most of the total; None if there are none.

    Raises:
        ConfigError: if a named one was not recorded, or never changes.
    """
    shared = [name for name in recordings[0].signals if all(name in states.signals for states in recordings)]
    ranges = {name: _measure_range(recordings, name) for name in shared}
    changing = {name: axis for name, axis in ranges.items() if axis.high > axis.low}
    for name in axes:
        if name not in changing:
            raise ConfigError(
                f"--map: {name!r} was not recorded in this run, or never changes; there are {', '.join(changing)}"
            )
    if axes:
        return changing[axes[0]], changing[axes[1]]
    # The program's signals; the others that were recorded only where it reads fewer than two.
    read = [name for name in changing if name.partition("[")[0] in program.signals]
    candidates = read if len(read) > 1 else list(dict.fromkeys([*read, *changing]))
    pairs = list(combinations(candidates[:MAX_COMPONENTS], 2))
    if not pairs:
        return None
    x, y = max(pairs, key=lambda pair: _measure_explained(recordings, changing[pair[0]], changing[pair[1]]))
    return changing[x], changing[y]


def _measure_range(recordings: Sequence[ScoredStates], name: str) -> GridAxis:
    """Return an axis over the values of all recordings, without the outermost."""
    values = np.concatenate([states.signals[name] for states in recordings])
    values = values[np.isfinite(values)]
    if not len(values):
        return GridAxis(name, 0.0, 0.0)
    low, high = np.percentile(values, [TRIMMED, 100.0 - TRIMMED])
    return GridAxis(name, float(low), float(high))


def _measure_explained(recordings: Sequence[ScoredStates], x: GridAxis, y: GridAxis) -> float:
    """Return the part of the total's variance that lies between the cells of a map, averaged over the recordings."""
    parts = []
    for states in recordings:
        total = states.paid[TOTAL]
        cells = _find_cells(states, x, y)
        inside = cells >= 0
        counts = np.bincount(cells[inside], minlength=CELLS * CELLS)
        sums = np.bincount(cells[inside], total[inside], minlength=CELLS * CELLS)
        seen = counts > 0
        variance = float(total[inside].var()) if inside.any() else 0.0
        between = float((counts[seen] * (sums[seen] / counts[seen] - total[inside].mean()) ** 2).sum())
        parts.append(between / (inside.sum() * variance) if variance > 0.0 else 0.0)
    return sum(parts) / len(parts)


# ---------------------------------------------------------------- the maps


def _layout_maps(before: ScoredStates, after: ScoredStates | None, axes: tuple[GridAxis, GridAxis]) -> TermMaps:
    x, y = axes
    sizes = {
        name: max(float(np.abs(states.paid[name]).mean()) for states in (before, after) if states)
        for name in before.paid
        if name != TOTAL
    }
    terms = sorted(sizes, key=lambda name: -sizes[name])[:MAX_TERMS]
    rows = []
    for name in (TOTAL, *terms):
        grids = [_average_cells(states, name, x, y) for states in (before, after) if states]
        largest = max((abs(value) for grid in grids for line in grid for value in line if value is not None), default=0)
        drawn = [layout_heat_map(grid, x, y, largest) for grid in grids]
        rows.append((name, largest, drawn[0], drawn[1] if len(drawn) > 1 else None))
    counts = (len(before.paid[TOTAL]), len(after.paid[TOTAL]) if after else 0)
    return TermMaps(x.name, y.name, counts, tuple(rows))


def _average_cells(states: ScoredStates, name: str, x: GridAxis, y: GridAxis) -> list[list[float | None]]:
    """Return the mean payment in each cell, a row for each cell of y; None where no transition is."""
    cells = _find_cells(states, x, y)
    inside = cells >= 0
    counts = np.bincount(cells[inside], minlength=CELLS * CELLS).reshape(CELLS, CELLS)
    sums = np.bincount(cells[inside], states.paid[name][inside], minlength=CELLS * CELLS).reshape(CELLS, CELLS)
    means = np.divide(sums, counts, out=np.full(sums.shape, math.nan), where=counts > 0)
    return [[None if math.isnan(value) else float(value) for value in line] for line in means]


def _find_cells(states: ScoredStates, x: GridAxis, y: GridAxis) -> NDArray[np.intp]:
    """Return the number of the cell (n,) that each transition is in, y first; -1 outside."""
    places = []
    for axis in (y, x):
        with np.errstate(invalid="ignore"):
            part = (states.signals[axis.name] - axis.low) / (axis.high - axis.low)
            place = np.where((part >= 0.0) & (part <= 1.0), np.minimum(part * CELLS, CELLS - 1), -1.0)
        places.append(place.astype(np.intp))
    return np.where((places[0] >= 0) & (places[1] >= 0), places[0] * CELLS + places[1], -1)
