"""Recorded episodes as a judge is shown them: a table of moments for each, and frames where the settings ask for them.

Neither tells a candidate's name, its program or its fitness.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rewardsmith.contract.records import Evaluation
from rewardsmith.executors.episode_steps import spread_steps
from rewardsmith.executors.frames import FrameRenderer
from rewardsmith.llm import Picture, prompts
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search.storage import Run

EPISODES = 2
"""Episodes of an evaluation that are shown."""
MOMENTS = 5
"""Rows of a table for single steps."""
MAX_COLUMNS = 8
"""Columns of a table; an array of numbers has one for each."""


class EpisodeMaterial:
    """Tables and frames of the first episodes of evaluations."""

    def __init__(self, run: Run, frame_renderer: FrameRenderer | None = None, moments: int = MOMENTS) -> None:
        """Bind the material to a run.

        Args:
            run: the run, for its settings and its folder.
            frame_renderer: renders the frames that a model sees; None shows none.
            moments: rows of a table, evenly spread over the episode; at least 2.
        """
        self._run, self._frame_renderer, self._moments = run, frame_renderer, moments

    def render_tables(self, folder: Path, evaluation: Evaluation, names: Sequence[str]) -> str:
        """Return the episodes as tables.

        Args:
            folder: of the evaluation.
            evaluation: names the episodes.
            names: signals to show; those that were not recorded are left out.
        """
        file = EpisodeFile.in_folder(folder)
        parts = []
        for index, episode in enumerate(evaluation.episodes[:EPISODES]):
            end = "ended early" if episode.terminated else "to the time limit"
            table = render_episode_table(file, index, names, self._moments)
            parts.append(f"Episode {index + 1}: {episode.length} steps, {end}\n{table}")
        return "\n\n".join(parts)

    def render_frames(self, folder: Path, evaluation: Evaluation, agent: str = "") -> list[Picture]:
        """Return frames of the episodes, at steps of their tables; none where the settings ask for none.

        Args:
            folder: of the evaluation.
            evaluation: names the episodes.
            agent: whose episodes they are, for the labels; "" where there is one agent alone.

        Raises:
            WorkerFailed: if no worker can be started, or the executor was closed.
            RunError: if a job's folder cannot be written.
        """
        count, pictures = self._run.config.feedback.judge_frames, list[Picture]()
        if self._frame_renderer is None or not count:
            return pictures
        for number, episode in enumerate(evaluation.episodes[:EPISODES], 1):
            steps = spread_steps(select_moments(episode.length, self._moments), count)
            name = f"{agent}, episode {number}" if agent else f"Episode {number}"
            for step, file in self._frame_renderer.render_frames(folder, episode, steps).items():
                pictures.append(Picture.from_file(f"{name}, step {step}:", file, self._run.path))
        return pictures


def select_moments(length: int, count: int) -> list[int]:
    """Return steps that are evenly spread over an episode, from its first to its last.

    >>> select_moments(101, 5)
    [1, 26, 51, 76, 101]

    Args:
        length: of the episode.
        count: how many, at least 2; fewer where the episode is shorter.
    """
    return list(dict.fromkeys(1 + round(part * (length - 1) / (count - 1)) for part in range(count)))


def render_episode_table(file: EpisodeFile, index: int, names: Sequence[str], moments: int = MOMENTS) -> str:
    """Return one recorded episode as a table of moments with mean and extremes; unrecorded signals are left out.

    Args:
        file: the recorded episodes.
        index: of the episode.
        names: the signals to show.
        moments: rows for single steps, at least 2.
    """
    if not file.exists():
        return "(not recorded)"
    # The value at the start comes first and is not shown.
    (episode,) = file.read_columns([index], names)
    shown = {name: values[1:] for name, values in list(episode.columns.items())[:MAX_COLUMNS]}
    if not shown:
        return "(no signal was recorded)"

    table = [["moment", *shown]]
    for step in select_moments(len(next(iter(shown.values()))), moments):
        table.append([f"step {step}", *(prompts.format_value(float(values[step - 1])) for values in shown.values())])
    for label, summarize in (("mean", np.mean), ("lowest", np.min), ("highest", np.max)):
        table.append([label, *(prompts.format_value(float(summarize(values))) for values in shown.values())])
    return "\n".join(" | ".join(cells) for cells in table)
