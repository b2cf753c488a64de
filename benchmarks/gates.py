"""What each gate would have saved in finished searches, and whether the best program would have been lost.

    python benchmarks/gates.py RUN [RUN ...]

Reads run directories and trains nothing. Programs are taken in the order of the search; each is held against those
before it, as the gates would have. A program that a gate refuses counts as a training saved; it is "lost" if it is the
best of its run. For the order screen the incumbent is the best of the earlier generations.
"""

from __future__ import annotations

import os

# Thousands of small products, in which threads only get in each other's way.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract import records
from rewardsmith.contract.fitness.expression import Fitness
from rewardsmith.contract.records import Candidate, Probe
from rewardsmith.contract.reward_program import parse
from rewardsmith.search.steps.critic import return_order
from rewardsmith.search.steps.critic.behaviour_signature import Bank
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import Config

TOLERANCES = (1e-3, 1e-2, 3e-2, 1e-1)
Refused = list[tuple[Candidate, Candidate | None]]
"""The programs of a run that a gate refuses, each with its twin if it is a duplicate."""


@dataclass
class Tally:
    """What one gate did over all runs."""

    trainings: int = 0
    refused: int = 0
    runs: int = 0
    lost: int = 0
    gap: float = 0.0
    """Greatest relative difference in fitness between a duplicate and its twin."""


def main() -> None:
    """Print a line per gate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--order", action="store_true", help="the order screen alone")
    arguments = parser.parse_args()
    runs = [Run.open(path) for path in arguments.runs]
    print(f"{len(runs)} runs\n\n{'gate':<32}{'trainings':>10}{'saved':>8}{'best lost':>11}{'fitness apart':>15}")
    for same, tolerance in itertools.product(("affine", "shaping"), () if arguments.order else TOLERANCES):
        tell(f"duplicates {same} {tolerance:g}", tally(runs, lambda run, s=same, t=tolerance: duplicates(run, s, t)))
    tell("order", tally(runs, order_screen))
    print(f"the order screen could judge {sum(map(len, map(screened, runs)))} programs")


def tell(name: str, found: Tally) -> None:
    """Print one gate."""
    lost = f"{found.lost} of {found.runs}"
    print(f"{name:<32}{found.trainings:>10}{found.refused:>8}{lost:>11}{found.gap:>15.3f}", flush=True)


def tally(runs: list[Run], gate: Callable[[Run], Refused]) -> Tally:
    """Add up what a gate would have done."""
    total = Tally()
    for run in runs:
        known = trained(run)
        scored = [one for one in known if one.status == "ok" and one.fitness is not None]
        if not scored:
            continue
        refused = gate(run)
        best = max(scored, key=lambda one: one.fitness or 0.0)
        total.runs += 1
        total.trainings += len(known)
        total.refused += len(refused)
        # A refused duplicate of the best program itself loses nothing: its twin is there.
        total.lost += any(one.id == best.id for one, twin in refused)
        spread = max(one.fitness or 0.0 for one in scored) - min(one.fitness or 0.0 for one in scored)
        for one, twin in refused:
            if twin is not None and one.fitness is not None and twin.fitness is not None and spread:
                total.gap = max(total.gap, abs(one.fitness - twin.fitness) / spread)
    return total


def trained(run: Run) -> list[Candidate]:
    """Return the candidates that were trained, in the order of the search."""
    return [one for one in run.candidates() if one.status in ("ok", "failed", "timeout", "pruned")]


def duplicates(run: Run, same: str, tolerance: float) -> Refused:
    """Return the programs that pay what an earlier one of the run pays."""
    bank = Bank(probe_of(run), run.path / "probe" / "transitions.npz", with_gates(run.config, same))
    kept: list[Candidate] = []
    refused: Refused = []
    for one in trained(run):
        distances = [(bank.distance(one.proposal.source, other.proposal.source), other) for other in kept]
        near = [other for distance, other in distances if distance is not None and distance <= tolerance]
        if near:
            refused.append((one, near[0]))
        else:
            kept.append(one)
    return refused


def order_screen(run: Run) -> Refused:
    """Return the programs under which random actions earn more than the incumbent's successes."""
    return [(one, None) for one, found in screened(run) if found.wrong]


def screened(run: Run) -> list[tuple[Candidate, return_order.Order]]:
    """Return what the order screen finds of each program about which it can say something."""
    probe, transitions = probe_of(run), run.path / "probe" / "transitions.npz"
    fitness, gamma = Fitness.parse(run.task.fitness), run.config.training.gamma
    judged: list[tuple[Candidate, return_order.Order]] = []
    for one in trained(run):
        earlier = [other for other in trained(run) if other.generation < one.generation and other.status == "ok"]
        best = max(earlier, key=lambda other: other.fitness or float("-inf"), default=None)
        if best is None:
            continue
        folders = [run.path / "candidates" / best.id / f"eval-s{training.seed}" for training in best.trainings]
        episodes = return_order.find(fitness, transitions, folders)
        if episodes is None:
            continue
        program = parse(one.proposal.source)
        found = return_order.screen(program, probe, transitions, episodes, gamma, run.config.sandbox)
        if found is not None:
            judged.append((one, found))
    return judged


def probe_of(run: Run) -> Probe:
    """Return what the run's probe found."""
    event = next(event for event in run.events() if event.key == "probe/loop")
    return records.load(Probe, event.data)


def with_gates(config: Config, same: str) -> Config:
    """Return the configuration with another notion of sameness."""
    return config.model_copy(update={"gates": config.gates.model_copy(update={"same": same})})


if __name__ == "__main__":
    main()
