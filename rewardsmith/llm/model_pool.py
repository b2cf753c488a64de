"""The language models of a run, one for each role that asks; they share one ledger and one budget."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import ModelUsage
from rewardsmith.llm.budget import Budget
from rewardsmith.llm.coding_agent import MODEL_NAME
from rewardsmith.llm.endpoint import NO_MODEL_NEEDED, find_address, find_key, refuse_secrets
from rewardsmith.llm.ledger import Ledger
from rewardsmith.llm.network_settings import check_network_settings
from rewardsmith.llm.recorded_model import ModelConnection, RecordedModel
from rewardsmith.llm.replay import RecordedAnswers

if TYPE_CHECKING:
    from rewardsmith.spec.settings import BudgetSettings, LlmSettings, Role


class ModelPool:
    """The models of one run; roles whose settings are equal share one."""

    def __init__(
        self,
        settings: LlmSettings,
        ledger: Ledger,
        budget: Budget,
        recording: RecordedAnswers | None = None,
        notice: Callable[[str], None] | None = None,
        coding_agent: ModelConnection | None = None,
    ) -> None:
        """Take the parts that all models share; see `build_model_pool`."""
        self._settings = settings
        self._ledger = ledger
        self._budget = budget
        self._recording = recording
        self._notice = notice
        self._coding_agent = coding_agent
        self._models: list[RecordedModel] = []
        self._lock = threading.Lock()

    @property
    def spent(self) -> ModelUsage:
        """The cost of the run so far over all roles, earlier sessions included."""
        return self._ledger.spent

    def for_role(self, role: Role) -> RecordedModel:
        """Return the model of a role; for any thread.

        Raises:
            ConfigError: if it has no name, or a limit in dollars and no price.
        """
        settings = self._settings_for_role(role)
        if self._coding_agent and role == "designer":
            return self._ask_coding_agent(settings, self._coding_agent)
        with self._lock:
            model = next((model for model in self._models if model.settings == settings), None)
            if model is None:
                self._budget.check_price(settings)
                connect = partial(self._connect_endpoint, settings)
                model = RecordedModel(settings, self._ledger, self._budget, connect, self._recording)
                self._models.append(model)
        return model

    def check_role(self, role: Role) -> None:
        """Make sure that a role can ask, before anything is trained or paid for.

        Raises:
            ConfigError: if the model's name is missing, its price with a limit in dollars, or the key of a run that
                starts with calls; if its address holds a password, or the environment's proxy cannot be used.
        """
        model = self.for_role(role)
        if not self._ledger.entries and not (self._recording and self._recording.strict):
            refuse_secrets(model.settings)
            find_key(model.settings)
            check_network_settings(find_address(model.settings))

    def close(self) -> None:
        """Make no further attempts, and let go of the connections."""
        for model in self._models:
            model.close()

    def _ask_coding_agent(self, settings: LlmSettings, agent: ModelConnection) -> RecordedModel:
        """Return the model of the designer whose answers come from a coding agent, and from no recording."""
        model = RecordedModel(settings, self._ledger, self._budget, lambda: agent)
        self._models.append(model)
        return model

    def _settings_for_role(self, role: Role) -> LlmSettings:
        """Return a role's settings with its model's name."""
        settings = self._settings.for_role(role)
        if self._coding_agent and role == "designer":
            return settings.model_copy(update={"model": MODEL_NAME})
        name = settings.model or (self._recording.find_model(role) if self._recording else None)
        if not name:
            option = "--model NAME" if role == "designer" else f"--model {role}=NAME"
            # A labelled signal needs a model, whoever designs.
            hint = "" if role == "labeller" else f"; {NO_MODEL_NEEDED}"
            raise ConfigError(f"no language model is named for the {role}; choose one with {option}{hint}")
        return settings.model_copy(update={"model": name})

    def _connect_endpoint(self, settings: LlmSettings) -> ModelConnection:
        from rewardsmith.llm.client import Endpoint, ignore_notice

        return Endpoint(settings, find_key(settings), notice=self._notice or ignore_notice, home=self._ledger.folder)


def build_model_pool(
    settings: LlmSettings,
    limits: BudgetSettings,
    path: Path,
    *,
    roles: Sequence[Role] = ("designer",),
    notice: Callable[[str], None] | None = None,
    coding_agent: ModelConnection | None = None,
) -> ModelPool:
    """Build the language models of a run.

    Everything that can be known to be wrong is found here, before anything is trained or paid for: no model's name,
    no key where the run starts with calls, a limit in dollars without a price, an unreadable ledger.

    Args:
        settings: which models, how they are asked, and another run's ledger if its answers may be used.
        limits: what all calls of the run may use together, earlier sessions of it included.
        path: the run's own ledger, made with the first answer.
        roles: who will ask.
        notice: receives a line when an attempt failed and another will be made.
        coding_agent: what the designer asks in place of an endpoint; None asks the endpoint.

    Raises:
        ConfigError: if a setting is missing or contradicts another.
        RunError: if a ledger cannot be read.
    """
    ledger = Ledger(path)
    budget, recording = Budget(limits, ledger.most_spent), _open_recorded_answers(settings)
    models = ModelPool(settings, ledger, budget, recording, notice, coding_agent)
    for role in roles:
        models.check_role(role)
    return models


def check_models(
    settings: LlmSettings, limits: BudgetSettings, roles: Sequence[Role], ledger: Path | None = None
) -> None:
    """Make sure that roles can ask their models, before anything is trained or paid for; nothing is sent.

    Args:
        settings: which models, and how they are asked.
        limits: what all calls of the run may use together.
        roles: who will ask.
        ledger: the run's own; None for a run that is not created yet.

    Raises:
        ConfigError: if a setting is missing or contradicts another.
        RunError: if a ledger cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        build_model_pool(settings, limits, ledger or Path(folder) / "none.jsonl", roles=roles).close()


def _open_recorded_answers(settings: LlmSettings) -> RecordedAnswers | None:
    if settings.replay and settings.cache:
        raise ConfigError("--llm-replay and --llm-cache exclude each other: a miss is either an error or a call")
    path = settings.replay or settings.cache
    by_position = settings.replay_by == "position"
    return (
        RecordedAnswers.open(Path(path), strict=settings.replay is not None, by_position=by_position) if path else None
    )
