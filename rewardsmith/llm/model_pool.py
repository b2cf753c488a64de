"""The language models of a run, one for each role that asks; they share one ledger and one budget."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import Spent
from rewardsmith.llm.budget import Budget
from rewardsmith.llm.endpoint import NO_MODEL_NEEDED, find_key
from rewardsmith.llm.ledger import Ledger
from rewardsmith.llm.recorded_model import Caller, RecordedModel
from rewardsmith.llm.replay import Recording

if TYPE_CHECKING:
    from rewardsmith.spec.settings import BudgetSettings, LlmSettings, Role


class Models:
    """The models of one run; roles whose settings are equal share one."""

    def __init__(
        self,
        settings: LlmSettings,
        ledger: Ledger,
        budget: Budget,
        recording: Recording | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        """Take what all of them share; see `build`."""
        self._settings = settings
        self._ledger = ledger
        self._budget = budget
        self._recording = recording
        self._notice = notice
        self._models: list[RecordedModel] = []
        self._lock = threading.Lock()

    @property
    def spent(self) -> Spent:
        """What the run has paid for so far over all roles, earlier sessions of it included."""
        return self._ledger.spent

    def of(self, role: Role) -> RecordedModel:
        """Return the model of a role; for any thread.

        Raises:
            ConfigError: if it has no name, or a limit in dollars and no price.
        """
        settings = self._named(role)
        with self._lock:
            known = next((model for model in self._models if model.settings == settings), None)
            if known is None:
                self._budget.check_price(settings)
                connect = partial(self._connect, settings)
                known = RecordedModel(settings, self._ledger, self._budget, connect, self._recording)
                self._models.append(known)
        return known

    def check(self, role: Role) -> None:
        """Make sure that a role can ask, before anything is trained or paid for.

        Raises:
            ConfigError: if the model's name is missing, its price with a limit in dollars, or the key of a run that
                starts with calls.
        """
        model = self.of(role)
        if not self._ledger.entries and not (self._recording and self._recording.strict):
            find_key(model.settings)

    def close(self) -> None:
        """Make no further attempts, and let go of the connections."""
        for model in self._models:
            model.close()

    def _named(self, role: Role) -> LlmSettings:
        """Return a role's settings with its model's name."""
        settings = self._settings.of(role)
        name = settings.model or (self._recording.model(role) if self._recording else None)
        if not name:
            option = "--model NAME" if role == "designer" else f"--model {role}=NAME"
            raise ConfigError(f"no language model is named for the {role}; choose one with {option}; {NO_MODEL_NEEDED}")
        return settings.model_copy(update={"model": name})

    def _connect(self, settings: LlmSettings) -> Caller:
        from rewardsmith.llm.client import Endpoint, ignore

        return Endpoint(settings, find_key(settings), notice=self._notice or ignore, home=self._ledger.folder)


def build(
    settings: LlmSettings,
    limits: BudgetSettings,
    path: Path,
    *,
    roles: Sequence[Role] = ("designer",),
    notice: Callable[[str], None] | None = None,
) -> Models:
    """Return the language models of a run.

    Everything that can be known to be wrong is found here, before anything is trained or paid for: no model's name,
    no key where the run starts with calls, a limit in dollars without a price, an unreadable ledger.

    Args:
        settings: which models, how they are asked, and another run's ledger if its answers may be used.
        limits: what all calls of the run may use together, earlier sessions of it included.
        path: the run's own ledger, made with the first answer.
        roles: who will ask.
        notice: told in a line when an attempt failed and another will be made.

    Raises:
        ConfigError: if a setting is missing or contradicts another.
        RunError: if a ledger cannot be read.
    """
    ledger = Ledger(path)
    models = Models(settings, ledger, Budget(limits, ledger.most), _recording(settings), notice)
    for role in roles:
        models.check(role)
    return models


def _recording(settings: LlmSettings) -> Recording | None:
    if settings.replay and settings.cache:
        raise ConfigError("--llm-replay and --llm-cache exclude each other: a miss is either an error or a call")
    path = settings.replay or settings.cache
    by_position = settings.replay_by == "position"
    return Recording.open(Path(path), strict=settings.replay is not None, by_position=by_position) if path else None
