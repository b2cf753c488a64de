import pytest

from rewardsmith.contract.errors import ConfigError
from rewardsmith.spec import config, rl_zoo

TUNED = """
HalfCheetah-v4:
  normalize: true
  n_envs: 1
  policy: 'MlpPolicy'
  n_timesteps: !!float 1e6
  batch_size: 64
  n_steps: 512
  learning_rate: 2.0633e-05
  clip_range: 0.1
  policy_kwargs: "dict(
                    log_std_init=-2,
                    ortho_init=False,
                    activation_fn=nn.ReLU,
                    net_arch=dict(pi=[256, 256], vf=[256, 256])
                  )"
Pendulum-v1:
  normalize: "dict(norm_obs=True, norm_reward=False)"
  use_sde: False
  learning_rate: !!float 1e-3
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ppo.yml"
    path.write_text(TUNED)
    return path


def test_tuned_settings_become_a_layer_that_the_configuration_takes(path):
    resolved = config.resolve(rl_zoo.read(path, "HalfCheetah-v5"))
    training = resolved.training
    assert (training.n_envs, training.n_steps, training.learning_rate) == (1, 512, 2.0633e-05)
    assert (training.net_arch, training.activation, training.ortho_init) == ((256, 256), "relu", False)
    assert (training.log_std_init, training.trainer) == (-2.0, "sb3")
    assert resolved.search.env_steps == 1_000_000


def test_normalisation_may_be_split(path):
    training = config.resolve(rl_zoo.read(path, "Pendulum-v1")).training
    assert (training.normalize_obs, training.normalize_reward) == (True, False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning_rate: lin_3e-4", "learning_rate = 'lin_3e-4': a schedule"),
        ("use_sde: true", "no trainer here does that"),
        ("policy: CnnPolicy", "only 'MlpPolicy'"),
        ("policy_kwargs: dict(net_arch=dict(pi=[64], vf=[32]))", "the same layers"),
        ("policy_kwargs: dict(activation_fn=nn.GELU)", "allowed are nn.Tanh"),
        ("policy_kwargs: __import__('os').system('true')", "write dict"),
    ],
)
def test_what_no_trainer_does_is_said_with_file_environment_and_key(tmp_path, line, message):
    path = tmp_path / "ppo.yml"
    path.write_text(f"Hopper-v5:\n  {line}\n")
    with pytest.raises(ConfigError, match=r"ppo\.yml, Hopper-v5") as raised:
        rl_zoo.read(path, "Hopper-v5")
    assert message in str(raised.value)


def test_a_missing_environment_is_named_with_the_nearest(path):
    with pytest.raises(ConfigError, match="near it: HalfCheetah-v4"):
        rl_zoo.read(path, "HalfCheetahs-v5")
