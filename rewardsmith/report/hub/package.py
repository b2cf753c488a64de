"""The folder of a run that is pushed to the Hub: card, program, wrapper, policy, film; nothing else of the run.

Settings, journal, prompts and answers of the model stay at home, and with them addresses of servers and paths.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, ProgramError, RewardsmithError, RunError
from rewardsmith.contract.records import Result
from rewardsmith.executors.render_job import POLICY_FILES
from rewardsmith.report import video
from rewardsmith.report.export.exporter import describe_origin, export_program
from rewardsmith.report.hub.card import CARD_FILE, FILM_STEM, POLICY_FOLDER, PROGRAM_FILE, WRAPPER_FILE, render_card
from rewardsmith.search import library
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.layout import final_owner

PACKAGE_FOLDER = "hub"
"""Folder in the run directory that is pushed."""


@dataclass(frozen=True)
class HubPackage:
    """A folder that can be pushed."""

    folder: Path
    files: tuple[str, ...]
    """Paths of the files, relative to the folder."""


def build_package(run: Run, report_problem: Callable[[str], None], film: bool = True) -> HubPackage:
    """Write the folder of a finished run that is pushed, in place of an earlier one.

    Args:
        run: the run.
        report_problem: called with a line for each part that the run or this machine cannot give.
        film: whether to film the policy, unless that is done already.

    Raises:
        ConfigError: if the run has no result yet, or the Hub's client is not installed.
        RunError: if the run is damaged, or the folder cannot be written.
    """
    result = run.read_result()
    if result is None:
        raise ConfigError(f"{run.path} has no result yet; `rewardsmith resume {run.path}` goes on")
    folder = run.path / PACKAGE_FOLDER
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        entry = library.entry_from_run(run.path, name=None)
        records.write_text(folder / PROGRAM_FILE, library.format_entry(entry))
        _write_wrapper(run, result, folder, report_problem)
        _copy_policy(run, result, folder, report_problem)
        if film:
            _copy_film(run, folder, report_problem)
        files = _list_files(folder)
        records.write_text(folder / CARD_FILE, render_card(run, result, files))
    except OSError as error:
        raise RunError(f"cannot write {error.filename or folder}: {error.strerror or error}") from error
    return HubPackage(folder, (CARD_FILE, *files))


def _write_wrapper(run: Run, result: Result, folder: Path, report_problem: Callable[[str], None]) -> None:
    """Write the program with its Gymnasium wrapper, if the export's check lets it pass."""
    probe = run.read_probe()
    if probe is None:
        report_problem(f"no {WRAPPER_FILE}: the run has not probed its environment")
        return
    try:
        text = export_program(result.best.program, probe.signals, run.task.env, describe_origin(run, result.best))
    except ProgramError as error:
        report_problem(f"no {WRAPPER_FILE}: {error}")
        return
    records.write_text(folder / WRAPPER_FILE, text)


def _copy_policy(run: Run, result: Result, folder: Path, report_problem: Callable[[str], None]) -> None:
    """Copy the policy that acts in the film: that of the episode with median fitness."""
    try:
        recorded = video.list_episodes(run, video.FINAL_OWNER)
    except RewardsmithError as error:
        report_problem(f"no policy: {error}")
        return
    training = recorded[video.median_episode(recorded)].training
    if training is None:
        report_problem("no policy: the run has evaluated random actions only")
        return
    source = run.layout.training_dir(final_owner(result.best.id), training)
    if not all((source / name).is_file() for name in POLICY_FILES):
        report_problem(f"no policy: {source} has lost its files")
        return
    (folder / POLICY_FOLDER).mkdir()
    for name in POLICY_FILES:
        shutil.copyfile(source / name, folder / POLICY_FOLDER / name)


def _copy_film(run: Run, folder: Path, report_problem: Callable[[str], None]) -> None:
    try:
        clip = video.render_video(run, video.FINAL_OWNER)
    except RewardsmithError as error:
        report_problem(f"no film: {error}")
        return
    shutil.copyfile(clip.file, folder / f"{FILM_STEM}{clip.file.suffix}")


def _list_files(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))
