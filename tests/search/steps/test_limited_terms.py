"""`training.constraints` in a search: what is told, what is refused, and the alarm for a limit that was not kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardsmith.api import planning, searches
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import Candidate, CurvePoint, Proposal, Training
from rewardsmith.search.steps.analyzer import write_reflection
from rewardsmith.search.steps.analyzer.alarms import find_alarms
from rewardsmith.search.steps.analyzer.term_curves import read_curves
from rewardsmith.search.steps.critic.term_constraints import find_missing_limited_terms
from rewardsmith.search.training_facts import describe_training
from rewardsmith.spec.config import Config, resolve_config

LIMIT = "effort <= 0.2"
SOURCE = 'WEIGHTS = {"effort": -0.1}\ndef reward(action, after):\n    return {"speed": after.x, "effort": after.y}\n'


def make_training(efforts: tuple[float, ...], rewards: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)) -> Training:
    points = tuple(
        CurvePoint(
            1_000 * at, 3, reward, 100.0, reward, {"speed": reward, "effort": effort}, multipliers={LIMIT: 1.5 * at}
        )
        for at, (effort, reward) in enumerate(zip(efforts, rewards, strict=True), 1)
    )
    return Training("ok", 0, 4_000, points, 1.0, 1.0, 0.1)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"training": {"constraints": ["effort < 1"]}}, "training.constraints: 'effort < 1' is no constraint"),
        ({"training": {"constraints": [LIMIT]}, "designer": {"form": "sparse-dense"}}, "no terms that"),
        ({"training": {"constraints": [LIMIT]}, "search": {"ensemble": 2}}, "search.ensemble = 2 joins"),
    ],
)
def test_what_does_not_fit_together_is_one_line(layer: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        resolve_config(layer)
    assert "\n" not in str(raised.value)


def test_a_designer_without_words_is_refused_and_a_users_program_is_not(tmp_path: Path) -> None:
    from rewardsmith.contract.reward_program import parse_program

    sets = [f'training.constraints=["{LIMIT}"]', "search.designer=symbolic"]
    plan = planning.plan_search("Swing up", "pendulum", sets=sets, variables={})
    with pytest.raises(ConfigError, match="needs a designer that names its terms"):
        searches.create_run(plan, tmp_path / "design")
    searches.create_run(plan, tmp_path / "train", measured=parse_program(SOURCE))


# ---------------------------------------------------------------- designer and critic


def test_the_designer_is_told_of_the_terms_that_it_must_return_and_only_then() -> None:
    plain = describe_training(Config())
    told = describe_training(resolve_config({"training": {"constraints": [LIMIT, "height >= 1"]}}))
    assert told.startswith(plain)
    assert "effort <= 0.2, height >= 1, the mean per step" in told
    assert "Return `effort`, `height` as a term of exactly this name" in told
    assert "Lagrange" not in plain


def test_a_program_without_a_limited_term_goes_back_to_its_author() -> None:
    (finding,) = find_missing_limited_terms([LIMIT], ["speed", "efort"])
    assert (finding.code, finding.severity) == ("missing-limited-term", "error")
    assert "did you mean 'efort'?" in finding.message
    assert not list(find_missing_limited_terms([LIMIT], ["speed", "effort"]))
    assert not list(find_missing_limited_terms([], ["speed"]))


def test_a_program_needs_a_goal_beside_its_limited_terms() -> None:
    (finding,) = find_missing_limited_terms([LIMIT], ["effort"])
    assert finding.code == "no-goal-term"


# ---------------------------------------------------------------- analyzer


def test_a_limit_that_was_not_kept_is_an_alarm() -> None:
    kept, missed = make_training((0.4, 0.3, 0.21, 0.2)), make_training((0.4, 0.4, 0.35, 0.3))
    weights = {"speed": 1.0, "effort": -6.0}
    assert not [alarm for alarm in find_alarms(read_curves([kept]), weights) if "limit" in alarm]
    (alarm,) = [alarm for alarm in find_alarms(read_curves([missed]), weights) if "limit" in alarm]
    assert alarm.startswith("the limit 'effort <= 0.2' was not kept: the term's mean is 0.3 per step at the end")
    assert "multiplier of 6;" in alarm


def test_a_goal_that_gives_way_to_a_limit_is_no_alarm() -> None:
    falling = make_training((0.4, 0.3, 0.2, 0.2), (4.0, 3.0, 2.0, 1.0))
    assert not [alarm for alarm in find_alarms(read_curves([falling]), {}) if "falls over training" in alarm]


def test_the_reflection_shows_the_multiplier_in_place_of_the_weight() -> None:
    candidate = Candidate(
        "g0c00", 0, 0, Proposal(SOURCE, "user"), "ok", trainings=(make_training((0.4, 0.3, 0.2, 0.2)),)
    )
    text = write_reflection(candidate, []).text
    assert "effort (weight -6," in text
    assert "- Lagrange multiplier of the limit effort <= 0.2: 1.5, 3, 4.5, 6" in text
