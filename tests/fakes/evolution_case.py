"""Candidates and made-up searches for the tests of evolution: a program's fitness is a function of its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rewardsmith.contract.records import Brief, Candidate, Evaluation, GenerationPlan, Proposal, SlotAssignment, Status
from rewardsmith.search.steps import evolution
from rewardsmith.spec.config import Config, resolve_config

NAMES = ("a", "b", "c")


def program(weights: Sequence[float] = (1.0, 1.0, 1.0), signal: str = "x") -> str:
    """Return a program with a term per weight."""
    written = ", ".join(f'"{name}": {weight!r}' for name, weight in zip(NAMES, weights, strict=False))
    terms = ", ".join(f'"{name}": after.{signal}' for name, _ in zip(NAMES, weights, strict=False))
    return f"WEIGHTS = {{{written}}}\n\ndef reward(after):\n    return {{{terms}}}\n"


def candidate(
    id: str,
    fitness: float | None,
    status: Status = "ok",
    source: str | None = None,
    seeds: Sequence[float] = (),
    parents: tuple[str, ...] = (),
) -> Candidate:
    """Return a candidate; its program reads a signal of its own name unless `source` says otherwise."""
    generation, slot = (int(part) for part in id.removeprefix("g").split("c"))
    evaluations = tuple(Evaluation("ok", (), value, 0.0) for value in seeds)
    proposal = Proposal(source or program(signal=id), "test", parents)
    return Candidate(id, generation, slot, proposal, status, evaluations=evaluations, fitness=fitness)


def settings(population: int = 4, generations: int = 8, search: dict | None = None, **evolution: object) -> Config:
    sizes = {"population": population, "generations": generations, "designer": "symbolic"}
    return resolve_config({"search": sizes | (search or {}), "evolution": evolution})


def brief(slot: SlotAssignment, history: Sequence[Candidate], config: Config, generation: int) -> Brief:
    """Return the brief that the loop gives to a slot's author."""
    known = {one.id: one for one in history}
    told = tuple(history) if slot.visible_candidates is None else tuple(known[id] for id in slot.visible_candidates)
    return Brief(
        "task", "Env-v0", "", (), "", generation, config.search.population, config.search.seed,
        parents=tuple(known[id] for id in slot.parents), history=told, mode=slot.mode,
    )  # fmt: skip


def evolve(
    config: Config, write: Callable[[Brief, int], Proposal], worth: Callable[[Candidate], float | None]
) -> tuple[list[Candidate], list[GenerationPlan]]:
    """Run a search without trainings.

    Args:
        config: with the strategy and the sizes.
        write: the designer.
        worth: a candidate's fitness; None where it fails.
    """
    history: list[Candidate] = []
    plans: list[GenerationPlan] = []
    for generation in range(config.search.generations):
        plans.append(evolution.plan_generation(config, history, plans, {"x", "y", "z"}))
        born = []
        for slot, assignment in enumerate(plans[-1].slots):
            proposal = write(brief(assignment, history, config, generation), slot)
            made = Candidate(f"g{generation}c{slot:02d}", generation, slot, proposal, "ok")
            fitness = worth(made)
            status: Status = "ok" if fitness is not None else "failed"
            born.append(Candidate(made.id, generation, slot, proposal, status, fitness=fitness))
        history += born
    return history, plans
