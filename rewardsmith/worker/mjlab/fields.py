"""Signals read from the tensors of a simulation, without leaving the device.

Beside the fields of MuJoCo's data a source reads here:

command[twist]                what the task's command of that name asks for
last_action                   the action of the step
contact[feet_contact,force]   a field of a contact sensor of mjlab: found, force, current_air_time, ...
heights[foot_scan]            heights above the terrain, from a sensor that casts rays
body[robot,heading_w]         a quantity that mjlab computes of an entity's root
terrain_origin                middle of the environment's patch of terrain; 0 on a plane
environment_reward            mjlab's own reward of the step
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Signal
from rewardsmith.contract.signal_source import (
    ENVIRONMENT_REWARD,
    Constant,
    FieldReference,
    FunctionCall,
    Index,
    Node,
    SignedSum,
    list_field_references,
    parse,
)
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.envs.mujoco_fields import COMPUTED, FIELDS, STATE, find_rows

Read = Callable[[], torch.Tensor]
"""Returns the present values (n, ...)."""

NOT_COMPUTED = ("cfrc_ext",)
"""Fields of MuJoCo that MuJoCo Warp computes for its own sensors only."""
BODY_QUANTITIES = {
    "root_link_lin_vel_b": ("base_velocity", (3,), "m/s", "velocity of the root of {}, in its own axes"),
    "root_link_ang_vel_b": (
        "base_angular_velocity",
        (3,),
        "rad/s",
        "angular velocity of the root of {}, in its own axes",
    ),
    "projected_gravity_b": (
        "gravity",
        (3,),
        "1",
        "direction of gravity in the axes of the root of {}: (0, 0, -1) upright",
    ),
    "heading_w": ("heading", (), "rad", "direction of the root of {} seen from above, anti-clockwise from the x axis"),
}
"""Attribute of an entity's data to the signal's name behind that of the entity, its shape, unit and meaning."""


def _norm(vector: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(vector.reshape(len(vector), -1), dim=1)  # type: ignore[no-any-return]


FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "wrap": lambda angle: (angle + math.pi) % (2.0 * math.pi) - math.pi,
    "cos": torch.cos,
    "sin": torch.sin,
    "norm": _norm,
    "angle": lambda vector: torch.atan2(vector[:, 1], vector[:, 0]),
}
"""The functions of sources (`contract.signal_source`), for tensors."""


class SignalGatherer:
    """Reader of a layout's signals from n environments, into one tensor."""

    def __init__(self, env: Any, layout: SignalLayout) -> None:
        """Resolve the sources.

        Args:
            env: mjlab's ManagerBasedRlEnv.
            layout: signals to gather.

        Raises:
            TaskError: if a source names what the task does not have, or has another shape than stated.
        """
        self._env, self._n = env, int(env.num_envs)
        self.layout = layout
        self.environment_reward = torch.zeros(self._n, device=env.device)
        """(n,), of the last step; whoever computes it writes it here."""
        self._reads = [self._bind_signal(signal) for signal in layout.signals]
        fields = {ref.field for signal in layout.signals for ref in list_field_references(parse(signal.source))}
        self.needs_kinematics = any(
            name == "body" or (name in FIELDS and FIELDS[name].stage > STATE) for name in fields
        )
        """Whether a signal is computed from positions and velocities, and is none of them itself."""

    def gather_signals(self) -> torch.Tensor:
        """Return the present values, a new tensor (n, width) of float32."""
        if not self._reads:
            return torch.zeros((self._n, 0), device=self._env.device)
        return torch.cat([read().reshape(self._n, -1).float() for read in self._reads], dim=1)

    def _bind_signal(self, signal: Signal) -> Read:
        read = self._bind_node(parse(signal.source), signal)
        shape = tuple(read().shape[1:])
        if shape != signal.shape and shape != (math.prod(signal.shape),):
            raise TaskError(
                f"signal {signal.name!r}: its source {signal.source!r} has shape {shape}, stated is {signal.shape}"
            )
        return read

    def _bind_node(self, node: Node, signal: Signal) -> Read:
        if isinstance(node, FunctionCall):
            function, argument = FUNCTIONS[node.function], self._bind_node(node.argument, signal)
            return lambda: function(argument())
        if isinstance(node, SignedSum):
            left, right, sign = self._bind_node(node.left, signal), self._bind_node(node.right, signal), node.sign
            return lambda: left() + sign * right()
        if isinstance(node, Constant):
            constant = torch.tensor(node.value, device=self._env.device)
            return lambda: constant
        return self._bind_field(node, signal)

    def _bind_field(self, ref: FieldReference, signal: Signal) -> Read:
        name, indices = ref.field, list(ref.indices)
        if name == ENVIRONMENT_REWARD:
            return lambda: self.environment_reward
        if name in FIELDS and name not in NOT_COMPUTED:
            read, indices = self._bind_simulated(name, indices)
        elif name in OWN_FIELDS:
            read, indices = OWN_FIELDS[name](self._env, indices)
        else:
            known = ", ".join((*(field for field in FIELDS if field not in NOT_COMPUTED), *OWN_FIELDS))
            raise TaskError(f"signal {signal.name!r} reads {name!r}; a task of mjlab has {known}")
        place: Any = (slice(None), *indices)
        try:
            read()[place]
        except (IndexError, TypeError) as error:
            shape = tuple(read().shape[1:])
            raise TaskError(
                f"signal {signal.name!r}: {signal.source!r} is outside the field, of shape {shape}"
            ) from error
        return (lambda: read()[place]) if indices else read

    def _bind_simulated(self, name: str, indices: list[Index]) -> tuple[Read, list[Index]]:
        """Return what reads a field of MuJoCo's data, and its indices with names resolved."""
        model, data = self._env.sim.mj_model, self._env.sim.data
        rows = [find_rows(model, name, index) if isinstance(index, str) else index for index in indices]
        if name in COMPUTED:
            return _bind_body_velocity(name, rows, data, model), rows[1:]
        if name in ("xmat", "site_xmat"):
            # MuJoCo keeps a matrix as nine numbers, row by row.
            return (lambda: getattr(data, name)[:].reshape(self._n, -1, 9)), rows
        return (lambda: getattr(data, name)[:]), rows


def _bind_body_velocity(name: str, rows: list[Index], data: Any, model: Any) -> Read:
    """Return what computes a body's velocity (n, 3) in world axes; see `mujoco_fields.bind_body_velocity`."""
    body = rows[0] if rows else None
    if not isinstance(body, int):
        raise TaskError(f"{name} must name one body, as in {name}[robot/trunk]")
    if name == "xvelr":
        return lambda: data.cvel[:, body, :3]
    root = int(model.body_rootid[body])

    def compute() -> torch.Tensor:
        angular, linear = data.cvel[:, body, :3], data.cvel[:, body, 3:]
        return linear + torch.cross(angular, data.xpos[:, body] - data.subtree_com[:, root], dim=1)  # type: ignore[no-any-return]

    return compute


def _read_command(env: Any, indices: list[Index]) -> tuple[Read, list[Index]]:
    names = getattr(env.command_manager, "active_terms", [])
    name = _take_name("command", indices, names)
    return (lambda: env.command_manager.get_command(name)), indices[1:]


def _read_action(env: Any, indices: list[Index]) -> tuple[Read, list[Index]]:
    return (lambda: env.action_manager.action), indices


def _read_contact(env: Any, indices: list[Index]) -> tuple[Read, list[Index]]:
    sensors = {name: sensor for name, sensor in env.scene.sensors.items() if hasattr(sensor, "primary_names")}
    sensor = sensors[_take_name("contact", indices, sensors)]
    filled = [name for name, _ in list_contact_fields(sensor)]
    field = _take_name(f"contact[{sensor.cfg.name}]", indices[1:], filled)
    return (lambda: getattr(sensor.data, field)), indices[2:]


def list_contact_fields(sensor: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what a contact sensor measures now: name and values (n, ...), the histories of substeps left out."""
    for name, values in vars(sensor.data).items():
        if isinstance(values, torch.Tensor) and not name.endswith("_history"):
            yield name, values


def _read_heights(env: Any, indices: list[Index]) -> tuple[Read, list[Index]]:
    sensors = {name: sensor for name, sensor in env.scene.sensors.items() if hasattr(sensor, "num_rays_per_frame")}
    sensor = sensors[_take_name("heights", indices, sensors)]
    if not hasattr(sensor.data, "heights"):
        raise TaskError(f"heights[{sensor.cfg.name}]: this sensor measures no heights")
    return (lambda: sensor.data.heights), indices[1:]


def _read_body(env: Any, indices: list[Index]) -> tuple[Read, list[Index]]:
    data = env.scene.entities[_take_name("body", indices, env.scene.entities)].data
    quantity = _take_name("body", indices[1:], BODY_QUANTITIES)
    return (lambda: getattr(data, quantity)), indices[2:]


def _read_origin(env: Any, indices: list[Index]) -> tuple[Read, list[Index]]:
    return (lambda: env.scene.env_origins), indices


OWN_FIELDS: dict[str, Callable[[Any, list[Index]], tuple[Read, list[Index]]]] = {
    "command": _read_command,
    "last_action": _read_action,
    "contact": _read_contact,
    "heights": _read_heights,
    "body": _read_body,
    "terrain_origin": _read_origin,
}
"""Fields that are mjlab's and not MuJoCo's: each returns what reads it, and the indices that are left."""


def _take_name(field: str, indices: list[Index], names: Any) -> str:
    """Return the name that stands first among indices.

    Raises:
        TaskError: if none does, or there is no such name.
    """
    name = indices[0] if indices else None
    if not isinstance(name, str) or name not in names:
        raise TaskError(f"{field}[{name}]: there is no such name; it has {', '.join(names) or 'none'}")
    return name
