"""Final return of the trainer "fast" and of SB3's own PPO update, with equal settings on the same environments.

    python benchmarks/equal_settings.py [ENV ...] [--steps 500000] [--seeds 5] [--set KEY=VALUE ...] [--log FILE]

Both sides learn from the environment reward, in the same batched environments, with the same seeds and settings
(the defaults, except for --set); only the update differs. The final return is the mean over episodes with fixed seeds,
acting without noise. One JSON line per training goes to stdout and to the log; trainings in the log are not
repeated, so a long benchmark can be interrupted and continued. The table shows means, their difference with Welch's
95 % interval, and the CPU times.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import torch
from throughput import describe_machine
from time_to_return import measure_return

from rewardsmith.contract.records import EnvSpec, TrainJob, TrainSettings
from rewardsmith.search.intervals import difference_interval
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.config_layers import parse_assignments
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

ENVIRONMENTS = ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5")
TRAINERS = ("fast", "sb3")


@dataclass(frozen=True)
class Outcome:
    """One training."""

    env: str
    trainer: str
    seed: int
    steps: int
    """Environment steps asked for."""
    settings: str
    """Settings that differ from the defaults."""
    final_return: float
    cpu_s: float
    """CPU time of the training alone."""

    @property
    def key(self) -> tuple[str, str, int, int, str]:
        """Identity of the training: everything but its results."""
        return self.env, self.trainer, self.seed, self.steps, self.settings


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVIRONMENTS)
    parser.add_argument("--steps", type=int, default=500_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--log", type=Path, default=None, help="JSON lines to append to; trainings in it are not repeated"
    )
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(describe_machine(), flush=True)
    finished = {outcome.key: outcome for outcome in read_log(arguments.log)}
    settings = resolve_config({"training": parse_assignments(arguments.sets)}).training
    settings_text, outcomes = " ".join(sorted(arguments.sets)), list[Outcome]()
    # The trainers take turns, so that a busy machine slows both.
    for env in arguments.envs:
        for seed in range(arguments.seeds):
            for trainer in TRAINERS:
                key = (env, trainer, seed, arguments.steps, settings_text)
                if key not in finished:
                    finished[key] = train(key, settings)
                    write_outcome(finished[key], arguments.log)
                outcomes.append(finished[key])
    print("\n".join(build_table(outcomes)))


def train(key: tuple[str, str, int, int, str], settings: TrainSettings) -> Outcome:
    """Train once and evaluate the final policy."""
    env, trainer, seed, steps, settings_text = key
    settings = replace(settings, trainer=trainer)
    began = time.process_time()
    learner = PPOLearner(TrainJob(EnvSpec(env), None, "length", seed, steps, settings), NullTrainingCallback())
    learner.run()
    cpu_s = time.process_time() - began
    final = measure_return(env, learner.extract_policy().act)
    learner.close()
    return Outcome(env, trainer, seed, steps, settings_text, final, cpu_s)


def read_log(log: Path | None) -> list[Outcome]:
    """Return the outcomes of a log."""
    if log is None or not log.exists():
        return []
    return [Outcome(**json.loads(line)) for line in log.read_text().splitlines()]


def write_outcome(outcome: Outcome, log: Path | None) -> None:
    """Print an outcome, and append it to the log."""
    line = json.dumps(asdict(outcome))
    print(line, flush=True)
    if log is not None:
        with log.open("a") as file:
            file.write(line + "\n")


def build_table(outcomes: Sequence[Outcome]) -> Iterable[str]:
    """Return the lines of the table."""
    yield "| | fast | sb3 | fast - sb3 [95 % interval] | CPU s, fast | CPU s, sb3 |"
    yield "|---|---|---|---|---|---|"
    for env in dict.fromkeys(outcome.env for outcome in outcomes):
        sides = [[one for one in outcomes if (one.env, one.trainer) == (env, trainer)] for trainer in TRAINERS]
        returns = [[one.final_return for one in side] for side in sides]
        means = " | ".join(f"{statistics.mean(side):,.0f}" for side in returns)
        seconds = " | ".join(f"{statistics.median(one.cpu_s for one in side):,.0f}" for side in sides)
        yield f"| {env} | {means} | {format_difference(*returns)} | {seconds} |"


def format_difference(first: Sequence[float], second: Sequence[float]) -> str:
    """Return the difference of the means with its 95 % interval (Welch 1947, Biometrika 34)."""
    gap = statistics.mean(first) - statistics.mean(second)
    if min(len(first), len(second)) < 2:
        return f"{gap:+,.0f}"
    if len(set(first)) == 1 and len(set(second)) == 1:
        return f"{gap:+,.0f}"
    low, high = difference_interval(first, second)
    return f"{gap:+,.0f} [{low:+,.0f}, {high:+,.0f}]"


if __name__ == "__main__":
    main()
