"""A whole search in the shape of BIRD's protocol: 8 candidates × 5 generations × 1,000,000 steps, symbolic designer.

    python benchmarks/search.py [ENV] [--population 8] [--generations 5] [--steps 1000000] [--rungs 0.1 0.3]
                                [--target FITNESS] [--out DIR]

Candidates are halved at the rungs. Prints the reported fitness next to random actions and the environment reward, the
steps that were run of those planned, the wall time, and the CPU time with all processes of the search.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from throughput import describe_machine

import rewardsmith
from rewardsmith.contract.records import Interval, Result
from rewardsmith.search.storage import Run


def main() -> None:
    """Search, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("env", nargs="?", default="Hopper-v5")
    parser.add_argument("--population", type=int, default=8)
    parser.add_argument("--generations", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rungs", type=float, nargs="*", default=(0.1, 0.3))
    parser.add_argument(
        "--target",
        type=float,
        default=None,
        help="see search.target_fitness",
    )
    parser.add_argument("--out", type=Path, default=None, help="keep the run here")
    arguments = parser.parse_args()
    out = arguments.out or Path(tempfile.mkdtemp()) / "run"
    print(describe_machine(), flush=True)
    began = time.monotonic()
    result = rewardsmith.design(
        "Move forward as far as you can without falling.",
        arguments.env,
        out=out,
        settings={
            "search.designer": "symbolic",
            "search.population": arguments.population,
            "search.generations": arguments.generations,
            "search.env_steps": arguments.steps,
            "search.rungs": tuple(arguments.rungs),
            "search.target_fitness": arguments.target,
        },
    )
    print_result(out, result, time.monotonic() - began)


def print_result(out: Path, result: Result, wall_s: float) -> None:
    """Print the result of the search."""
    run = Run.open(out)
    search = run.config.search
    trainings = [training for candidate in run.read_candidates() for training in candidate.trainings]
    spent = sum(training.env_steps for training in trainings)
    planned = search.population * search.generations * search.seeds * search.env_steps
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = time.process_time()
    cpu_min = (children.ru_utime + children.ru_stime + own) / 60
    print(f"search          {spent:,} of {planned:,} environment steps in {len(trainings)} trainings")
    print(f"wall            {wall_s / 60:.1f} min, the report's trainings and the baseline included")
    print(f"CPU             {cpu_min:.1f} min, of which the loop {own:.1f} s")
    print(f"best program    {format_interval(result.reported)}")
    print(f"environment reward {format_interval(result.baselines.environment_reward)}")
    print(f"random actions  {result.baselines.random:.2f}")


def format_interval(interval: Interval | None) -> str:
    """Return a mean with its 95 % interval as text."""
    return "no fitness" if interval is None else f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


if __name__ == "__main__":
    main()
