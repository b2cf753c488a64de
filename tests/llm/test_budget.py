from __future__ import annotations

import threading

import pytest

from rewardsmith.contract.errors import BudgetExhausted, ConfigError
from rewardsmith.contract.records import ModelUsage
from rewardsmith.llm import Budget, Message, Request
from rewardsmith.spec.settings import BudgetSettings, LlmSettings

REQUEST = Request("small", (Message("user", "x" * 400),), 1.0, 900)
PRICED = LlmSettings(model="small", price_in_usd=10.0, price_out_usd=10.0)  # 1000 tokens are one cent


def use(budget: Budget, used: ModelUsage) -> None:
    with budget.reserve(REQUEST, PRICED) as reservation:
        reservation.settle(used)


def test_calls_are_limited() -> None:
    budget = Budget(BudgetSettings(calls=2))
    use(budget, ModelUsage(1))
    use(budget, ModelUsage(1))
    with pytest.raises(BudgetExhausted, match=r"2 of 2 calls"):
        use(budget, ModelUsage(1))


def test_a_call_that_might_pass_the_tokens_is_not_made() -> None:
    budget = Budget(BudgetSettings(tokens=1500))
    use(budget, ModelUsage(1, 600))
    with pytest.raises(BudgetExhausted, match=r"600 of 1,500 tokens .* spent.*1,000 more"):
        use(budget, ModelUsage(1))


def test_what_was_reserved_and_not_used_is_free_again() -> None:
    budget = Budget(BudgetSettings(tokens=1500))
    for _ in range(5):
        use(budget, ModelUsage(1, 100))


def test_dollars_are_limited_and_earlier_sessions_count() -> None:
    budget = Budget(BudgetSettings(cost_usd=0.02), spent=ModelUsage(1, 1500, 0.015))
    with pytest.raises(BudgetExhausted, match=r"0\.015 of 0\.02 dollars"):
        use(budget, ModelUsage(1))


def test_a_cost_that_stays_unknown_counts_as_the_most_it_can_have_been() -> None:
    budget = Budget(BudgetSettings(cost_usd=0.015))
    use(budget, ModelUsage(1, 1000, None))
    with pytest.raises(BudgetExhausted):
        use(budget, ModelUsage(1))


def test_a_failed_call_has_used_nothing() -> None:
    budget = Budget(BudgetSettings(calls=1))
    with pytest.raises(RuntimeError), budget.reserve(REQUEST, PRICED):
        raise RuntimeError
    use(budget, ModelUsage(1))


def test_a_call_waits_for_others_to_settle_when_it_may_fit_then() -> None:
    budget = Budget(BudgetSettings(tokens=1500))
    done = threading.Event()

    def later() -> None:
        use(budget, ModelUsage(1, 100))
        done.set()

    with budget.reserve(REQUEST, PRICED) as reservation:
        thread = threading.Thread(target=later)
        thread.start()
        assert not done.wait(0.1)
        reservation.settle(ModelUsage(1, 100))
    thread.join(5.0)
    assert done.is_set()


def test_a_limit_in_dollars_without_a_price_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"\$1 needs the price of the model 'small'.*llm\.price_in_usd"):
        Budget(BudgetSettings(cost_usd=1.0)).check_price(LlmSettings(model="small", price_in_usd=1.0))


def test_a_free_model_fits_any_budget() -> None:
    free = LlmSettings(model="small", price_in_usd=0.0, price_out_usd=0.0)
    budget = Budget(BudgetSettings(cost_usd=0.001))
    budget.check_price(free)
    with budget.reserve(REQUEST, free) as reservation:
        reservation.settle(ModelUsage(1, 10**9, 0.0))
