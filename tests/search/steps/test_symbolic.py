"""The designer without a model: its draws, how it changes parents, and that its programs pass the critic."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from rewardsmith.contract import program_edits, reward_program
from rewardsmith.contract.records import (
    Brief,
    Candidate,
    Finding,
    Limits,
    Probe,
    Proposal,
    Signal,
    TermStats,
    TrialScoring,
    Verdict,
)
from rewardsmith.search.steps.critic import check_program
from rewardsmith.search.steps.designer import term_templates
from rewardsmith.search.steps.designer.symbolic import IDLE, MAX_TERMS, SymbolicDesigner
from rewardsmith.search.steps.designer.term_expressions import WeightedTerm, move_constant, render_program, split_terms


def make_signal(name: str, unit: str, *shape: int) -> Signal:
    return Signal(name, shape, unit, "", "")


HOPPER = (
    make_signal("x_velocity", "m/s"),
    make_signal("height", "m"),
    make_signal("pitch", "rad"),
    make_signal("pitch_rate", "rad/s"),
    make_signal("joints", "rad", 3),
)
REACHER = (
    make_signal("fingertip", "m", 3),
    make_signal("target", "m", 3),
    make_signal("gap", "m"),
    make_signal("elbow", "rad"),
)
CLASSIC = (make_signal("cos_angle", "1"), make_signal("angle", "rad"), make_signal("rate", "rad/s"))
ODD = (make_signal("obs", "1", 40), make_signal("camera", "1", 2, 3))
EFFORT = term_templates.EFFORT.expression
CATALOGUES = {"hopper": HOPPER, "reacher": REACHER, "classic": CLASSIC, "odd": ODD}


def make_brief(
    signals=HOPPER, generation: int = 0, history=(), parents=None, seed: int = 0, population: int = 4
) -> Brief:
    if parents is None:
        scored = [candidate for candidate in history if candidate.fitness is not None]
        parents = tuple(sorted(scored, key=lambda candidate: -candidate.fitness)[:3])
    return Brief("hop", "Hopper-v5", "", signals, "", generation, population, seed, parents, tuple(history))


def run_search(signals, generations: int, seed: int = 0, population: int = 6) -> list[Candidate]:
    """Run a search whose fitness is a hash of the program."""
    designer, history = SymbolicDesigner(), []
    for generation in range(generations):
        told = make_brief(signals, generation, tuple(history), seed=seed, population=population)
        for slot in range(population):
            proposal = designer.propose(told, slot)
            fitness = float(zlib.crc32(proposal.source.encode()) % 1000)
            history.append(Candidate(f"g{generation}c{slot:02d}", generation, slot, proposal, "ok", fitness=fitness))
    return history


def make_parent(source: str, id: str = "g0c00", stats: tuple[TermStats, ...] = ()) -> Candidate:
    verdict = Verdict(True, (), TrialScoring(1, 1.0, stats)) if stats else None
    return Candidate(id, 0, 0, Proposal(dedent(source), "user"), "ok", verdict, fitness=1.0)


# ---------------------------------------------------------------- what it proposes


def test_the_same_brief_gives_the_same_programs():
    assert run_search(HOPPER, 3, seed=5) == run_search(HOPPER, 3, seed=5)


def test_another_seed_gives_other_programs():
    assert run_search(HOPPER, 1, seed=0) != run_search(HOPPER, 1, seed=1)


def test_a_slot_does_not_depend_on_which_were_asked_before():
    designer, told = SymbolicDesigner(), make_brief()
    assert designer.propose(told, 3) == [SymbolicDesigner().propose(told, slot) for slot in range(4)][3]
    assert designer.propose(told, 3) == designer.propose(told, 3)


def test_the_task_and_the_names_of_the_environment_change_nothing():
    told = make_brief()
    other = dataclasses.replace(told, task="stand still", env_id="Walker2d-v5", env_about="a dog", action="none")
    assert SymbolicDesigner().propose(told, 0) == SymbolicDesigner().propose(other, 0)


def test_the_first_generation_covers_a_speed_in_both_directions_with_staying_alive_and_effort():
    texts = [SymbolicDesigner().propose(make_brief(), slot).source for slot in range(4)]
    first, second = (split_terms(text) for text in texts[:2])
    assert first and second
    assert [term.expression for term in first] == ["after.x_velocity", term_templates.ALIVE.expression, EFFORT]
    assert second[0].expression == "-after.x_velocity"


def test_two_vectors_of_places_suggest_closing_their_distance():
    texts = " ".join(candidate.proposal.source for candidate in run_search(REACHER, 1, population=4))
    assert "shaping.distance(after.fingertip, after.target)" in texts


@pytest.mark.parametrize("name", CATALOGUES)
def test_no_program_is_proposed_twice_in_a_search(name: str):
    texts = [candidate.proposal.source for candidate in run_search(CATALOGUES[name], 3)]
    assert len(set(texts)) == len(texts)


def test_a_catalogue_without_signals_still_gives_a_program():
    assert reward_program.parse_program(SymbolicDesigner().propose(make_brief(()), 0).source).signals == ()


@pytest.mark.parametrize("seed", range(3))
def test_every_program_depends_on_the_state_and_has_few_terms(seed: int):
    for candidate in run_search(HOPPER, 4, seed):
        terms = split_terms(candidate.proposal.source)
        assert terms
        assert len(terms) <= MAX_TERMS + 1
        assert not {term.expression for term in terms} <= IDLE


def test_the_rationale_names_the_terms_and_says_that_no_language_was_read():
    proposal = SymbolicDesigner().propose(make_brief(), 0)
    assert proposal.author == "symbolic"
    assert proposal.rationale.startswith("A new program. Terms with their weights: x_velocity_up (1), alive (")
    assert "No language was read" in proposal.rationale


def test_a_changed_program_names_its_parents_in_words_and_as_records():
    changed = [candidate.proposal for candidate in run_search(HOPPER, 2) if candidate.proposal.parents]
    assert len(changed) >= 4
    for proposal in changed:
        assert proposal.rationale.startswith(("From", "Crossed"))
        assert all(id in proposal.rationale for id in proposal.parents)


def test_a_generation_without_parents_goes_on_further_down_the_catalogue():
    history = tuple(dataclasses.replace(candidate, fitness=None) for candidate in run_search(HOPPER, 1, population=4))
    proposals = [SymbolicDesigner().propose(make_brief(HOPPER, 1, history, parents=()), slot) for slot in range(4)]
    seen = {candidate.proposal.source for candidate in history}
    assert all(proposal.parents == () and proposal.source not in seen for proposal in proposals)


@pytest.mark.parametrize("name", CATALOGUES)
def test_what_it_writes_passes_the_critic(name: str, tmp_path: Path):
    signals, n = CATALOGUES[name], 64
    rng = np.random.default_rng(0)
    arrays = {f"{state}/{s.name}": rng.normal(size=(n, *s.shape)) for s in signals for state in reward_program.STATES}
    np.savez(tmp_path / "transitions.npz", action=rng.normal(size=(n, 2)), step=np.arange(n), **arrays)
    probe = Probe(signals, (2,), (-1.0, -1.0), (1.0, 1.0), None, (5,), 100, n)
    for candidate in run_search(signals, 3):
        verdict = check_program(candidate.proposal.source, probe, tmp_path / "transitions.npz", Limits())
        assert verdict.accepted, (candidate.proposal.source, verdict.findings)


# ---------------------------------------------------------------- parents by other hands

BRANCHING = """
    '''Written by a person.'''
    WEIGHTS = {"speed": 2.0}

    def reward(after):
        if len(after.height) > 3:
            return {"speed": after.x_velocity}
        return {"speed": after.x_velocity}
"""


def test_a_parent_that_cannot_be_split_has_its_weights_changed():
    told = make_brief(generation=1, parents=(make_parent(BRANCHING),))
    proposals = [SymbolicDesigner().propose(told, slot) for slot in range(6)]
    children = [proposal for proposal in proposals if proposal.parents]
    assert children
    for child in children:
        weight = reward_program.parse_program(child.source).weights["speed"]
        assert weight != 2.0
        assert program_edits.replace_weights(child.source, {"speed": 2.0}) == dedent(BRANCHING)


def test_weights_are_written_into_a_text_that_has_none():
    stats = (TermStats("speed", 1.0, 0.0, 1.0, -1.0, 1.0, 1.0),)
    source = BRANCHING.replace('WEIGHTS = {"speed": 2.0}', "")
    told = make_brief(generation=1, parents=(make_parent(source, stats=stats),))
    children = [p for p in (SymbolicDesigner().propose(told, slot) for slot in range(6)) if p.parents]
    assert children
    assert all(list(reward_program.parse_program(child.source).weights) == ["speed"] for child in children)


def test_a_straight_parent_is_split_whoever_wrote_it():
    source = """
        import numpy as np

        GOAL = 1.25
        WEIGHTS = {"tall": 2.0}

        def reward(action, after):
            '''Stand tall.'''
            error: float = after.height - GOAL
            squared = error**2
            return {"tall": np.exp(-squared), "fast": after.x_velocity}
    """
    assert split_terms(dedent(source)) == (
        WeightedTerm("tall", 2.0, "np.exp(-(after.height - 1.25) ** 2)"),
        WeightedTerm("fast", 1.0, "after.x_velocity"),
    )


@pytest.mark.parametrize(
    ("line", "is_split"),
    [
        ("import math, shaping", True),
        ("import rewardsmith.shaping as shaping", True),
        ("import math as np", False),
        ("import numpy", False),
    ],
)
def test_an_import_of_what_every_program_has_is_left_out(line: str, is_split: bool):
    assert (split_terms(f"{line}\ndef reward(after):\n    return {{'t': after.height}}") is not None) == is_split


@pytest.mark.parametrize(
    "body",
    [
        "x = after.height\n    x = x + 1\n    return {'t': x}",
        "x = after.height\n    x += 1\n    return {'t': x}",
        "if 1:\n        pass\n    return {'t': after.height}",
        "x = np.zeros(3)\n    x[0] = 1\n    return {'t': x}",
        "a, b = after.height, 1\n    return {'t': a}",
        "return {'t': [h for h in after.height]}",
        "terms = {}\n    return terms",
        "return {'a b': after.height}",
        "x = after.height\n" + "".join(f"    x{i} = x{i - 1 if i else ''} + x{i - 1 if i else ''}\n" for i in range(20))
        + "    return {'t': x19}",
    ],
)  # fmt: skip
def test_a_program_that_is_not_straight_is_not_split(body: str):
    assert split_terms(f"def reward(after):\n    {body}") is None


def test_a_program_with_memory_is_not_split():
    assert split_terms("MEMORY = {'m': 0}\ndef reward(after, memory):\n    return {'t': after.height}") is None


def test_rendered_terms_are_read_back_as_they_were():
    terms = (WeightedTerm("up", 0.25, "after.height"), WeightedTerm("effort", 1e-05, term_templates.EFFORT.expression))
    assert split_terms(render_program(terms)) == terms


@pytest.mark.parametrize("seed", range(20))
def test_moved_bounds_keep_their_order_and_whole_numbers_stay(seed: int):
    rng = np.random.default_rng(seed)
    before = "shaping.tolerance(after.foot[:, 2] ** 3, (-0.5, 0.5), margin=0.4)"
    after = move_constant(before, rng)
    assert after is not None and after != before
    assert "after.foot[:, 2] ** 3" in after
    low, high = eval(after[after.index("(", 20) : after.index(")") + 1])
    assert low <= high


def test_an_expression_without_constants_has_nothing_to_move():
    assert move_constant("after.foot[:, 2] ** 2", np.random.default_rng(0)) is None


# ---------------------------------------------------------------- repair


def test_repair_drops_the_term_that_a_finding_points_at():
    proposal = SymbolicDesigner().propose(make_brief(), 0)
    line = next(i for i, text in enumerate(proposal.source.splitlines(), 1) if "np.sum(action" in text)
    repaired = SymbolicDesigner().repair(make_brief(), proposal, [Finding("run-error", "", line=line)], 1)
    assert EFFORT not in repaired.source
    assert "after.x_velocity" in repaired.source
    assert "Without effort" in repaired.rationale


def test_repair_draws_a_new_program_where_no_term_is_to_blame():
    proposal = SymbolicDesigner().propose(make_brief(), 0)
    rounds = [SymbolicDesigner().repair(make_brief(), proposal, [Finding("run-timeout", "")], i) for i in (1, 2)]
    assert len({proposal.source, *(repaired.source for repaired in rounds)}) == 3
    assert rounds[0] == SymbolicDesigner().repair(make_brief(), proposal, [Finding("run-timeout", "")], 1)
