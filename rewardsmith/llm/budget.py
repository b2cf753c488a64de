"""The budget of a run's calls: reserved before a call, settled after it; a call that might pass a limit is not made.

While calls are in flight their reservations count in full. A call that fits only once others have settled waits for
them, so that several at once use up a budget as well as one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import BudgetExhausted, ConfigError
from rewardsmith.contract.records import ModelUsage
from rewardsmith.llm.endpoint import compute_cost_usd, has_prices
from rewardsmith.llm.ledger import sum_usage
from rewardsmith.llm.messages import Request

if TYPE_CHECKING:
    from rewardsmith.spec.settings import BudgetSettings, ModelSettings

USUAL_ANSWER_TOKENS = 8192
"""Tokens that are reserved for an answer whose length is left to the endpoint."""


class Reservation:
    """The most that one call may use, until its real use is known."""

    def __init__(self, most: ModelUsage) -> None:
        self.most = most
        self.used = ModelUsage()

    def settle(self, used: ModelUsage) -> None:
        """Record what the call used; a cost that stays unknown counts as the most that was reserved for it."""
        self.used = used if used.cost_usd is not None else replace(used, cost_usd=self.most.cost_usd)


class Budget:
    """The budget of one run, for all its models and threads."""

    def __init__(self, limits: BudgetSettings, spent: ModelUsage | None = None) -> None:
        """Start the budget.

        Args:
            limits: limits of the whole run; None is no limit.
            spent: use of the run before it was resumed.
        """
        self.limits = limits
        self._spent = spent or ModelUsage()
        self._reserved: list[Reservation] = []
        self._changed = threading.Condition()

    def check_price(self, settings: ModelSettings) -> None:
        """Make sure that a limit in dollars can be kept.

        Raises:
            ConfigError: if there is one and the model's price is unknown.
        """
        if self.limits.cost_usd is not None and not has_prices(settings):
            raise ConfigError(
                f"a budget of ${self.limits.cost_usd:g} needs the price of the model {settings.model!r}: set "
                "llm.price_in_usd and llm.price_out_usd (dollars per million tokens; 0 is free), or limit "
                "budget.tokens or budget.calls instead"
            )

    def count_lost_attempt(self, reservation: Reservation, *, again: bool) -> None:
        """Count an attempt of a call that gave no answer as the most that it can have cost.

        Args:
            reservation: of the call.
            again: whether another attempt follows, for which the reservation then stands.

        Raises:
            BudgetExhausted: if another attempt might pass a limit.
        """
        with self._changed:
            self._spent = sum_usage((self._spent, reservation.most))
            others = [other for other in self._reserved if other is not reservation]
            passed = self._describe_passed_limit(reservation.most, others) if again else None
        if passed:
            raise BudgetExhausted(passed)

    @contextmanager
    def reserve(self, request: Request, settings: ModelSettings) -> Iterator[Reservation]:
        """Hold the most that a call can use while it is made; unless it is settled or lost, it has used nothing.

        Raises:
            BudgetExhausted: if the call might pass a limit.
        """
        tokens_in = request.tokens_estimate
        tokens_out = USUAL_ANSWER_TOKENS if request.max_tokens is None else request.max_tokens
        reservation = Reservation(
            ModelUsage(1, tokens_in + tokens_out, compute_cost_usd(settings, tokens_in, tokens_out))
        )
        with self._changed:
            self._changed.wait_for(
                lambda: not self._reserved or self._describe_passed_limit(reservation.most, self._reserved) is None
            )
            passed = self._describe_passed_limit(reservation.most, self._reserved)
            if passed:
                raise BudgetExhausted(passed)
            self._reserved.append(reservation)
        try:
            yield reservation
        finally:
            with self._changed:
                self._reserved.remove(reservation)
                self._spent = sum_usage((self._spent, reservation.used))
                self._changed.notify_all()

    def _describe_passed_limit(self, most: ModelUsage, reserved: Sequence[Reservation]) -> str | None:
        """Describe the limit that a call might pass, given what is spent and reserved; None where it fits."""
        taken = sum_usage((self._spent, *(reservation.most for reservation in reserved)))
        for unit, limit, so_far, next_call in (
            ("calls", self.limits.calls, taken.calls, most.calls),
            ("tokens", self.limits.tokens, taken.tokens, most.tokens),
            ("dollars", self.limits.cost_usd, taken.cost_usd or 0.0, most.cost_usd or 0.0),
        ):
            if limit is not None and so_far + next_call > limit:
                return (
                    f"{so_far:,.6g} of {limit:,.6g} {unit} for the language model are spent, and the next call may "
                    f"take {next_call:,.6g} more"
                )
        return None
