"""Texts of messages, such as the singular for one thing."""

from rewardsmith.contract.records import Baselines, Candidate, ModelUsage, Proposal, Result
from rewardsmith.contract.text import MAX_LISTED_NAMES, suggest_names
from rewardsmith.report.result_lines import summarize_result


def test_one_of_a_thing_is_told_in_the_singular():
    best = Candidate("g0c00", 0, 0, Proposal("", "test"), "ok", fitness=1.0)
    told = summarize_result(
        Result("r", "t", "e", "f", best, (best,), None, Baselines(), None, 1, ModelUsage(1, 1, 0.0))
    )
    assert "1 candidate, 1 environment step, 1 model call, 1 token, $0.00" in told


def test_a_wrong_name_is_answered_with_the_near_ones_the_first_of_many_or_what_the_caller_says():
    names = [f"signal_{number}" for number in range(MAX_LISTED_NAMES + 3)]
    assert suggest_names("signal_10x", names).startswith("did you mean 'signal_10' or 'signal_1")
    assert suggest_names("mass", names).endswith(f"signal_{MAX_LISTED_NAMES - 1} and 3 more")
    assert suggest_names("mass", names, otherwise="remove the key") == "remove the key"
    assert suggest_names("signal_1O", names, otherwise="remove the key").startswith("did you mean")
