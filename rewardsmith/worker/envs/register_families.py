"""Registration of the ids of a family of environments with Gymnasium, when one of them is asked for.

Most families register their ids when they are imported. Meta-World registers benchmarks instead: here each of its
tasks gets an id, "Meta-World/reach-v3".
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from functools import cache
from typing import Any

import gymnasium

from rewardsmith.contract import env_families
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.robots import ROBOT_NAMESPACE


def register_family(env_id: str) -> None:
    """Import what registers an environment's id.

    Raises:
        TaskError: if a package of its family is missing or does not fit: the line says what installs it; or if its
            family has no Gymnasium environments.
    """
    if env_id.startswith(ROBOT_NAMESPACE):
        from rewardsmith.worker.envs import robot_gym

        robot_gym.register_robot(env_id)
        return
    env_families.require_packages(env_id)
    family = env_families.find_family(env_id)
    if family is not None and family.is_resident:
        raise TaskError(
            f"{env_id!r} is a task of {family.title} and no Gymnasium environment: this is not offered for it"
        )
    if family is not None:
        _import_family(family.module)


@cache
def _import_family(module: str) -> None:
    # Some advertise a newer version of theirs, or warn of what their own code does.
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        imported = importlib.import_module(module)
    if module == "metaworld":
        _register_metaworld(imported)


def _register_metaworld(metaworld: Any) -> None:
    for name in metaworld.ALL_V3_ENVIRONMENTS:
        gymnasium.register(
            f"Meta-World/{name}",
            entry_point="rewardsmith.worker.envs.register_families:make_metaworld_task",
            kwargs={"env_name": name},
            max_episode_steps=metaworld.SawyerXYZEnv.max_path_length,
        )


def make_metaworld_task(env_name: str, seed: int = env_families.METAWORLD_SEED, **kwargs: Any) -> Any:
    """Return a task of Meta-World as its benchmark MT1 has it, started by the seed given to `reset`.

    Building MT1 itself draws the 50 goals in 2.5 s; here that happens once in a process.

    Args:
        env_name: such as "reach-v3".
        seed: draws the goals.
        kwargs: for the environment's class, such as render_mode.
    """
    import metaworld

    env = metaworld.ALL_V3_ENVIRONMENTS[env_name](**kwargs)
    return _Seeded(metaworld.RandomTaskSelectWrapper(env, _goals(env_name, seed)))


@cache
def _goals(env_name: str, seed: int) -> list[Any]:
    import metaworld

    return list(metaworld.MT1(env_name, seed=seed).train_tasks)


class _Seeded(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Seeds Meta-World's generator, which its own `reset` leaves as it is, and with it the choice of the goal."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        if seed is not None:
            inner: Any = self.unwrapped
            inner.seed(seed)
        return self.env.reset(seed=seed, options=options)
