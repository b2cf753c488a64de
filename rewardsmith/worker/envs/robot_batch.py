"""n simulations of a robot on `mujoco.batch`: on the calling thread, or on as many threads as a step shall have."""

from __future__ import annotations

import time
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.worker.envs.mujoco_physics import ThreadedBatch
from rewardsmith.worker.envs.thread_choice import ThreadChoice

try:
    from mujoco import batch as mujoco_batch
except ImportError:
    mujoco_batch = None

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]

CURRENT = int(mujoco.mjtStage.mjSTAGE_VEL)
"""Stage that is computed after a step; a persistent batch begins the next step with it, so that it costs nothing."""


def check_batch() -> None:
    """Make sure that the installed MuJoCo can step several simulations at once.

    Raises:
        TaskError: if it cannot.
    """
    if mujoco_batch is None:
        raise TaskError(
            f"a robot from a model file needs MuJoCo 4, and {mujoco.__version__} is installed; pip install 'mujoco>=4'"
        )


class RobotBatch:
    """The simulations, with the interface of `mujoco.batch.Batch` as far as robots use it.

    With several threads a second batch does a step; it is given the state and the changed fields of the model before,
    and what it leaves is copied back, so that the buffers stay the same objects.
    """

    def __init__(self, model: Any, n: int, threads: ThreadChoice | None = None) -> None:
        """Make the simulations.

        Args:
            model: the MjModel.
            n: how many.
            threads: chooses the number of threads of each step; None takes one.
        """
        self._n = n
        self._batch = mujoco_batch.Batch(model, n, nthread=1, persistent=True)
        self._threads = threads if can_move_simulations(model) else None
        self._threaded: ThreadedBatch | None = None
        self._copies: dict[str, Array] = {}
        """Derived field to the buffer (n, ...) that is read, whichever batch stepped; empty on one thread."""
        self._sources: list[tuple[Array, Array]] = []
        """Pairs of such a buffer and the first batch's own."""
        self._expanded: list[str] = []
        self._has_constants = False
        self._changed = np.ones(n, np.bool_)
        """(n,): where the second batch's model differs."""
        self.warning = self._batch.warning

    def bind(self, name: str) -> Array:
        """Return the live buffer (n, ...) of a field; state fields can be written."""
        buffer: Array = self._batch.bind(name)
        if self._threads is None or np.shares_memory(buffer, self._batch.state):
            return buffer
        if name not in self._copies:
            self._copies[name] = np.zeros_like(buffer)
            self._sources.append((self._copies[name], buffer))
        return self._copies[name]

    def expand(self, name: str) -> Array:
        """Give a field of the model a value for each simulation, and return the live buffer (n, ...)."""
        self._expanded.append(name)
        buffer: Array = self._batch.expand(name)
        return buffer

    def set_const(self, ids: Rows) -> None:
        """Compute what follows from the fields of the model that were written."""
        self._has_constants = True
        self._batch.set_const(ids=ids)

    def reset(self, ids: Rows) -> None:
        """Reset simulations, whose state and model are then written; `forward` follows."""
        self._batch.reset(ids=ids, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        self._changed[ids] = True

    def forward(self, ids: Rows) -> None:
        """Compute the derived fields of simulations."""
        self._batch.forward(ids=ids)
        for copy, source in self._sources:
            copy[ids] = source[ids]

    def step(self, nstep: int) -> Bools | None:
        """Advance every simulation; positions and velocities are current then.

        Returns:
            (n,): the simulations that MuJoCo gave up, which keep their state; None where none.
        """
        if self._threads is None:
            return self._advance(self._batch, nstep)
        threaded = self._select_threaded(self._threads.count_threads())
        began = time.perf_counter()
        failed = self._advance(threaded or self._batch, nstep)
        self._threads.add_time(time.perf_counter() - began)
        for copy, source in threaded.sources if threaded else self._sources:
            copy[:] = source
        return failed

    def _advance(self, batch: Any, nstep: int) -> Bools | None:
        try:
            batch.step(nstep=nstep, stage=CURRENT)
        except mujoco_batch.SimulationError as error:
            return np.isin(np.arange(self._n), error.ids)
        return None

    def get_data(self, row: int, data: Any) -> None:
        """Copy the state of one simulation into an MjData."""
        self._batch.get_data(row, data)

    def _select_threaded(self, threads: int) -> ThreadedBatch | None:
        """Return the batch with this number of threads, its model up to date; None for one thread."""
        if threads == 1:
            return None
        if self._threaded is None or self._threaded.threads != threads:
            self._threaded = ThreadedBatch(self._batch, self._copies, threads)
            self._changed[:] = True
        changed = np.flatnonzero(self._changed)
        if changed.size and self._expanded:
            self._threaded.copy_model_fields(self._expanded, changed, self._has_constants)
        self._changed[:] = False
        return self._threaded


def can_move_simulations(model: Any) -> bool:
    """Return whether a simulation's state says all of it; what sleeps and what plugins remember is outside of it."""
    kept_in_data = int(mujoco.mjtEnableBit.mjENBL_SLEEP) | int(mujoco.mjtEnableBit.mjENBL_IPC)
    return not int(model.opt.enableflags) & kept_in_data and not model.nplugin
