"""n environments of a robot on `mujoco.batch`: actions to controls, observation, end of an episode, start of the next.

The physics runs as in `mujoco_physics`; what is read after a step is current, but sensors of forces and accelerations,
contacts among them, which are those of the last substep. There is no environment reward: it is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.fitness import StateCondition
from rewardsmith.contract.records import Signal
from rewardsmith.contract.robots import RobotOptions
from rewardsmith.contract.signal_source import Index
from rewardsmith.worker.envs import robot_catalogue as catalogue
from rewardsmith.worker.envs.base import NONE_ENDED, ActionSpec, Array, Bools, EnvStep, SignalLayout, count_step
from rewardsmith.worker.envs.mujoco_env import make_getter
from rewardsmith.worker.envs.mujoco_fields import expand_fields, find_rows, is_field
from rewardsmith.worker.envs.mujoco_physics import DIVERGED
from rewardsmith.worker.envs.robot_actuators import SCALES
from rewardsmith.worker.envs.robot_batch import RobotBatch, check_batch
from rewardsmith.worker.envs.robot_model import Robot, load_robot
from rewardsmith.worker.envs.robot_observation import RobotObservation
from rewardsmith.worker.envs.robot_randomisation import RobotRandomiser
from rewardsmith.worker.envs.robot_start import RobotStart
from rewardsmith.worker.envs.signal_reader import SignalReader, refuse_row_name, select_signals
from rewardsmith.worker.envs.thread_choice import ThreadChoice
from rewardsmith.worker.training.images import ImagePart

MAX_TILT = 0.5
"""Cosine of 60 degrees."""


class RobotEnvs:
    """n environments of one robot; see `base.BatchedEnv`."""

    image = None
    image_parts: tuple[ImagePart, ...] = ()
    faults: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        options: RobotOptions,
        n: int,
        layout: SignalLayout,
        limit: int | None,
        restarts: bool = True,
        threads: ThreadChoice | None = None,
    ) -> None:
        """Build the environments.

        Args:
            options: of the robot.
            n: how many.
            layout: the signals to gather.
            limit: time limit in steps; None for no limit.
            restarts: whether the next episode starts at once where one ends.
            threads: chooses how many threads step the simulations; None takes one.

        Raises:
            TaskError: if the model cannot be used, or a signal cannot be read.
        """
        check_batch()
        catalogue.check_sources(layout.signals)
        self.robot, self.end, end_layout = load_with_contacts(options, layout)
        self.n, self.layout, self.max_episode_steps = n, layout, limit
        self.step_s = self.robot.step_s
        self._restarts = restarts
        self._limit = math.inf if limit is None else limit
        width = len(self.robot.actions.names)
        self.actions = ActionSpec((-1.0,) * width, (1.0,) * width)
        self._batch = RobotBatch(self.robot.model, n, threads)
        self._start_rules = RobotStart(self.robot)
        self._observation = RobotObservation(self.robot)
        self._randomiser = RobotRandomiser(self.robot, self._batch, n)
        self.obs_dim = self._observation.size
        self._allocate(end_layout)
        self._bind_signals(end_layout)

    def _allocate(self, end_layout: SignalLayout) -> None:
        n, width = self.n, self.layout.width
        self._obs, self._obs_before = np.zeros((n, self.obs_dim)), np.zeros((n, self.obs_dim))
        self._signals, self._signals_before, self._start = np.zeros((3, n, width))
        self._end_signals = np.zeros((n, end_layout.width))
        self._end_views = end_layout.unpack_signals(self._end_signals)
        self._own, self._elapsed = np.zeros(n), np.zeros(n)
        self._last_action, self._targets = np.zeros((2, n, self.actions.width))
        self._terminated, self._truncated, self._never = np.zeros((3, n), np.bool_)
        self._rngs: list[np.random.Generator] = [np.random.default_rng() for _ in range(n)]

    def _bind_signals(self, end_layout: SignalLayout) -> None:
        readers = [_make_reader(part, self._resolve_row) for part in (self.layout, end_layout)]
        simulated = [name for reader in readers for name in reader.fields if is_field(name)]
        names = dict.fromkeys(expand_fields([*RobotObservation.fields, *simulated, "ctrl", "qpos", "qvel", "act"]))
        self._bound = {name: self._batch.bind(name) for name in names if name != "act" or self.robot.model.na}
        get, roots = make_getter(self._bound.__getitem__, self._obs, self._own), self.robot.model.body_rootid
        self._gather, self._gather_end = (reader.bind_fields(get, roots) for reader in readers)
        self._warnings = self._batch.warning
        self._quiet = bytes(self._warnings.nbytes)

    def resolve_options(self) -> dict[str, Any]:
        """Return the options of the environment, with what they come to where nothing was said."""
        options, mode = self.robot.options, self.robot.actions.mode
        scale = {} if mode == "torque" else {"action_scale": options.action_scale or SCALES[mode]}
        return {
            "action": mode,
            **scale,
            "control_hz": options.control_hz,
            "start": options.start,
            "start_noise": options.start_noise,
            "end": self.end.text if self.end else "",
        }

    def list_signals(self) -> list[Signal]:
        """Return the signals that the robot has, whatever is gathered."""
        return catalogue.list_robot_signals(self.robot, self._observation)

    def reset(self, seeds: Sequence[int] | None = None) -> Array:
        """Start an episode everywhere; see `BatchedEnv.reset`."""
        for row, seed in enumerate(() if seeds is None else seeds):
            self._rngs[row] = np.random.default_rng(int(seed))
        self._start_rows(np.arange(self.n))
        return self._obs

    def step(self, actions: NDArray[np.floating]) -> EnvStep:
        """Act once everywhere; see `BatchedEnv.step`."""
        obs, own, terminated, truncated = self._obs, self._own, self._terminated, self._truncated

        # Act.
        self._obs_before[:], self._signals_before[:] = obs, self._signals
        self._last_action[:] = actions.astype(np.float32)
        effective = self._randomiser.delay_actions(self._last_action)
        self._targets[:] = self.robot.actions.compute_controls(effective, self._targets)
        failed = self._advance()

        # Read the state that the step leaves.
        self._observation.write(obs, self._bound.__getitem__, self._last_action)
        self._gather(self._signals)
        terminated[:] = self._find_ends()
        broken = self._end_broken_rows(failed)

        # Cut at the time limit, and start the next episodes.
        ended = count_step(self._elapsed, self._limit, terminated, truncated)
        if not ended.size:
            return EnvStep(obs, obs, terminated, truncated, own, self._signals, broken, NONE_ENDED)
        final_obs, after = obs.copy(), self._signals.copy()
        if self._restarts:
            self._start_rows(ended)
        return EnvStep(obs, final_obs, terminated, truncated, own, after, broken, ended)

    def read_signals(self) -> Array:
        """Return the signals at the state that the next step acts on."""
        return self._signals

    def read_start_signals(self) -> Array:
        """Return the signals at the start of each running episode."""
        return self._start

    def copy_simulation(self, row: int, data: Any) -> None:
        """Copy one simulation into an MjData, such as a renderer's."""
        self._batch.get_data(row, data)
        mujoco.mj_forward(self.robot.model, data)

    def has_ended(self, row: int) -> bool:
        """Return whether the condition that ends an episode holds in a row's present state."""
        return bool(self._find_ends()[row])

    def describe_end(self) -> str:
        """Return the first row's values of the signals that end an episode, as text."""
        values = ((name, np.round(view[0], 3)) for name, view in self._end_views.items())
        return ", ".join(f"{name} {value}" for name, value in values)

    def close(self) -> None:
        """Release nothing: the simulations go with the object."""

    # ---------------------------------------------------------------- parts of a step

    def _advance(self) -> Bools | None:
        """Advance the physics by a control step; return which simulations raised, None where none."""
        self._randomiser.push(self._elapsed, self._bound["qvel"])
        self._bound["ctrl"][:] = self._targets
        return self._batch.step(self.robot.substeps)

    def _find_ends(self) -> Bools:
        if self.end is None:
            return self._never
        self._gather_end(self._end_signals)
        return self.end.compute(self._end_views)

    def _end_broken_rows(self, failed: Bools | None) -> Bools:
        """End the episodes whose physics diverged, with the values before the step; return which."""
        is_quiet = failed is None and self._warnings.tobytes() == self._quiet
        flat = self._obs.ravel()
        if is_quiet and math.isfinite(flat.dot(flat)):
            return self._never
        broken: Bools = np.logical_not(np.isfinite(self._obs).all(axis=1))
        broken |= self._warnings[:, DIVERGED, 1].any(axis=1)
        if failed is not None:
            broken |= failed
        self._obs[broken], self._signals[broken] = self._obs_before[broken], self._signals_before[broken]
        self._terminated |= broken
        return broken

    def _start_rows(self, rows: NDArray[np.intp]) -> None:
        """Start an episode in these rows, each from its own generator."""
        self._batch.reset(rows)
        for row in rows.tolist():
            rng = self._rngs[row]
            pose, velocity = self._start_rules.draw(rng)
            self._bound["qpos"][row], self._bound["qvel"][row] = pose, velocity
            if self.robot.model.na:
                self._bound["act"][row] = self.robot.start_activation
            self._randomiser.draw_row(row, rng)
        self._targets[rows] = self.robot.actions.centre
        self._bound["ctrl"][rows] = self.robot.actions.centre
        self._batch.forward(rows)
        self._warnings[rows] = 0
        self._elapsed[rows], self._last_action[rows] = 0.0, 0.0

        # The other rows' buffers are as their step left them.
        self._observation.write(self._obs_before, self._bound.__getitem__, self._last_action)
        self._obs[rows] = self._obs_before[rows]
        self._gather(self._signals_before)
        self._signals[rows] = self._start[rows] = self._signals_before[rows]

    def _resolve_row(self, field: str, name: str) -> Index:
        return find_rows(self.robot.model, field, name) if is_field(field) else refuse_row_name(field, name)


def load_with_contacts(
    options: RobotOptions, layout: SignalLayout
) -> tuple[Robot, StateCondition | None, SignalLayout]:
    """Load a robot with a sensor for each contact that is gathered or ends an episode.

    Returns:
        The robot, the condition that ends an episode, and the signals of that condition.

    Raises:
        TaskError: if the model cannot be used, or the condition does not fit it.
    """
    robot = load_robot(options)
    signals = catalogue.list_robot_signals(robot, RobotObservation(robot))
    text = default_end(robot) if options.end is None else options.end
    end, end_layout = None, SignalLayout(())
    if text.strip():
        end = StateCondition(text, f"{options.model}: end =")
        end.try_on(signals)
        end_layout = select_signals(signals, end.names)
    contacts = catalogue.find_contacts((*layout.signals, *end_layout.signals))
    return load_robot(options, contacts) if contacts else robot, end, end_layout


def default_end(robot: Robot) -> str:
    """Return the condition that ends an episode unless the options say it; "" for a robot with a fixed base."""
    if not robot.is_free:
        return ""
    data = robot.pose_start()
    height, upright = float(data.xpos[robot.root, 2]), float(data.xmat[robot.root, 8])
    parts = [f"height < {0.5 * height:.3g}"] if height > 0.0 else []
    parts += [f"upright < {MAX_TILT:g}"] if upright > MAX_TILT else []
    return " or ".join(parts)


def _make_reader(layout: SignalLayout, resolve: Callable[[str, str], Index]) -> SignalReader:
    sensed = tuple(
        replace(signal, source=catalogue.spell_contacts_as_sensors(signal.source)) for signal in layout.signals
    )
    return SignalReader.from_layout(SignalLayout(sensed), resolve)
