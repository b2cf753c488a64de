"""Demonstrations as people name them: files of recorded episodes, read and fitted where a task gets its signals."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rewardsmith.contract.demonstrated_stages import Array, fit_stages
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.fitness import Rollout
from rewardsmith.contract.learned_signals import DemonstrationOptions, parse_options
from rewardsmith.contract.records import dump
from rewardsmith.contract.signal_source import may_leak_reward

RECORD_HINT = "`rewardsmith record` writes such a file"


def fit_demonstrations(entries: Mapping[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """Return the options of a signal with what its files say; unchanged where they have been read before.

    Args:
        entries: options of the provider `demonstrations`.
        where: they are written, for messages.
        folder: to which the files' paths are relative.

    Raises:
        TaskError: if an option is wrong, or a file cannot be read or used.
    """
    options = parse_options(DemonstrationOptions, entries, where)
    if options.fitted is not None:
        return dict(entries)
    files = [(folder / Path(name).expanduser()).resolve() for name in options.demo]
    episodes = [(path, episode) for path in files for episode in read_demonstrations(path, where)]
    sequences = [_select_signals(path, episode, options.signals, where) for path, episode in episodes]
    for (path, _), sequence in zip(episodes, sequences, strict=True):
        _check_alike(path, sequence, files[0], sequences[0], where)
    try:
        fitted = fit_stages(sequences, options.stages)
    except ValueError as error:
        raise TaskError(f"{where}: no stages can be found in {', '.join(options.demo)}: {error}") from error
    return {**entries, "demo": [str(path) for path in files], "fitted": dump(fitted)}


def read_demonstrations(path: Path, where: str) -> list[Rollout]:
    """Read all episodes of a file; how they ended is not known and counts as the time limit.

    Raises:
        TaskError: if it cannot be read, or is no file of recorded episodes.
    """
    from rewardsmith.sandbox.recorded import EpisodeFile

    try:
        file = EpisodeFile(path)
        episodes = [file.read_rollout(index, terminated=False) for index in range(file.count_episodes())]
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise TaskError(f"{where}: {str(path)!r} is no file of recorded episodes: {error}; {RECORD_HINT}") from error
    except OSError as error:
        raise TaskError(f"{where}: cannot read the demonstrations {str(path)!r}: {error.strerror or error}") from error
    if not episodes:
        raise TaskError(f"{where}: {str(path)!r} holds no recorded episodes; {RECORD_HINT}")
    return episodes


def _select_signals(path: Path, episode: Rollout, names: Sequence[str], where: str) -> dict[str, Array]:
    """Return the states of an episode: the signals that count, at its start and after each step."""
    missing = [name for name in names if name not in episode.signals]
    if missing:
        recorded = ", ".join(sorted(episode.signals))
        raise TaskError(f"{where}: signals: {missing[0]!r} was not recorded in {str(path)!r}, which has {recorded}")
    # What tells the reward or the success is no signal for programs, and none of theirs may carry it.
    chosen = names or sorted(name for name in episode.signals if not may_leak_reward(name))
    return {name: np.concatenate([episode.start[name][None], episode.signals[name]]) for name in chosen}


def _check_alike(
    path: Path, states: Mapping[str, Array], first_path: Path, first: Mapping[str, Array], where: str
) -> None:
    """Refuse demonstrations with different signals."""
    shapes, wanted = ({name: values.shape[1:] for name, values in one.items()} for one in (states, first))
    if shapes != wanted:
        name = next(name for name in sorted({*shapes, *wanted}) if shapes.get(name) != wanted.get(name))
        raise TaskError(
            f"{where}: the demonstrations {str(path)!r} and {str(first_path)!r} differ in the signal {name!r}: shape"
            f" {shapes.get(name, 'none')} and {wanted.get(name, 'none')}; the option signals = [...] names those that"
            " count"
        )
