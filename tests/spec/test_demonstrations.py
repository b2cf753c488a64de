from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.fitness import Rollout
from rewardsmith.contract.learned_signals import DemonstrationOptions, read_options
from rewardsmith.contract.records import EnvSpec, LearnedSignal, Signal
from rewardsmith.contract.records.demonstrations import DemonstratedStages
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.spec.demonstrations import fit_demonstrations
from rewardsmith.spec.learned_signals import make_learned_signal
from rewardsmith.worker.learned_signals.base import Moments, ProviderContext
from rewardsmith.worker.learned_signals.demonstrations import DemonstrationProvider

HEIGHT, HAND = Signal("height", (), "m", "", "obs[0]"), Signal("hand", (2,), "m", "", "obs[1:3]")


def write_demonstrations(path: Path, *lengths: int, **others: np.ndarray) -> None:
    """Write episodes in which the hand moves first and the height rises then; the success is recorded too."""
    episodes = []
    for length in lengths:
        t = np.linspace(0, 1, length)
        signals = {
            "height": np.clip(2 * t - 1, 0, 1),
            "hand": np.stack([np.clip(2 * t, 0, 1), 0 * t], axis=1),
            "success": (t == 1.0).astype(float),
            **{name: np.broadcast_to(value, (length, *value.shape)) for name, value in others.items()},
        }
        start = {name: values[0] for name, values in signals.items()}
        episodes.append(Rollout(signals, start, np.zeros((length, 1)), False))
    EpisodeFile(path).write(episodes)


def fit(folder: Path, *names: str, **options: object) -> LearnedSignal:
    entries = {"provider": "demonstrations", "demo": list(names), "stages": 3, **options}
    return make_learned_signal("progress", entries, "card.toml", folder)


def open_provider(signal: LearnedSignal, *available: Signal) -> DemonstrationProvider:
    return DemonstrationProvider(ProviderContext(signal, EnvSpec("Other-v0"), available, 1))


def test_files_are_read_once_and_the_stages_travel_with_the_signal(tmp_path: Path) -> None:
    write_demonstrations(tmp_path / "demo.npz", 40, 50)
    signal = fit(tmp_path, "demo.npz")
    stages = read_options(DemonstrationOptions, signal).fitted
    assert isinstance(stages, DemonstratedStages) and len(stages.mean) == 3
    assert set(stages.shapes) == {"height", "hand"}  # what tells the success is left out

    (tmp_path / "demo.npz").unlink()
    assert fit_demonstrations(signal.options, "task", tmp_path) == signal.options
    provider = open_provider(signal, HEIGHT, HAND)
    assert provider.reads == ("hand", "height") or provider.reads == ("height", "hand")
    states = {"height": np.array([0.0, 0.0, 1.0]), "hand": np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])}
    moments = Moments(states, np.zeros((3, 1)), np.array([True, False, False]), np.zeros(3, np.intp))
    start, middle, end = provider.compute_values(moments)
    assert start < 0.2 < middle < 0.8 < end


def test_a_demonstration_of_another_environment_is_refused_in_one_line(tmp_path: Path) -> None:
    write_demonstrations(tmp_path / "demo.npz", 40)
    signal = fit(tmp_path, "demo.npz")
    with pytest.raises(TaskError, match=r"of another environment than 'Other-v0': their signal 'h\w+' .* is not there"):
        open_provider(signal, Signal("x", (), "m", "", "obs[0]"))
    with pytest.raises(TaskError, match=r"their signal 'hand' of shape \(2,\) is of shape \(3,\) there"):
        open_provider(signal, HEIGHT, Signal("hand", (3,), "m", "", "obs[1:4]"))


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (["none.npz"], {}, "cannot read the demonstrations .*none.npz.*: No such file"),
        (["text.npz"], {}, "text.npz' is no file of recorded episodes: .*`rewardsmith record` writes such a file"),
        (["empty.npz"], {}, "empty.npz' holds no recorded episodes"),
        (
            ["demo.npz"],
            {"signals": ["speed"]},
            "signals: 'speed' was not recorded in .*, which has hand, height, suc",
        ),
        (["demo.npz"], {"stages": 1}, "stages = 1: input should be greater than or equal to 2"),
        (
            ["short.npz"],
            {},
            "no stages can be found in short.npz: a demonstration has 3 states, fewer than the 6",
        ),
        (["demo.npz", "other.npz"], {}, r"differ in the signal 'speed': shape \(2,\) and none"),
        ([], {}, "demo = .*at least 1"),
    ],
)
def test_bad_files_give_one_line(tmp_path: Path, names: list[str], options: dict[str, object], said: str) -> None:
    write_demonstrations(tmp_path / "demo.npz", 40)
    write_demonstrations(tmp_path / "short.npz", 2)
    write_demonstrations(tmp_path / "other.npz", 40, speed=np.ones(2))
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "empty.npz", x=np.zeros(3))
    stages = {"stages": 6} if names == ["short.npz"] else {}
    with pytest.raises(TaskError, match=said) as raised:
        fit(tmp_path, *names, **stages, **options)
    assert "\n" not in str(raised.value) and str(raised.value).startswith("card.toml: signal 'progress'")


def test_a_signal_may_be_chosen(tmp_path: Path) -> None:
    write_demonstrations(tmp_path / "demo.npz", 40)
    stages = read_options(DemonstrationOptions, fit(tmp_path, "demo.npz", signals=["height"])).fitted
    assert stages is not None and list(stages.shapes) == ["height"]
