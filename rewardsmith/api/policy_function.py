"""A trained policy of a run as a Python function, in NumPy alone: without torch and without a worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.api.exports import BEST, find_candidate
from rewardsmith.contract.errors import RunError
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import Evaluation
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.layout import final_owner

if TYPE_CHECKING:
    from rewardsmith.worker.training.policy import Policy


class PolicyFunction:
    """A trained policy: called with an observation, it returns an action for `env.step`."""

    def __init__(self, policy: Policy, folder: Path, fitness: float | None) -> None:
        """Take the policy that a training wrote; `load_policy` reads it."""
        self._policy = policy
        self.folder = folder
        """The folder of its training."""
        self.fitness = fitness
        """Mean over its held-out episodes; None where it was not evaluated."""

    def __repr__(self) -> str:
        """Return one line: the training, and the size of the networks."""
        return f"<policy of {self.folder}, {self._policy.obs_dim} numbers in, fitness {self.fitness}>"

    def __call__(self, obs: Any, *, rng: np.random.Generator | None = None) -> Any:
        """Return the action for one observation.

        Args:
            obs: as the environment gives it: an array, or a dict or tuple of arrays.
            rng: draw the action as in training; None takes the likeliest.

        Returns:
            The number of a choice, counted from 0, or an array (a,) inside the bounds of the action.

        Raises:
            RunError: if the observation has another number of numbers than the policy takes.
        """
        flat = np.concatenate(_list_numbers(obs))
        if flat.size != self._policy.obs_dim:
            raise RunError(
                f"the observation has {flat.size} numbers, and the policy takes {self._policy.obs_dim}; is this the "
                "environment that it was trained in?"
            )
        action = self._policy.act(flat[None, :], deterministic=rng is None, rng=rng)[0]
        return int(action[0]) if self._policy.spec.action == "discrete" else action.astype(np.float32)

    def predict(self, obs: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True) -> Any:
        """Return the action and no state, as stable-baselines3's policies do, so that its helpers take this one too."""
        rng = None if deterministic else np.random.default_rng()
        return self(obs, rng=rng), None


def load_policy(run: Run, id: str, seed: int | None = None) -> PolicyFunction:
    """Read a trained policy of a candidate.

    Args:
        run: the run.
        id: of the candidate; BEST takes the best program, retrained where it was.
        seed: training seed; None takes the policy with the highest fitness.

    Raises:
        RunError: if there is no such candidate or policy, or the policy observes signals.
        WorkerFailed: if its files are missing or damaged.
    """
    from rewardsmith.worker.training import policy as policies

    candidate = find_candidate(run, id)
    owners = [final_owner(candidate.id), candidate.id] if id == BEST else [candidate.id]
    owner = next((owner for owner in owners if run.layout.list_evaluations(owner)), None)
    if owner is None:
        raise RunError(f"{run.path} has no trained policy of {candidate.id}; it is {candidate.status}")

    fitness = {number: _read_fitness(run, folder) for number, folder in run.layout.list_evaluations(owner)}
    if seed is None:
        measured = {number: value for number, value in fitness.items() if value is not None}
        seed = max(measured or fitness, key=lambda number: measured.get(number, 0.0))
    if seed not in fitness:
        raise RunError(f"{owner} has no policy of the training seed {seed}; it has: {', '.join(map(str, fitness))}")

    folder = run.layout.training_dir(owner, seed)
    policy = policies.load(folder)
    if policy.spec.observation:
        names = ", ".join(signal.name for signal in policy.spec.observation)
        raise RunError(
            f"the policy in {folder} observes signals ({names}), which an observation of the environment lacks"
        )
    return PolicyFunction(policy, folder, fitness[seed])


def _read_fitness(run: Run, evaluation: Path) -> float | None:
    return run.read_record(Evaluation, evaluation / RESULT_FILE).fitness


def _list_numbers(obs: Any) -> list[NDArray[np.float64]]:
    """Return the numbers of an observation, part after part, in the order in which it holds them."""
    if isinstance(obs, Mapping):
        return [numbers for part in obs.values() for numbers in _list_numbers(part)]
    if isinstance(obs, tuple):
        return [numbers for part in obs for numbers in _list_numbers(part)]
    return [np.asarray(obs, np.float64).ravel()]
