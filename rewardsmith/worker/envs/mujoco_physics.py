"""n simulations of one MuJoCo model, stepped together: on `mujoco.batch`, or in a loop over n MjData.

Both are bit-identical to one MjData per environment. `mujoco.batch` keeps the state in rows and steps them without
Python in between. The loop serves MuJoCo versions without it, and what it cannot compute: contact forces
(`mj_rnePostConstraint`) and forces at the present state.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.worker.envs.mujoco_fields import FORCE, STATE, VELOCITY, FieldMirror, expand_fields, required_stage
from rewardsmith.worker.envs.thread_choice import ThreadChoice

try:
    from mujoco import batch as mujoco_batch
except ImportError:
    mujoco_batch = None

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

STATE_BITS = int(mujoco.mjtState.mjSTATE_INTEGRATION)
"""Everything that the next step depends on, the solver's warm start included."""
DIVERGED = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)
"""The warnings at which MuJoCo resets a simulation on its own."""


class Physics(Protocol):
    """n simulations; the arrays of `stepped_buffer` and `current_buffer` stay the same objects."""

    def stepped_buffer(self, field: str) -> Array:
        """Return the buffer (n, ...) of a field as the step leaves it: derived fields lag by one substep."""
        ...

    def current_buffer(self, field: str) -> Array:
        """Return the buffer (n, ...) of a field that `refresh_current` makes current."""
        ...

    def step(self, ctrl: NDArray[np.floating]) -> None:
        """Advance every simulation by one environment step under ctrl (n, nu)."""
        ...

    def refresh_current(self) -> None:
        """Make the buffers of `current_buffer` current; the simulations are left as they are."""
        ...

    def restore_row(self, row: int, data: Any) -> None:
        """Give one simulation the state of `data`, on which mj_forward has run."""
        ...

    def find_diverged(self) -> Bools | None:
        """Return which simulations (n,) MuJoCo had to reset in the last step; None where none."""
        ...


def make_physics(
    model: Any,
    n: int,
    nstep: int,
    stepped: Sequence[str],
    current: Sequence[str],
    threads: ThreadChoice | None = None,
) -> Physics:
    """Build n simulations.

    Args:
        model: the MjModel.
        n: how many simulations.
        nstep: substeps of an environment step.
        stepped: fields that are read as the step leaves them.
        current: fields that are read current.
        threads: chooses the number of threads of each step, where the simulations can use several; None takes one.
    """
    beyond = required_stage(stepped) > FORCE or required_stage(current) >= FORCE
    if mujoco_batch is None or beyond:
        return LoopPhysics(model, n, nstep, stepped, current)
    return BatchPhysics(model, n, nstep, stepped, current, threads)


class BatchPhysics:
    """Simulations on `mujoco.batch`: on the calling thread, or on as many threads as are chosen before each step.

    The number of threads of a batch is fixed. With several, a second batch does the same work: it is given the state
    before each call, and what it leaves is copied back, so that the buffers stay the same objects.
    """

    def __init__(
        self,
        model: Any,
        n: int,
        nstep: int,
        stepped: Sequence[str],
        current: Sequence[str],
        threads: ThreadChoice | None = None,
    ) -> None:
        self._batch = self._active = mujoco_batch.Batch(model, n, nthread=1)
        self._nstep = nstep
        self._threads = threads
        self._threaded: ThreadedBatch | None = None
        self._stage = required_stage(current)
        plain = expand_fields(current)
        self._bound = {name: self._batch.bind(name) for name in dict.fromkeys((*stepped, *plain, "ctrl"))}
        # Fields of the state are views of its rows, which are common; of the others there are copies of our own.
        state = self._batch.state
        derived = [name for name, buffer in self._bound.items() if threads and not np.shares_memory(buffer, state)]
        self._copies = {name: np.zeros_like(self._bound[name]) for name in derived}
        self._bound |= self._copies
        self._sources = [(copy, self._batch.bind(name)) for name, copy in self._copies.items()]
        self._ctrl = self._bound["ctrl"]
        self._warnings, self._quiet = self._batch.warning, bytes(self._batch.warning.nbytes)
        self._failed: Bools | None = None

    def stepped_buffer(self, field: str) -> Array:
        """Return the batch's own buffer, or a copy that every call fills."""
        bound: Array = self._bound[field]
        return bound

    def current_buffer(self, field: str) -> Array:
        """Return the batch's own buffer."""
        return self.stepped_buffer(field)

    def step(self, ctrl: NDArray[np.floating]) -> None:
        """Advance every simulation; one that raises keeps its state and counts as diverged."""
        self._failed = None
        self._ctrl[:] = ctrl
        if self._threads is None:
            self._advance(self._batch)
            return
        batch = self._select_batch(self._threads.count_threads())
        began = time.perf_counter()
        self._advance(batch)
        self._threads.add_time(time.perf_counter() - began)

    def refresh_current(self) -> None:
        """Compute the stages that the current fields need."""
        if self._stage == STATE:
            return
        stage = mujoco.mjtStage.mjSTAGE_VEL if self._stage >= VELOCITY else mujoco.mjtStage.mjSTAGE_POS
        self._active.forward(stage=int(stage))
        self._fill_copies()

    def _advance(self, batch: Any) -> None:
        try:
            batch.step(nstep=self._nstep)
        except mujoco_batch.SimulationError as error:
            self._failed = np.isin(np.arange(len(self._ctrl)), error.ids)
        self._fill_copies()

    def _fill_copies(self) -> None:
        sources = self._sources if self._active is self._batch else self._active.sources
        for copy, source in sources:
            copy[:] = source

    def _select_batch(self, threads: int) -> Any:
        """Return what steps on this number of threads; the last batch with several is kept, its threads asleep."""
        if threads == 1:
            self._active = self._batch
        else:
            if self._threaded is None or self._threaded.threads != threads:
                self._threaded = ThreadedBatch(self._batch, self._copies, threads)
            self._active = self._threaded
        return self._active

    def restore_row(self, row: int, data: Any) -> None:
        """Copy the state row; derived buffers follow at the next call."""
        mujoco.mj_getState(self._batch.model, data, self._batch.state[row], STATE_BITS)
        self._batch.warning[row] = 0

    def find_diverged(self) -> Bools | None:
        """Read the warning counters, which `restore_row` sets back."""
        # Comparing bytes takes a tenth of the time of any() on so small an array, and this runs every step.
        if self._failed is None and self._warnings.tobytes() == self._quiet:
            return None
        raised: Bools = self._warnings[:, DIVERGED, 1].any(axis=1)
        failed = raised if self._failed is None else raised | self._failed
        return failed if failed.any() else None


class ThreadedBatch:
    """A second batch, with several threads, that works on the state of a first one."""

    def __init__(self, main: Any, copies: Mapping[str, Array], threads: int) -> None:
        """Start the threads.

        Args:
            main: the first batch, whose state is kept up to date.
            copies: derived field to the buffer that its values are copied into.
            threads: how many.
        """
        self.threads = threads
        self._main = main
        self._batch = mujoco_batch.Batch(main.model, len(main.state), nthread=threads)
        self.sources = [(copy, self._batch.bind(name)) for name, copy in copies.items()]
        """Pairs of such a buffer and the derived field."""

    def step(self, nstep: int, stage: int = int(mujoco.mjtStage.mjSTAGE_NONE)) -> None:
        """Advance every simulation, then compute the stages up to one; raises as the batch does."""
        self._begin_call()
        try:
            self._batch.step(nstep=nstep, stage=stage)
        finally:
            self._end_call()

    def copy_model_fields(self, fields: Sequence[str], rows: NDArray[np.intp], has_constants: bool) -> None:
        """Give simulations the first batch's values of fields of the model.

        Args:
            fields: those that differ between simulations.
            rows: the simulations.
            has_constants: whether constants that follow from the fields were computed.
        """
        for field in fields:
            self._batch.expand(field)[rows] = self._main.expand(field)[rows]
        if has_constants:
            self._batch.set_const(ids=rows)

    def forward(self, stage: int) -> None:
        """Compute the derived fields of every simulation up to a stage."""
        self._begin_call()
        try:
            self._batch.forward(stage=stage)
        finally:
            self._end_call()

    def _begin_call(self) -> None:
        self._batch.state[:] = self._main.state
        self._batch.warning[:] = self._main.warning

    def _end_call(self) -> None:
        self._main.state[:] = self._batch.state
        self._main.warning[:] = self._batch.warning


class LoopPhysics:
    """Simulations as a loop over n MjData."""

    def __init__(self, model: Any, n: int, nstep: int, stepped: Sequence[str], current: Sequence[str]) -> None:
        self._model, self._nstep = model, nstep
        self._datas = [mujoco.MjData(model) for _ in range(n)]
        self._ctrl = [data.ctrl for data in self._datas]
        self._contacts = required_stage(stepped) > FORCE
        self._views = {name: [getattr(data, name) for data in self._datas] for name in stepped}
        self._stepped = {name: np.stack(views) for name, views in self._views.items()}
        self._flat = {name: buffer.reshape(-1, *buffer.shape[2:]) for name, buffer in self._stepped.items()}
        self._mirror = FieldMirror(model, current, n)
        self._reads_current = bool(current)
        self._failed = np.zeros(n, dtype=np.bool_)
        self._counters = [data.warning.number for data in self._datas]
        self._warnings = np.stack(self._counters)
        self._quiet = bytes(self._warnings.nbytes)
        self._state = np.empty(mujoco.mj_stateSize(model, STATE_BITS))

    def stepped_buffer(self, field: str) -> Array:
        """Return a buffer into which each step copies."""
        return self._stepped[field]

    def current_buffer(self, field: str) -> Array:
        """Return the mirror's buffer."""
        return self._mirror.get_buffer(field)

    def step(self, ctrl: NDArray[np.floating]) -> None:
        """Advance every simulation; one that raises counts as diverged."""
        model, nstep = self._model, self._nstep
        self._failed[:] = False
        for row, data in enumerate(self._datas):
            self._ctrl[row][:] = ctrl[row]
            try:
                mujoco.mj_step(model, data, nstep)
            except mujoco.FatalError:
                self._failed[row] = True
            if self._contacts:
                mujoco.mj_rnePostConstraint(model, data)
        for name, views in self._views.items():
            np.concatenate(views, out=self._flat[name])

    def refresh_current(self) -> None:
        """Copy each simulation into the mirror and read it there."""
        if self._reads_current:
            for row, data in enumerate(self._datas):
                self._mirror.copy_simulation(self._model, data, row)

    def restore_row(self, row: int, data: Any) -> None:
        """Copy the state, and the derived fields as `data` has them."""
        mujoco.mj_getState(self._model, data, self._state, STATE_BITS)
        # The reset sets the warning counters back.
        mujoco.mj_resetData(self._model, self._datas[row])
        mujoco.mj_setState(self._model, self._datas[row], self._state, STATE_BITS)
        for name, buffer in self._stepped.items():
            buffer[row] = getattr(data, name)

    def find_diverged(self) -> Bools | None:
        """Read the warning counters, which `restore_row` sets back."""
        np.concatenate(self._counters, out=self._warnings.reshape(-1))
        if self._warnings.tobytes() == self._quiet and not self._failed.any():
            return None
        failed: Bools = self._failed | self._warnings[:, DIVERGED].any(axis=1)
        return failed if failed.any() else None
