"""Texts of messages, such as the singular for one thing."""

from rewardsmith.contract.records import Baselines, Candidate, ModelUsage, Proposal, Result
from rewardsmith.report.result_lines import summarize_result


def test_one_of_a_thing_is_told_in_the_singular():
    best = Candidate("g0c00", 0, 0, Proposal("", "test"), "ok", fitness=1.0)
    told = summarize_result(
        Result("r", "t", "e", "f", best, (best,), None, Baselines(), None, 1, ModelUsage(1, 1, 0.0))
    )
    assert "1 candidate, 1 environment step, 1 model call, 1 token, $0.00" in told
