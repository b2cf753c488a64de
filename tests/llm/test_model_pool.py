"""The models of a run, one for each role: one ledger, one budget, separate settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardsmith.contract.errors import ConfigError
from rewardsmith.llm import Ledger, Message, ModelAnswer, ModelPool, build_model_pool, find_key
from rewardsmith.spec.config import dump_config, resolve_config
from rewardsmith.spec.config_layers import parse_assignments
from rewardsmith.spec.settings import BudgetSettings, LlmSettings

UNLIMITED = BudgetSettings()
LOCAL = "http://127.0.0.1:9/v1"
ASK = (Message("user", "write a reward"),)


def settings(**roles: dict[str, object]) -> LlmSettings:
    return resolve_config({"llm": {"model": "small", "base_url": LOCAL, "roles": roles}}).llm


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llm.jsonl"


class Played:
    def __init__(self, name: str) -> None:
        self.name = name

    def chat(self, request, lost) -> ModelAnswer:
        return ModelAnswer(f"{self.name} {request.model}", "stop", 1, 1)

    def close(self) -> None:
        pass


def test_a_role_has_its_own_model_and_otherwise_the_common_settings(path: Path) -> None:
    models = build_model_pool(settings(critic={"model": "large", "temperature": "none"}), UNLIMITED, path)
    assert [models.for_role(role).name for role in ("designer", "critic", "analyzer")] == ["small", "large", "small"]
    assert models.for_role("critic").settings.temperature is None
    assert models.for_role("critic").settings.base_url == LOCAL


def test_roles_with_equal_settings_share_one_model(path: Path) -> None:
    models = build_model_pool(settings(), UNLIMITED, path)
    assert models.for_role("designer") is models.for_role("critic")


def test_all_roles_write_one_ledger_and_use_one_budget(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rewardsmith.contract.errors import BudgetExhausted

    monkeypatch.setattr(ModelPool, "_connect_endpoint", lambda self, settings: Played("by"))
    models = build_model_pool(settings(critic={"model": "large"}), BudgetSettings(calls=2), path)
    assert models.for_role("designer").complete(ASK, role="designer").text == "by small"
    assert models.for_role("critic").complete(ASK, role="critic").text == "by large"
    assert [entry.request.model for entry in Ledger(path).entries] == ["small", "large"]
    assert models.spent.calls == 2
    with pytest.raises(BudgetExhausted):
        models.for_role("analyzer").complete(ASK, role="analyzer")


def test_another_model_takes_no_price_over(path: Path) -> None:
    common = {"price_in_usd": 1.0, "price_out_usd": 1.0}
    priced = LlmSettings.model_validate({**settings(critic={"model": "large"}).model_dump(), **common})
    models = build_model_pool(priced, BudgetSettings(cost_usd=1.0), path)
    with pytest.raises(ConfigError, match="price of the model 'large'"):
        models.for_role("critic")


def test_every_role_that_asks_is_checked_before_anything_runs(path: Path) -> None:
    unnamed = LlmSettings.model_validate({"base_url": LOCAL, "roles": {"designer": {"model": "small"}}})
    build_model_pool(unnamed, UNLIMITED, path)
    with pytest.raises(ConfigError, match=r"for the critic.*--model critic=NAME"):
        build_model_pool(unnamed, UNLIMITED, path, roles=("designer", "critic"))
    # A symbolic designer does not label captions.
    with pytest.raises(ConfigError, match=r"for the labeller; choose one with --model labeller=NAME$"):
        build_model_pool(unnamed, UNLIMITED, path, roles=("labeller",))


def test_a_role_can_have_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    other = LlmSettings(base_url="https://other.test/v1", key_variable="OTHER_KEY")
    with pytest.raises(ConfigError, match="set OTHER_KEY"):
        find_key(other)
    monkeypatch.setenv("OTHER_KEY", "secret")
    assert find_key(other) == "secret"


def test_a_roles_settings_read_back_as_they_were_written() -> None:
    import tomllib

    config = resolve_config(
        parse_assignments(["llm.model=small", "llm.roles.critic.model=large", "llm.roles.critic.max_tokens=none"])
    )
    again = resolve_config(tomllib.loads(dump_config(config)))
    assert again == config
    assert again.llm.for_role("critic").max_tokens is None
    assert again.llm.for_role("critic").retries == config.llm.retries


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("llm.roles.critic.modle=x", "did you mean 'model'"),
        ("llm.roles.critik.model=x", "did you mean 'critic'"),
    ],
)
def test_a_wrong_role_or_key_of_one_is_told(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_config(parse_assignments([assignment]))
