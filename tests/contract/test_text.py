"""Messages count one thing in the singular."""

from rewardsmith.contract.records import Baselines, Candidate, Proposal, Result, Spent
from rewardsmith.report.tables import summary


def test_one_of_a_thing_is_told_in_the_singular():
    best = Candidate("g0c00", 0, 0, Proposal("", "test"), "ok", fitness=1.0)
    told = summary(Result("r", "t", "e", "f", best, (best,), None, Baselines(), None, 1, Spent(1, 1, 0.0)))
    assert "1 candidate, 1 environment step, 1 model call, 1 token, $0.00" in told
