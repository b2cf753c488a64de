from __future__ import annotations

import pytest

from rewardsmith.contract.errors import ConfigError, TaskError
from rewardsmith.contract.records import EnvSpec, EnvWrapper
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.labelling import (
    TEXT_WRAPPER,
    check_executor,
    describe_label_costs,
    list_roles,
)
from rewardsmith.spec.learned_signals import add_learned_signals, parse_signal_options

TOLD = "told = { provider = 'labelled', text = 'message', calls = 50, batch = 10 }"


def label(*texts: str, env: EnvSpec | None = None) -> EnvSpec:
    return add_learned_signals(env or EnvSpec("Room-v0"), parse_signal_options(texts), "--signal")


def test_texts_become_numbers_by_a_wrapper_that_stands_once() -> None:
    own = EnvWrapper("my:Wrapper")
    env = label(TOLD, env=EnvSpec("Room-v0", wrappers=(own,)))
    assert env.wrappers == (own, EnvWrapper(TEXT_WRAPPER, {"keys": ["message"]}))
    again = label("more = { provider = 'labelled', text = 'news' }", env=env)
    assert again.wrappers == (own, EnvWrapper(TEXT_WRAPPER, {"keys": ["message", "news"]}))
    assert label("seen = { provider = 'labelled', events = ['x'] }").wrappers == ()


def test_the_labeller_is_a_role_of_such_a_search_alone() -> None:
    config = resolve_config({"search": {"designer": "symbolic"}})
    assert list_roles(config, EnvSpec("Room-v0")) == ()
    assert list_roles(config, label(TOLD)) == ("labeller",)
    roles = resolve_config({"llm": {"model": "big", "roles": {"labeller": {"model": "small"}}}}).llm
    assert roles.for_role("labeller").model == "small"


def test_what_labels_cost_at_most_is_said_beforehand() -> None:
    assert list(describe_label_costs(label(TOLD))) == [
        "told: at most 50 calls and 59,000 tokens per million steps of a training, and 50 calls in the whole search"
    ]
    (line,) = describe_label_costs(label("told = { provider = 'labelled', text = 'message', calls = 100000 }"))
    assert line.startswith("told: at most 977 calls")
    assert not list(describe_label_costs(EnvSpec("Room-v0")))


@pytest.mark.parametrize("kind", ["slurm", "ray"])
def test_executors_that_bring_no_captions_are_refused_in_one_line(kind: str) -> None:
    config = resolve_config({"executor": {"kind": kind}})
    with pytest.raises(
        ConfigError, match=f"'told' is labelled while trainings run, and executor.kind = '{kind}' brings"
    ):
        check_executor(config, label(TOLD))
    check_executor(config, EnvSpec("Room-v0"))
    check_executor(resolve_config(), label(TOLD))


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(TaskError, match="there is no option 'modell'; did you mean 'model'"):
        label("told = { provider = 'labelled', text = 'message', modell = 'ranking' }")
    with pytest.raises(TaskError, match="say what captions are made of"):
        label("told = { provider = 'labelled' }")
