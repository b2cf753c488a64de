"""Functions of users that act in an environment in place of a policy: scripted controllers, and people at a device.

    def act(observation):          # (obs_dim,), one observation, flattened
        return [0.5, -0.2]         # one action; a number for a choice

If the function has an attribute `reset`, that is called before each episode.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.envs.env_faults import explain_faults

Array = NDArray[np.float64]


class UserActor:
    """A function of a user that acts in one environment."""

    def __init__(self, env_id: str, name: str, actions: ActionSpec) -> None:
        """Import the function.

        Args:
            env_id: of the environment, for messages.
            name: "module:function".
            actions: that the environment takes.

        Raises:
            TaskError: if it cannot be imported.
        """
        self._env_id, self._name, self._actions = env_id, name, actions
        module, _, attribute = name.partition(":")
        with self._explain_faults():
            self._function: Any = getattr(importlib.import_module(module), attribute)

    def begin_episode(self) -> Callable[[Array], Array]:
        """Return the function from the environment's observation (1, obs_dim) to its action (1, a).

        Raises:
            TaskError: if the user's function fails; so does what is returned, also where it gives no action.
        """
        with self._explain_faults():
            getattr(self._function, "reset", lambda: None)()
        return self._act

    def _act(self, obs: Array) -> Array:
        with self._explain_faults():
            action = np.asarray(self._function(obs[0]), np.float64).reshape(-1)
        if len(action) != self._actions.width or not np.isfinite(action).all():
            raise TaskError(f"--act {self._name} returned {action.tolist()}; an action is {self._actions.describe()}")
        return np.asarray(np.clip(action, self._actions.low, self._actions.high)[None])

    def _explain_faults(self) -> Any:
        return explain_faults(self._env_id, f"cannot be acted in by --act {self._name}")
