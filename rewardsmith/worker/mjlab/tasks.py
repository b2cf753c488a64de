"""A task of mjlab by its id: its configuration, the device that it runs on, and n environments of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rewardsmith.contract import env_families
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.contract.text import suggest_names
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.envs.open_env import import_registering

KWARGS = ("device", "motion_file", "config")
"""Keyword arguments of a task: "cpu" or "cuda:0"; the motion that a tracking task follows; and what is to be different
in mjlab's configuration, path to value, as {"terminations.fell_over.params.limit_angle": 2.6, "events.push_robot":
false}. False removes an entry of a table."""
GPU_ENVS, CPU_ENVS = 4_096, 64
"""Environments of a training where the settings do not say how many."""
DEVICE_NODES = Path("/dev")
GRAPHS_SINCE = (12, 4)
"""CUDA version of the driver from which on mjlab captures its kernels as graphs."""
ON_CPU = """--env-kwargs '{"device": "cpu"}' computes without it"""


@dataclass
class LabTask:
    """A registered task, with the spec's changes."""

    spec: EnvSpec
    env_config: Any
    """mjlab's ManagerBasedRlEnvCfg; its `scene.num_envs` and `seed` are set when environments are made."""
    learner_config: Any
    """mjlab's RslRlOnPolicyRunnerCfg."""
    device: str
    remarks: tuple[str, ...] = ()
    """Remarks about the device for the user, a line each."""

    @property
    def default_envs(self) -> int:
        """Environments of a training where the settings do not say how many."""
        return GPU_ENVS if self.device.startswith("cuda") else CPU_ENVS

    @property
    def step_s(self) -> float:
        """Simulated seconds of an environment step."""
        return float(self.env_config.sim.mujoco.timestep * self.env_config.decimation)

    @property
    def max_episode_steps(self) -> int:
        """Time limit in environment steps."""
        return math.ceil(float(self.env_config.episode_length_s) / self.step_s)


def load_lab_task(spec: EnvSpec) -> LabTask:
    """Return the task that a spec names.

    Raises:
        TaskError: if a package is missing or does not fit, the task is not registered, it takes no such keyword
            argument, its policy observes images, or the machine's GPU cannot be used.
    """
    env_families.require_packages(spec.env_id)
    if spec.wrappers:
        raise TaskError(f"{spec.env_id!r} is a task of mjlab: it takes no wrappers, which are Gymnasium's")
    if spec.list_learned():
        raise TaskError(f"{spec.env_id!r} is a task of mjlab: it takes no learned signals, which see one environment")
    unknown = sorted(set(spec.kwargs) - set(KWARGS))
    if unknown:
        raise TaskError(f"{spec.env_id!r} takes no keyword argument {unknown[0]!r}; there are {', '.join(KWARGS)}")
    device, remarks = choose_device(spec.kwargs, spec.env_id)
    registry, name = _import_registry(), spec.env_id.rpartition(":")[2]
    for module in spec.imports:
        import_registering(spec.env_id, module)
    if name not in registry.list_tasks():
        raise TaskError(f"mjlab has no task {name!r}; {suggest_names(name, registry.list_tasks())}")
    task = LabTask(spec, registry.load_env_cfg(name), registry.load_rl_cfg(name), device, remarks)
    _adjust_configuration(task)
    return task


def _import_registry() -> Any:
    # It registers the tasks; Warp and others warn of what their own code does.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mjlab.tasks import registry
    return registry


def choose_device(kwargs: Mapping[str, Any], env_id: str) -> tuple[str, tuple[str, ...]]:
    """Return the device to compute on, and what a user should know about it, a line each.

    Without a wish it is the GPU, and the CPU where there is none; a GPU that cannot be used is an error, as the CPU
    would take days for what it was bought for.

    Raises:
        TaskError: if the device does not exist or cannot be used, with the reason.
    """
    wish = kwargs.get("device")
    if wish is not None and wish != "cpu" and not (isinstance(wish, str) and wish.startswith("cuda")):
        raise TaskError(f"{env_id!r}: device = {wish!r}; write 'cpu' or 'cuda:0'")
    if wish == "cpu":
        return "cpu", ()
    if torch.cuda.is_available():
        return str(wish or "cuda:0"), _describe_driver(env_id)
    if wish is None and not any(DEVICE_NODES.glob("nvidia[0-9]*")):
        return "cpu", ()
    raise TaskError(f"{env_id!r} cannot use the GPU of this machine: {_explain_missing_cuda()}; {ON_CPU}")


def _explain_missing_cuda() -> str:
    """Return why torch finds no GPU."""
    if torch.version.cuda is None:
        return "the installed torch is a CPU build; install torch from https://download.pytorch.org/whl/cu128"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
        except (RuntimeError, AssertionError) as error:
            caught_text = str(error)
        else:
            caught_text = "torch finds none"
    text = str(caught[0].message) if caught else caught_text
    return text.partition("\n")[0].partition(" Please")[0].rstrip(". ")


def _describe_driver(env_id: str) -> tuple[str, ...]:
    """Return a line about a driver that Warp can use, but not fully.

    Raises:
        TaskError: if Warp cannot use it.
    """
    import warp

    version = warp.get_cuda_driver_version()
    if version is None or not warp.is_cuda_available():
        raise TaskError(f"{env_id!r} cannot use the GPU of this machine: its driver is too old for Warp; {ON_CPU}")
    if tuple(version) >= GRAPHS_SINCE:
        return ()
    has, since = (".".join(map(str, numbers)) for numbers in (version, GRAPHS_SINCE))
    return (
        f"the NVIDIA driver is of CUDA {has}: from {since} on mjlab captures its kernels, and is many times as fast",
    )


def _adjust_configuration(task: LabTask) -> None:
    """Apply the spec to the task's configuration.

    Raises:
        TaskError: if the task needs a motion file and has none, or its policy observes images.
    """
    spec, config = task.spec, task.env_config
    groups = task.learner_config.obs_groups["actor"]
    if task.learner_config.actor.cnn_cfg is not None or len(groups) != 1 or task.learner_config.actor.rnn_type:
        raise TaskError(
            f"{spec.env_id!r}: its policy is no network of plain layers on one vector; such tasks alone run"
        )
    for path, value in dict(spec.kwargs.get("config", {})).items():
        _set_path(config, path, value, spec.env_id)
    if spec.max_episode_steps is not None:
        # mjlab rounds up: half a step less leaves room for what floats are off.
        config.episode_length_s = (spec.max_episode_steps - 0.5) * task.step_s
    for name, command in config.commands.items():
        if hasattr(command, "motion_file"):
            command.motion_file = _find_motion(spec, name)
    # On a plane every environment is a world of its own: with one origin, a place means the same in all.
    terrain = config.scene.terrain
    if terrain is not None and terrain.terrain_type == "plane":
        config.scene.env_spacing = 0.0


def _set_path(config: Any, path: str, value: Any, env_id: str) -> None:
    """Set a value of the configuration, or remove an entry of a table.

    Raises:
        TaskError: if there is no such path, with what there is instead.
    """
    *parents, last = path.split(".")
    holder = config
    for place, part in enumerate((*parents, last)):
        names = list(holder) if isinstance(holder, dict) else [name for name in vars(holder) if name[0] != "_"]
        if part not in names:
            where = ".".join((*parents, last)[:place]) or "the configuration"
            raise TaskError(f"{env_id!r}: config names {path!r}, and {where} has {', '.join(names) or 'no such names'}")
        if place == len(parents):
            break
        holder = holder[part] if isinstance(holder, dict) else getattr(holder, part)
    if isinstance(holder, dict):
        if value is False:
            del holder[last]
        else:
            holder[last] = value
    else:
        setattr(holder, last, tuple(value) if isinstance(value, list) else value)


def _find_motion(spec: EnvSpec, command: str) -> str:
    file = spec.kwargs.get("motion_file")
    if not isinstance(file, str) or not Path(file).is_file():
        what = f"there is no file {file!r}" if file else "none is given"
        raise TaskError(
            f"{spec.env_id!r} follows a recorded motion ({command}), and {what}:"
            """ --env-kwargs '{"motion_file": "/path/motion.npz"}'"""
        )
    return str(Path(file).resolve())


def make_lab_env(task: LabTask, n: int, seed: int) -> Any:
    """Return n environments of a task, mjlab's ManagerBasedRlEnv; not reset yet.

    Args:
        task: the task; its configuration becomes the environments'.
        n: how many, at least 1.
        seed: of the randomisation, the starts, the commands and the noise, of all environments together.

    Raises:
        RuntimeError: if the device's memory is too small (`is_out_of_memory`).
    """
    from mjlab.envs import ManagerBasedRlEnv

    task.env_config.scene.num_envs, task.env_config.seed = n, seed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ManagerBasedRlEnv(task.env_config, task.device)


def read_lab_actions(env: Any, clip: float | None) -> ActionSpec:
    """Return the actions of environments: numbers without bounds, or those of the learner's `clip_actions`."""
    width, bound = env.action_manager.total_action_dim, math.inf if clip is None else clip
    return ActionSpec((-bound,) * width, (bound,) * width)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the device's memory is full, as torch or Warp raise it."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "failed to allocate" in text)
