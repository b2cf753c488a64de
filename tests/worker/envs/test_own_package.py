"""The module that docs/your-own-package.md shows works as written, with the commands shown there."""

from __future__ import annotations

import re

import pytest
from fakes.paths import CHECKOUT

from rewardsmith.contract.records import EnvSpec, Probe, ProbeJob
from rewardsmith.executors.local import LocalExecutor


@pytest.fixture
def probe_lake(tmp_path, monkeypatch):
    text = (CHECKOUT / "docs" / "your-own-package.md").read_text(encoding="utf-8")
    (tmp_path / "my_envs.py").write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    executor = LocalExecutor(1)

    def probe(name: str, **options) -> Probe:
        spec = EnvSpec("my_envs:Lake-v0", {"is_slippery": False}, **options)
        return executor.run(ProbeJob(spec, 0, 64), tmp_path / name)

    yield probe
    executor.close()


def test_the_module_s_names_are_signals_and_only_named_variables_reach_it(probe_lake, monkeypatch, tmp_path):
    monkeypatch.setenv("LAKE_MAP", "8x8")
    passed_on = probe_lake("with", pass_env=("LAKE_MAP",))
    assert {signal.name for signal in passed_on.signals} == {"obs", "row", "column", "prob"}
    assert passed_on.observation_space == "Discrete(64)"
    assert probe_lake("without").observation_space == "Discrete(16)"
    assert "8x8" not in (tmp_path / "with" / "job.json").read_text(encoding="utf-8")
