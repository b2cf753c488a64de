"""CMA-ES and log-normal steps over the weights of a program, on bowls over their logarithms.

    .venv/bin/python benchmarks/weights.py --seeds 12

Nothing is trained: fitness is a quadratic function of the logarithms, with its optimum at a random place about one unit
from the start, rotated at random. Printed is how much of the distance in fitness to the optimum is left after so many
generations of so many slots, as the median over seeds.
"""

from __future__ import annotations

import argparse

import numpy as np

from rewardsmith.contract.records import Brief, Candidate, Proposal
from rewardsmith.contract.reward_program import parse
from rewardsmith.search.steps.evolution import incumbent
from rewardsmith.search.steps.evolution.weight_search import reweighed
from rewardsmith.spec.settings import EvolutionSettings

STRETCH = 1.5
"""Powers of ten between the curvatures of the stretched bowl's axes."""
CASES = (
    *(("round", 3, slots, generations) for slots, generations in ((1, 4), (2, 4), (4, 4), (2, 12), (4, 12))),
    *(("stretched", n, slots, rounds) for n in (3, 5) for slots, rounds in ((1, 6), (2, 6), (2, 12), (4, 12))),
)


def program(n: int) -> str:
    """Return a program of n terms, all of weight 1."""
    weights = ", ".join(f'"t{i}": 1.0' for i in range(n))
    terms = ", ".join(f'"t{i}": after.x' for i in range(n))
    return f"WEIGHTS = {{{weights}}}\n\ndef reward(after):\n    return {{{terms}}}\n"


def left(method: str, bowl: str, n: int, slots: int, generations: int, seed: int) -> float:
    """Return what is left of the distance to the optimum, 1 at the start."""
    rng = np.random.default_rng(1000 + seed)
    optimum = rng.standard_normal(n)
    curvature = np.ones(n) if bowl == "round" else np.logspace(0.0, STRETCH, n)
    turned = np.linalg.qr(rng.standard_normal((n, n)))[0]
    settings = EvolutionSettings(weight_method=method)

    def born(generation: int, slot: int, proposal: Proposal) -> Candidate:
        point = np.log([parse(proposal.source).weight(f"t{i}") for i in range(n)])
        fitness = -float(np.sum(curvature * (turned @ (point - optimum)) ** 2))
        return Candidate(f"g{generation}c{slot:02d}", generation, slot, proposal, "ok", fitness=fitness)

    history = [born(0, 0, Proposal(program(n), "user"))]
    for generation in range(1, generations + 1):
        parents, known = (incumbent(history),), tuple(history)
        brief = Brief(
            "bowl", "Bowl-v0", "", (), "", generation, slots, seed, parents=parents, history=known, mode="weights"
        )
        history += [born(generation, slot, reweighed(brief, slot, settings)) for slot in range(slots)]
    return incumbent(history).fitness / history[0].fitness


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=12)
    seeds = range(arguments.parse_args().seeds)
    print(f"{'bowl':<10} weights  slots × generations     cma  log-normal")
    for bowl, n, slots, generations in CASES:
        found = [
            np.median([left(method, bowl, n, slots, generations, seed) for seed in seeds])
            for method in ("cma", "log-normal")
        ]
        print(f"{bowl:<10} {n:>7} {slots:>6} × {generations:<12} {found[0]:>6.3f}  {found[1]:>10.3f}", flush=True)


if __name__ == "__main__":
    main()
