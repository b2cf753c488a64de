"""Keys of the journal of a run, spelled only here.

A key is "<owner or candidate>/<step>/<number>"; whatever belongs to no step has the step "loop".
"""

from __future__ import annotations

import re

from rewardsmith.search.storage.layout import (
    BASELINE,
    FINALISTS,
    PROBE,
    RANDOM,
    SUBGOALS,
    generation_name,
    is_ablation,
    name_evaluation,
)

STEPS = ("designer", "critic", "trainer", "evaluator", "analyzer", "evolution", "feedback")
"""The steps that keys of the journal name; whatever names none of them belongs to the loop."""

_PLAN_KEY = re.compile(r"g(\d+)/evolution/plan")
_FIRST_DESIGN_KEY = re.compile(r"g(\d+)c\d+/designer/0")
_JUDGEMENT_KEY = re.compile(r"g\d+/judge/\d+")
_FEEDBACK = "user/feedback/"

PROBE_KEY = f"{PROBE}/loop"
FITNESS_KEY = "fitness/loop"
"""The fitness that a model proposed and the user accepted."""
BEHAVIOUR_KEY = "behaviour/loop"
"""The behaviour descriptors that a model proposed."""
RANDOM_EVALUATION_KEY = f"{BASELINE}/evaluator/{RANDOM}"
JUDGE_SUBTASKS_KEY = "judge/subtasks"


def subgoals_key(signal: str) -> str:
    """Return the key of the subgoals that a model wrote for a learned signal."""
    return f"{SUBGOALS}/{signal}"


def randomisation_key(owner: str, part: str) -> str:
    """Return the key of what was found about domain randomisation for an owner's policy: "prior" or "ranges"."""
    return f"randomisation/{owner}/{part}"


def designer_key(id: str, attempt: int) -> str:
    """Return the key of a candidate's proposal; attempt 0 is the first, the others are repairs."""
    return f"{id}/designer/{attempt}"


def critic_key(id: str, attempt: int) -> str:
    """Return the key of the verdict on a candidate's proposal."""
    return f"{id}/critic/{attempt}"


def trainer_key(owner: str, seed: int) -> str:
    """Return the key of a training.

    >>> trainer_key("g1c03", 0)
    'g1c03/trainer/s0'
    """
    return f"{owner}/trainer/s{seed}"


def evaluator_key(owner: str, seed: int | None) -> str:
    """Return the key of the evaluation of a training's policy; of random actions without a seed."""
    return f"{owner}/evaluator/{name_evaluation(seed)}"


def analyzer_key(id: str) -> str:
    """Return the key of a candidate's reflection."""
    return f"{id}/analyzer"


def plan_key(generation: int) -> str:
    """Return the key of a generation's plan."""
    return f"{generation_name(generation)}/evolution/plan"


def rung_key(generation: int, env_steps: int) -> str:
    """Return the key of the decision at a rung of successive halving."""
    return f"{generation_name(generation)}/evolution/{env_steps}"


def finalist_round_key(number: int) -> str:
    """Return the key of the decision which candidates get a fresh training seed next.

    >>> finalist_round_key(0)
    'finalists/evolution/0'
    """
    return f"{FINALISTS}/evolution/{number}"


def judge_pairs_key(generation: int) -> str:
    """Return the key of the pairs that the judge compares after a generation."""
    return f"{generation_name(generation)}/judge/pairs"


def judgement_key(generation: int, number: int) -> str:
    """Return the key of the judge's answer about one of its pairs."""
    return f"{generation_name(generation)}/judge/{number}"


def earlier_report_key(generation: int) -> str:
    """Return the key of the report that a search had when it was continued after a generation."""
    return f"{generation_name(generation)}/loop/reported"


def feedback_key(number: int) -> str:
    """Return the key of one input of a person.

    >>> feedback_key(7)
    'user/feedback/0007'
    """
    return f"{_FEEDBACK}{number:04d}"


def step_of_key(key: str) -> str:
    """Return the step that a key names, else "loop".

    >>> step_of_key("g1c03/trainer/s0"), step_of_key("probe/loop")
    ('trainer', 'loop')
    """
    return next((part for part in key.split("/") if part in STEPS), "loop")


def parse_plan_key(key: str) -> int | None:
    """Return which generation's plan a key names; None where it is no plan's."""
    match = _PLAN_KEY.fullmatch(key)
    return int(match[1]) if match else None


def parse_first_design_key(key: str) -> int | None:
    """Return the generation of the candidate whose first proposal a key names; None for any other key."""
    match = _FIRST_DESIGN_KEY.fullmatch(key)
    return int(match[1]) if match else None


def is_judgement_key(key: str) -> bool:
    """Return whether a key names an answer of the judge."""
    return _JUDGEMENT_KEY.fullmatch(key) is not None


def parse_feedback_key(key: str) -> int | None:
    """Return the number of a person's input; None if the key names something else.

    >>> parse_feedback_key("user/feedback/0007"), parse_feedback_key("probe/loop")
    (7, None)
    """
    return int(key.removeprefix(_FEEDBACK)) if key.startswith(_FEEDBACK) else None


def is_training_of_search(key: str) -> bool:
    """Return whether a key names a training of the search, its report included; those of an ablation are not.

    >>> is_training_of_search("g1c03/trainer/s0"), is_training_of_search("ablation/g1c03/complete/trainer/s500000000")
    (True, False)
    """
    return step_of_key(key) == "trainer" and not is_ablation(key)


def owner_of_training(key: str) -> str:
    """Return the owner in a training's key.

    >>> owner_of_training("final/g1c03/trainer/s1000")
    'final/g1c03'
    """
    return key.partition("/trainer/")[0]
