"""The cost and the savings of early stopping, computed from finished searches without early stopping.

    for env in Hopper-v5 HalfCheetah-v5 Walker2d-v5; do
        rewardsmith design "Move forward" --env $env --designer symbolic --population 8 --generations 2 \
            --steps 150000 --set search.final_seeds=0 --set training.checkpoints=20 --out runs/stop-$env
    done
    python benchmarks/early_stopping.py runs/stop-*

For every rung it prints the rank correlation (Spearman) between the fitness of the training episodes there and the
fitness on held-out episodes at the end, how often halving would have stopped the best of a generation, the loss in the
generation's best fitness, and the steps saved. For every patience it prints the same for a stop on a plateau.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewardsmith.contract.records import Candidate
from rewardsmith.search.storage import Run

RUNGS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
KEEPS = (0.5, 0.25)
PATIENCES = (0.2, 0.3, 0.5)
MARGIN = 0.05
"""A change smaller than this part of the curve's range does not count as an improvement."""


@dataclass(frozen=True)
class Curve:
    """One training: its fitness curve and its final fitness."""

    parts: np.ndarray
    """(p,): part of the training done at each point."""
    fitness: np.ndarray
    """(p,): mean fitness of training episodes; the last known one where none ended."""
    final: float
    """Fitness on held-out episodes."""

    def at(self, part: float) -> float:
        """Return the fitness of the last point at or before `part`."""
        return float(self.fitness[max(0, int(np.searchsorted(self.parts, part + 1e-9)) - 1)])


def read_curve(candidate: Candidate, env_steps: int) -> Curve | None:
    """Return the curve of a candidate's first training; None if it has no fitness."""
    if candidate.fitness is None or not candidate.trainings[0].curve:
        return None
    points = candidate.trainings[0].curve
    fitness = np.array([np.nan if point.fitness is None else point.fitness for point in points])
    known = np.maximum.accumulate(np.where(np.isnan(fitness), 0, np.arange(len(fitness))))
    filled = np.where(np.isnan(fitness[known]), -np.inf, fitness[known])
    return Curve(np.array([point.env_steps / env_steps for point in points]), filled, candidate.fitness)


def read_generations(runs: Sequence[Path]) -> list[list[Curve]]:
    """Read the generations of all runs."""
    groups: dict[tuple[str, int], list[Curve]] = {}
    for path in runs:
        run = Run.open(path)
        for candidate in run.read_candidates():
            one = read_curve(candidate, run.config.search.env_steps)
            if one is not None:
                groups.setdefault((str(path), candidate.generation), []).append(one)
    return list(groups.values())


def compute_rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the rank correlation of two series."""
    ranks = [np.argsort(np.argsort(series)).astype(float) for series in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


def find_plateau(one: Curve, patience: float) -> float:
    """Return the part of a training at which its plateau is detected: no better point for `patience` of the whole."""
    scale = MARGIN * float(np.ptp(one.fitness[np.isfinite(one.fitness)]) if np.isfinite(one.fitness).any() else 0.0)
    best, since = -np.inf, 0.0
    for part, fitness in zip(one.parts, one.fitness, strict=True):
        if fitness > best + scale:
            best, since = fitness, part
        elif part - since >= patience:
            return float(part)
    return 1.0


def print_table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n{title}\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def measure_halving(groups: list[list[Curve]], rung: float, keep: float) -> list[str]:
    """Return a row of the table: the cost and the savings of one rung."""
    lost, regrets, correlations = 0, [], []
    for group in groups:
        standing = [one.at(rung) for one in group]
        finals = np.array([one.final for one in group])
        kept = np.argsort(standing)[::-1][: max(1, int(np.ceil(keep * len(group))))]
        lost += int(np.argmax(finals)) not in kept
        span = float(np.ptp(finals)) or 1.0
        regrets.append((finals.max() - finals[kept].max()) / span)
        correlations.append(compute_rank_correlation(standing, finals.tolist()))
    saved = (1 - keep) * (1 - rung)
    stopped = f"{lost} of {len(groups)}"
    return [
        f"{rung:.0%}",
        f"{keep:.0%}",
        f"{np.mean(correlations):.2f}",
        stopped,
        f"{np.mean(regrets):.3f}",
        f"{saved:.0%}",
    ]


def main() -> None:
    """Read the runs and print the tables."""
    groups = read_generations([Path(name) for name in sys.argv[1:]])
    curves = [one for group in groups for one in group]
    print(f"{len(curves)} trainings in {len(groups)} generations of {len(sys.argv) - 1} searches")
    names = ("rung", "kept", "rank correlation", "best one stopped", "loss of the best (of the range)", "steps saved")
    print_table("Halving at one rung", names, [measure_halving(groups, rung, keep) for keep in KEEPS for rung in RUNGS])
    by_patience: Callable[[float], list[str]] = lambda patience: [  # noqa: E731
        f"{patience:.0%}",
        f"{np.mean([find_plateau(one, patience) < 1 for one in curves]):.0%}",
        f"{1 - np.mean([find_plateau(one, patience) for one in curves]):.0%}",
        f"{np.mean([bool(one.fitness.max() > one.at(find_plateau(one, patience)) + 1e-12) for one in curves]):.0%}",
    ]
    names = ("patience", "trainings stopped", "steps saved", "would have become better")
    print_table("Stopping on a plateau", names, [by_patience(patience) for patience in PATIENCES])


if __name__ == "__main__":
    main()
