"""Speed of robots from a file: steps against raw `mujoco.batch` physics, and the catalogue of a robot of 40 joints.

    python benchmarks/robots.py [--robot quadruped] [--envs 16] [--rounds 15]

Both sides do the same substeps under the same controls, one after the other in each round; the medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mujoco import batch as mujoco_batch

from rewardsmith.spec.task_cards import find_env
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.robot_envs import RobotEnvs

STEPS = 40
"""Environment steps of a round."""
SIGNALS = 10
JOINTS = 40


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robot", default="quadruped")
    parser.add_argument("--envs", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()

    spec, _ = find_env(options.robot)
    names = [signal.name for signal in survey_environment(spec).signals if signal.name != "obs"][:SIGNALS]
    gathered = compare(options.robot, options.envs, options.rounds, names)
    print(f"{options.robot}, {options.envs} environments: {gathered}")
    print(f"  signals: {', '.join(names)}")
    print(
        f"catalogue of {JOINTS} joints: {time_catalogue():.2f} s (model compiled, environment opened, signals listed)"
    )


def compare(robot: str, n: int, rounds: int, names: list[str]) -> str:
    """Return in words how many times of raw physics an environment step takes."""
    spec, _ = find_env(robot)
    env = make_envs(spec, n, names)
    assert isinstance(env, RobotEnvs)
    env.reset(range(n))
    model, substeps = env.robot.model, env.robot.substeps
    batch = mujoco_batch.Batch(model, n, nthread=1, persistent=True)
    batch.reset()
    batch.bind("qpos")[:] = env.robot.start
    batch.forward()
    controls = batch.bind("ctrl")
    rng = np.random.default_rng(0)
    actions = rng.uniform(-0.3, 0.3, (STEPS, n, env.actions.width))
    centre, scale = env.robot.actions.centre, env.robot.actions.scale

    def step_raw() -> None:
        for action in actions:
            controls[:] = centre + scale * action
            batch.step(nstep=substeps)

    def step_envs() -> None:
        for action in actions:
            env.step(action)

    raw, ours = measure_interleaved(step_raw, step_envs, rounds)
    speed = n * STEPS / ours
    return f"{ours / raw:.2f} times of raw physics ({speed:,.0f} steps/s, raw {n * STEPS / raw:,.0f})"


def measure_interleaved(first: Callable[[], None], second: Callable[[], None], rounds: int) -> tuple[float, float]:
    """Return the median CPU times in seconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for run, found in zip((first, second), times, strict=True):
            start = time.process_time()
            run()
            found.append(time.process_time() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def time_catalogue() -> float:
    """Return the median CPU time to survey a robot of 40 joints, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chain.xml"
        file.write_text(write_chain(JOINTS))
        spec, _ = find_env(str(file))
        found = []
        for _ in range(5):
            start = time.process_time()
            survey_environment(spec)
            found.append(time.process_time() - start)
        return statistics.median(found)


def write_chain(joints: int) -> str:
    """Return a robot with a free trunk and this many joints in five chains."""
    chains = []
    for chain in range(5):
        bodies = [
            f'<body name="link{chain}_{link}" pos="0 0 {0.1 if link else 0}"><joint name="joint{chain}_{link}"'
            f' axis="0 1 0" range="-1 1"/><geom type="capsule" size="0.02" fromto="0 0 0 0 0 0.1"/>'
            for link in range(joints // 5)
        ]
        chains.append(f'<body pos="{0.2 * chain} 0 0">' + "".join(bodies) + "</body>" * (len(bodies) + 1))
    motors = "".join(
        f'<motor joint="joint{chain}_{link}" ctrlrange="-5 5"/>' for chain in range(5) for link in range(joints // 5)
    )
    return (
        '<mujoco><compiler angle="radian" autolimits="true"/><worldbody><geom type="plane" size="0 0 1"/>'
        '<body name="trunk" pos="0 0 0.2"><freejoint/><geom type="box" size="0.6 0.1 0.1"/>'
        f"{''.join(chains)}</body></worldbody><actuator>{motors}</actuator></mujoco>"
    )


if __name__ == "__main__":
    main()
