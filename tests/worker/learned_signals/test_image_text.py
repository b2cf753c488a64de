"""`image_text` with a CLIP of random weights: it loads what a user would load, and measures what the paper defines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_clip import save_tiny_clip

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from rewardsmith.contract.errors import TaskError  # noqa: E402
from rewardsmith.contract.records import EnvSpec, LearnedSignal  # noqa: E402
from rewardsmith.worker.envs.make import make_envs  # noqa: E402
from rewardsmith.worker.learned_signals import image_text  # noqa: E402
from rewardsmith.worker.learned_signals.base import Moments, ProviderContext  # noqa: E402
from rewardsmith.worker.learned_signals.env import LearnedSignalEnv  # noqa: E402
from rewardsmith.worker.learned_signals.image_text import Clip, GoalLikeness, ImageTextProvider  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


def make_signal(weights: Path, **options: object) -> LearnedSignal:
    options = {"text": "a cart in the middle", "model": str(weights), "every": 4, **options}
    return LearnedSignal("likeness", "image_text", "a test", options=options)  # type: ignore[arg-type]


def make_context(signal: LearnedSignal) -> ProviderContext:
    return ProviderContext(signal, EnvSpec("CartPole-v1"), (), 1)


def unit(*numbers: float) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(numbers), dim=0)


def test_without_a_baseline_the_likeness_is_the_cosine():
    goal, pictures = unit(1.0, 2.0, 0.0), torch.stack([unit(1.0, 2.0, 0.0), unit(0.0, 0.0, 1.0), unit(-1.0, -2.0, 0.0)])
    assert GoalLikeness(goal, None, 0.5).measure(pictures) == pytest.approx([1.0, 0.0, -1.0], abs=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_with_a_baseline_it_is_the_paper_s_formula(alpha):
    goal, baseline, picture = unit(1.0, 2.0, 0.5), unit(0.0, 1.0, 1.0), unit(3.0, -1.0, 2.0)
    line = (goal - baseline).numpy()
    # proj_L s: the point of the line through baseline and goal that is nearest to s
    along = (picture - baseline).numpy() @ line / (line @ line)
    projected = baseline.numpy() + along * line
    distance = alpha * projected + (1.0 - alpha) * picture.numpy() - goal.numpy()
    expected = 1.0 - 0.5 * float(distance @ distance)
    assert GoalLikeness(goal, baseline, alpha).measure(picture[None]) == pytest.approx([expected], abs=1e-6)


def test_a_picture_is_looked_at_as_transformers_own_model_does(weights):
    from transformers import CLIPModel

    frame = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255.0
    mean, std = (torch.tensor(c).reshape(1, 3, 1, 1) for c in (image_text.CLIP_MEAN, image_text.CLIP_STD))
    model = CLIPModel.from_pretrained(weights)
    out = model.get_image_features(pixel_values=(pixels - mean) / std)
    features = out if isinstance(out, torch.Tensor) else out.pooler_output
    expected = torch.nn.functional.normalize(features, dim=-1)
    assert Clip(str(weights), "").embed_frames([frame]).numpy() == pytest.approx(expected.detach().numpy(), abs=1e-5)


def test_moments_without_a_picture_hold_the_last_value(weights):
    provider = ImageTextProvider(make_context(make_signal(weights)))
    frames = tuple(np.full((40, 60, 3), level, np.uint8) for level in (0, 200))
    starts = np.array([True, False, False, False, False])
    moments = Moments({}, np.zeros((5, 1)), starts, np.zeros(5, np.intp), frames, np.array([0, 4]))
    values = provider.compute_values(moments)
    assert np.isnan(values).tolist() == [False, True, True, True, False]
    assert values[0] != values[4]
    assert provider.remark and "pictures a second on this machine, one in every 4 steps" in provider.remark


def test_an_environment_is_looked_at_while_it_runs(weights):
    spec = EnvSpec("CartPole-v1", learned_signals=(make_signal(weights),))
    env = make_envs(spec, 2, ("pole_angle", "likeness"))
    plain = make_envs(EnvSpec("CartPole-v1"), 2, ("pole_angle",))
    for one in (env, plain):
        one.reset([1, 2])
    actions = np.random.default_rng(0).integers(0, 2, (40, 2, 1)).astype(float)
    after = np.stack([env.step(action).after.copy() for action in actions])
    untouched = np.stack([plain.step(action).after[:, 0].copy() for action in actions])
    np.testing.assert_array_equal(after[..., 0], untouched)
    assert isinstance(env, LearnedSignalEnv)
    values = env.take_values().after[..., 0]
    assert np.isfinite(values).all() and len(np.unique(values)) > 10
    env.close()


def test_weights_that_are_nowhere_give_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TaskError, match=r"signal 'likeness': the weights of '.*nothing' cannot be loaded") as raised:
        ImageTextProvider(make_context(make_signal(tmp_path / "nothing")))
    assert "\n" not in str(raised.value) and "model = PATH" in str(raised.value)


def test_a_model_that_is_no_clip_gives_one_line(tmp_path):
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(TaskError, match="is a BertModel, which is no CLIP"):
        ImageTextProvider(make_context(make_signal(tmp_path)))


def test_without_transformers_the_user_is_told_the_extra(weights, monkeypatch):
    monkeypatch.setattr(image_text.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TaskError, match=r"image_text needs transformers: pip install 'rewardsmith\[vlm\]'"):
        ImageTextProvider(make_context(make_signal(weights)))
