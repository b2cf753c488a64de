"""Runs that may act on this machine: those that were started here, and those that the user confirmed.

A run directory may come from anybody. Its task names an environment, which may be a module to import, and its settings
name where jobs run. Whatever of that goes beyond a Gymnasium environment on this machine is used only if a run with
the same was started or confirmed here; the user's own folder remembers that, never the run.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract import bounded_files, import_path, records
from rewardsmith.contract.bounded_files import DamagedFile
from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.contract.robots import is_robot, store
from rewardsmith.llm.trusted_endpoints import endpoints_file
from rewardsmith.search.storage import Run
from rewardsmith.spec.settings import ExecutorSettings
from rewardsmith.spec.task_cards import is_made_as_shipped

FLAG = "--trust"


@dataclass(frozen=True)
class TrustedRun:
    """A run that was started or confirmed on this machine."""

    demands: tuple[str, ...]
    """Access that it asks for beyond the ordinary; see `list_demands`."""
    run: str
    """Its path at that time."""
    module_folder: str | None
    """Folder in which it was started, where its environment's module may lie; None where it was confirmed."""


def list_demands(run: Run, *, executor_is_given: bool = False) -> tuple[str, ...]:
    """Return what a run does on this machine beyond the ordinary, a phrase each; nothing for most runs.

    Args:
        run: the run, with what the user said over its recorded settings.
        executor_is_given: its jobs run on an executor of the caller's, whatever its settings name.
    """
    demands = [_describe_environment(run.task.env)]
    if run.task.env.pass_env:
        demands.append(f"reads the environment variables {', '.join(sorted(run.task.env.pass_env))}")
    if not executor_is_given:
        demands.append(_describe_executor(run.recorded_config.executor, run.config.executor))
    if "wandb" in run.recorded_config.trackers:
        demands.append("sends its curves to Weights & Biases")
    if "mlflow" in run.recorded_config.trackers:
        demands.append("sends its curves to MLflow")
    return tuple(demand for demand in demands if demand)


def list_unconfirmed(run: Run, *, executor_is_given: bool = False) -> tuple[str, ...]:
    """Return what a run does beyond the ordinary and no run that was started or confirmed here; see `list_demands`."""
    demands = list_demands(run, executor_is_given=executor_is_given)
    if run.is_new or not demands:
        return ()
    confirmed = {demand for trusted in _read_trusted() for demand in trusted.demands}
    return tuple(demand for demand in demands if demand not in confirmed)


def check_trusted(run: Run, *, executor_is_given: bool = False) -> None:
    """Make sure that a run does only what the user of this machine started or confirmed; see `list_demands`.

    Raises:
        RunError: if it does more.
        TaskError: if its robot's files were changed.
    """
    demands = list_unconfirmed(run, executor_is_given=executor_is_given)
    if demands:
        raise RunError(
            f"{run.path} was not started on this machine, and it {', and it '.join(demands)}; if you trust it, "
            f"`rewardsmith resume {run.path} {FLAG}` goes on"
        )
    store.restore_from_run(run.task.env, run.path)


def remember_run(run: Run, started_in: Path | None = None) -> None:
    """Remember that a run was started or confirmed by the user of this machine.

    Args:
        run: the run.
        started_in: the folder in which the user started it; None for a run that was confirmed.
    """
    demands = list_demands(run)
    if not demands:
        return
    folder = import_path.find_module_folder(run.task.env.modules, started_in) if started_in else None
    entry = TrustedRun(demands, str(run.path.resolve()), str(folder) if folder else None)
    known = [trusted for trusted in _read_trusted() if trusted.run != entry.run]
    if folder is None:
        # What is confirmed adds to what is known of a run.
        known = [trusted for trusted in _read_trusted() if trusted != entry]
    lines = [json.dumps(records.dump(trusted)) + "\n" for trusted in (*known, entry)]
    # Where it cannot be written, the next session asks.
    with contextlib.suppress(OSError):
        _trusted_file().parent.mkdir(parents=True, exist_ok=True)
        records.write_text(_trusted_file(), "".join(lines))


def find_module_folder(run: Run) -> Path | None:
    """Return the folder in which a run was started here, if its environment's module may lie there; else None."""
    modules = run.task.env.modules
    if run.is_new:
        return import_path.find_module_folder(modules, Path.cwd())
    demand = _describe_environment(run.task.env)
    started = [entry for entry in _read_trusted() if demand in entry.demands and entry.module_folder]

    # A run that was moved is known by what it does, if that leads to one folder only.
    here = [entry for entry in started if entry.run == str(run.path.resolve())]
    folders = {entry.module_folder for entry in here or started}
    folder = Path(folders.pop() or "") if len(folders) == 1 else None
    if folder is None or folder.is_relative_to(run.path.resolve()):
        return None
    return import_path.find_module_folder(modules, folder)


def _describe_environment(env: EnvSpec) -> str | None:
    """Return what making an environment does beyond a registered id with the arguments of a shipped card."""
    if is_made_as_shipped(env):
        return None
    arguments = f" with {_format_arguments(env.kwargs)}" if env.kwargs else ""
    if is_robot(env) and not (env.imports or env.wrappers):
        return f"simulates the robot in its folder {store.RUN_FOLDER}/{arguments}"
    calls = [name for name in env.imports if ":" in name]
    wrappers = [f"{wrapper.name}({_format_arguments(wrapper.kwargs)})" for wrapper in env.wrappers]
    arguments += f", calls {', '.join(calls)}" if calls else ""
    arguments += f", wraps it in {', '.join(wrappers)}" if wrappers else ""
    if env.modules:
        named = f"module{'s' if len(env.modules) > 1 else ''} {', '.join(map(repr, env.modules))}"
        return f"imports the Python {named} for its environment {env.env_id!r}{arguments}"
    return f"makes its environment {env.env_id!r}{arguments}" if env.kwargs else None


def _describe_executor(recorded: ExecutorSettings, effective: ExecutorSettings) -> str | None:
    """Return where the jobs of a run go; None where that is this machine, or where the user alone says it."""
    if effective.kind == "local" or recorded == ExecutorSettings():
        return None
    if effective.kind == "ray":
        where = f"the Ray cluster {effective.address!r}" if effective.address else "a Ray cluster of its own"
        return f"runs its jobs on {where}"
    parameters = f", with {_format_arguments(effective.slurm)}" if effective.slurm else ""
    return f"runs its jobs through Slurm, by scripts in {effective.folder!r}{parameters}"


def _format_arguments(arguments: object) -> str:
    return json.dumps(arguments, sort_keys=True)


def _trusted_file() -> Path:
    """Return the file of the runs that were started or confirmed here, one a line."""
    return endpoints_file().with_name("runs.jsonl")


def _read_trusted() -> list[TrustedRun]:
    """Read the runs that were started or confirmed here; lines that cannot be read count as none."""
    trusted = []
    with contextlib.suppress(OSError, DamagedFile):
        for number, line in bounded_files.iter_lines(_trusted_file()):
            with contextlib.suppress(DamagedFile):
                data = bounded_files.parse_json(line, _trusted_file(), number)
                trusted.append(records.load_from_file(TrustedRun, data, _trusted_file(), number))
    return trusted
