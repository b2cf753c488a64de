"""rl-zoo3's files: every key is used, has no effect here, or is refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stable_baselines3 import PPO, SAC, TD3

from rewardsmith.api.planning import plan_search
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import TrainSettings
from rewardsmith.spec import config, rl_zoo
from rewardsmith.spec.rl_zoo_file import MAX_FILE_BYTES

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
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


def resolve(path: Path, env_id: str, trainer: str = "fast", *layers: config.Layer) -> config.Config:
    zoo = rl_zoo.read_zoo_layers(path, env_id, trainer)
    return config.resolve_config({"training": {"trainer": trainer}}, zoo.defaults, *layers, zoo.written)


def read(tmp_path: Path, entry: str, trainer: str = "fast", name: str = "tuned.yml") -> TrainSettings:
    """Return the settings that lines give for Hopper-v5."""
    path = tmp_path / name
    path.write_text("Hopper-v5:\n" + "".join(f"  {line}\n" for line in entry.splitlines()))
    return resolve(path, "Hopper-v5", trainer).training


def refuse(tmp_path: Path, entry: str, trainer: str = "fast", name: str = "tuned.yml") -> str:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, entry, trainer, name)
    message = str(raised.value)
    assert "\n" not in message
    assert name in message
    return message


def test_tuned_settings_become_a_layer_that_the_configuration_takes(path):
    resolved = resolve(path, "HalfCheetah-v5")
    training = resolved.training
    assert (training.n_envs, training.n_steps, training.learning_rate) == (1, 512, 2.0633e-05)
    assert (training.net_arch, training.activation, training.ortho_init) == ((256, 256), "relu", False)
    assert (training.log_std_init, training.trainer) == (-2.0, "sb3")
    assert resolved.search.env_steps == 1_000_000


def test_normalisation_may_be_split(path):
    training = resolve(path, "Pendulum-v1").training
    assert (training.normalize_obs, training.normalize_reward) == (True, False)


# ---------------------------------------------------------------- what a file leaves out


def test_absent_keys_mean_the_defaults_of_stable_baselines3(tmp_path):
    training = resolve(CASES / "zoo-absent-keys.yml", "LunarLander-v3").training
    assert (training.n_envs, training.n_steps, training.batch_size, training.n_epochs) == (1, 2048, 64, 10)
    assert (training.normalize_obs, training.normalize_reward, training.log_std_init) == (False, False, 0.0)
    assert training.net_arch == (64, 64)
    assert resolve(CASES / "zoo-absent-keys.yml", "Ant-v5").training.normalize_obs


def test_the_defaults_are_those_of_the_installed_stable_baselines3():
    ppo = PPO("MlpPolicy", "Pendulum-v1", device="cpu")
    defaults = dict(rl_zoo.PPO_DEFAULTS)
    assert ppo.clip_range(1.0) == defaults.pop("clip_range")
    assert ppo.policy.net_arch == {"pi": defaults["net_arch"], "vf": defaults.pop("net_arch")}
    assert float(ppo.policy.log_std.detach()[0]) == defaults.pop("log_std_init")
    assert ppo.policy.activation_fn.__name__.lower() == defaults.pop("activation")
    assert ppo.policy.ortho_init == defaults.pop("ortho_init")
    for name in ("normalize_obs", "normalize_reward"):
        assert defaults.pop(name) is False
    assert {name: getattr(ppo, name) for name in defaults} == defaults


@pytest.mark.parametrize(("trainer", "kind"), [("sac", SAC), ("td3", TD3)])
def test_the_off_policy_defaults_are_those_of_the_installed_stable_baselines3(trainer, kind):
    model = kind("MlpPolicy", "Pendulum-v1", device="cpu")
    defaults = dict(rl_zoo.DEFAULTS[trainer]["off_policy"])
    assert (model.train_freq.frequency, model.gradient_steps) == (
        defaults.pop("n_steps"),
        defaults.pop("updates_per_step"),
    )
    assert (model.action_noise, defaults.pop("action_noise")) == (None, 0.0)
    assert model.actor.net_arch == defaults.pop("net_arch")
    assert {name: getattr(model, name) for name in defaults} == defaults
    assert (model.gamma, model.n_envs) == (0.99, 1)


def plan(tmp_path: Path, zoo: str, overrides: config.Layer, toml: str = "") -> config.Config:
    (tmp_path / "tuned.yml").write_text(zoo)
    (tmp_path / "my.toml").write_text(toml)
    planned = plan_search(
        "Hop",
        "Pendulum-v1",
        file=tmp_path / "my.toml",
        overrides=overrides,
        variables={},
        trainer_config=tmp_path / "tuned.yml",
    )
    return planned.config


def test_a_key_that_the_file_leaves_out_is_still_the_users_to_set(tmp_path):
    toml = "[training]\nn_envs = 4\nn_steps = 32\n"
    resolved = plan(tmp_path, "Pendulum-v1:\n  n_steps: 512\n", {"training": {"gamma": 0.9}}, toml)
    training = resolved.training
    assert (training.n_envs, training.n_steps, training.gamma, training.gae_lambda) == (4, 512, 0.9, 0.95)
    assert training.normalize_obs is False


def test_the_steps_of_the_file_are_those_of_the_search_unless_the_user_says_otherwise(tmp_path):
    zoo = "Pendulum-v1:\n  n_timesteps: 12345\n"
    assert plan(tmp_path, zoo, {}).search.env_steps == 12345
    assert plan(tmp_path, zoo, {"search": {"env_steps": 777}}).search.env_steps == 777


def test_the_trainer_of_the_command_decides_how_a_file_is_read(tmp_path):
    resolved = plan(tmp_path, "Pendulum-v1:\n  tau: 0.02\n", {"training": {"trainer": "sac"}})
    assert (resolved.training.trainer, resolved.training.off_policy.tau) == ("sac", 0.02)
    with pytest.raises(ConfigError, match=r"tau = 0\.02: a key of SAC and TD3; write --trainer sac"):
        plan(tmp_path, "Pendulum-v1:\n  tau: 0.02\n", {})


# ---------------------------------------------------------------- SAC and TD3


def test_keys_of_sac_are_taken_over():
    training = resolve(CASES / "zoo-sac.yml", "HalfCheetah-v5", "sac").training
    off = training.off_policy
    assert (off.learning_starts, off.buffer_size, off.tau) == (2000, 50_000, 0.01)
    assert (training.n_envs, off.batch_size, off.learning_rate, off.net_arch) == (1, 256, 3e-4, (256, 256))


def test_the_tuned_settings_of_td3_are_taken_over(tmp_path):
    entry = """n_timesteps: 20000
policy: 'MlpPolicy'
gamma: 0.98
buffer_size: 200000
learning_starts: 10000
noise_type: 'normal'
noise_std: 0.1
gradient_steps: 1
train_freq: 1
learning_rate: !!float 1e-3
policy_kwargs: "dict(net_arch=[400, 300])\""""
    training = read(tmp_path, entry, "td3", "td3.yml")
    off = training.off_policy
    assert (training.gamma, off.action_noise, off.net_arch, off.learning_starts) == (0.98, 0.1, (400, 300), 10_000)


@pytest.mark.parametrize(
    ("entry", "n_steps", "per_step"),
    [
        ("train_freq: 8\ngradient_steps: 8", 8, 1.0),
        ("train_freq: 64\ngradient_steps: -1", 64, 1.0),
        ("train_freq: [4, step]\ngradient_steps: 2", 4, 0.5),
        ("train_freq: !!python/tuple [4, step]", 4, 0.25),
        ("n_envs: 2\ntrain_freq: 2\ngradient_steps: 8", 2, 2.0),
    ],
)
def test_the_rhythm_of_updates_is_the_same(tmp_path, entry, n_steps, per_step):
    off = read(tmp_path, entry, "sac").off_policy
    assert (off.n_steps, off.updates_per_step) == (n_steps, per_step)


def test_learning_may_start_at_once(tmp_path):
    assert read(tmp_path, "learning_starts: 0", "sac").off_policy.learning_starts == 0


# ---------------------------------------------------------------- what happens anyway

DEFAULTS: dict[str, tuple[str, ...]] = {
    "fast": (
        *(
            "normalize_advantage: true",
            "frame_stack: 1",
            "device: cpu",
            "device: auto",
            "sde_sample_freq: -1",
            "verbose: 1",
        ),
        *(
            "use_sde: false",
            "env_wrapper: none",
            "env_wrapper: null",
            "env_wrapper: []",
            "target_kl: null",
            "seed: null",
        ),
        *("clip_range_vf: null", "policy_kwargs: dict(use_sde=False, squash_output=False)", "callback: null"),
        *(
            "policy_kwargs: null",
            "policy_kwargs: dict()",
            "policy_kwargs: {activation_fn: !!python/name:torch.nn.Tanh }",
        ),
        *(
            "vec_env_wrapper: null",
            "env_kwargs: {}",
            "stats_window_size: 50",
            "tensorboard_log: null",
            "normalize: false",
        ),
        *("use_rms_prop: false", "normalize_kwargs: {norm_obs: false, norm_reward: false}", "_init_setup_model: true"),
        *("policy_kwargs: dict(optimizer_class=th.optim.Adam, optimizer_kwargs={}, full_std=False)",),
    ),
    "sac": (
        *(
            "ent_coef: auto",
            "target_entropy: auto",
            "target_update_interval: 1",
            "use_sde_at_warmup: true",
            "n_steps: 1",
        ),
        *("action_noise: null", "noise_type: null", "optimize_memory_usage: false", "replay_buffer_kwargs: {}"),
        *("policy_kwargs: dict(log_std_init=-3, net_arch=[256, 256], activation_fn=nn.ReLU, n_critics=2)",),
    ),
    "td3": ("policy_delay: 2", "target_policy_noise: 0.2", "target_noise_clip: 5e-1", "normalize: false"),
}


@pytest.mark.parametrize(
    ("trainer", "line"), [(trainer, line) for trainer, lines in DEFAULTS.items() for line in lines]
)
def test_what_asks_for_the_default_is_accepted_and_changes_nothing(tmp_path, trainer, line):
    assert read(tmp_path, line, trainer) == read(tmp_path, "policy: MlpPolicy", trainer)


def test_a_file_of_defaults_alone_is_accepted():
    assert resolve(CASES / "zoo-sb3-defaults.yml", "Hopper-v5").training.n_steps == 2048


# ---------------------------------------------------------------- spellings


def test_the_older_spelling_of_the_network_is_read():
    training = resolve(CASES / "zoo-old-net-arch.yml", "Hopper-v5").training
    assert (training.net_arch, training.activation) == ((256, 256), "relu")


def test_a_trained_agents_file_is_read_without_its_tag():
    resolved = resolve(CASES / "zoo-agent-config.yml", "Hopper-v5")
    assert (resolved.training.batch_size, resolved.training.n_steps, resolved.search.env_steps) == (64, 512, 10_000)
    assert resolved.training.n_envs == 1


def test_a_trained_agents_split_normalisation_is_read(tmp_path):
    path = tmp_path / "config.yml"
    pairs = "  - - normalize\n    - true\n  - - normalize_kwargs\n    - norm_obs: true\n      norm_reward: false\n"
    path.write_text(f"!!python/object/apply:collections.OrderedDict\n-{pairs[1:]}")
    training = resolve(path, "Hopper-v5").training
    assert (training.normalize_obs, training.normalize_reward) == (True, False)


@pytest.mark.parametrize(
    "spelled",
    [
        "dict(net_arch=dict(pi=[32], vf=[32]))",
        "dict(net_arch=[dict(vf=[32], pi=[32])])",
        "{'net_arch': [32]}",
        "{net_arch: {pi: [32], vf: [32]}}",
        "{net_arch: [{pi: [32], vf: [32]}]}",
        "dict(net_arch=(32,))",
    ],
)
def test_networks_are_read_in_every_spelling(tmp_path, spelled):
    assert read(tmp_path, f"policy_kwargs: {spelled}").net_arch == (32,)


def test_merged_entries_are_read(tmp_path):
    path = tmp_path / "sac.yml"
    path.write_text(
        "Base: &base\n  policy: MlpPolicy\n  learning_starts: 10000\nHopper-v4:\n  <<: *base\n  learning_starts: 5000\n"
    )
    assert resolve(path, "Hopper-v5", "sac").training.off_policy.learning_starts == 5000


@pytest.mark.parametrize(
    ("env_id", "n_envs"),
    [("Hopper-v5", 5), ("mypkg:Hopper-v5", 5), ("Hopper-v6", 5), ("Hopper-v10", 10), ("Ant-v5", 7)],
)
def test_the_nearest_entry_serves(tmp_path, env_id, n_envs):
    path = tmp_path / "tuned.yml"
    entries = (
        {"Hopper-v3": 3, "Hopper-v10": 10, "Hopper-v5": 5, "default": 7} if env_id != "Hopper-v6" else {"Hopper-v5": 5}
    )
    path.write_text("".join(f"{name}:\n  n_envs: {number}\n" for name, number in entries.items()))
    assert resolve(path, env_id).training.n_envs == n_envs


def test_a_missing_environment_is_named_with_the_nearest(path):
    with pytest.raises(ConfigError, match="did you mean 'HalfCheetah-v4'"):
        rl_zoo.read_zoo_layers(path, "HalfCheetahs-v5")


# ---------------------------------------------------------------- what is refused

REFUSED = [
    ("fast", "learning_rate: lin_3e-4", "learning_rate = 'lin_3e-4': a schedule"),
    ("fast", "clip_range: linear_0.2", "a schedule"),
    ("fast", "use_sde: true", "no trainer here does that"),
    ("fast", "policy: CnnPolicy", "only 'MlpPolicy'"),
    ("fast", "policy_kwargs: dict(net_arch=dict(pi=[64], vf=[32]))", "pi and vf must be equal"),
    ("fast", "policy_kwargs: dict(net_arch=[64, dict(pi=[64], vf=[64])])", "share no layers"),
    ("fast", "policy_kwargs: dict(net_arch=dict(pi=[64]))", "pi and vf must be equal"),
    ("fast", "policy_kwargs: dict(net_arch=[])", "at least one width"),
    ("fast", "policy_kwargs: dict(net_arch=[64.5])", "a whole number"),
    ("fast", "policy_kwargs: dict(activation_fn=nn.GELU)", "allowed are nn.Tanh"),
    ("fast", "policy_kwargs: dict(optimizer_class=th.optim.RMSprop)", "optimizer_class"),
    ("fast", "policy_kwargs: dict(features_extractor_kwargs=dict(features_dim=8))", "features_extractor_kwargs"),
    ("fast", "policy_kwargs: __import__('os').system('true')", "write dict"),
    ("fast", 'policy_kwargs: "dict(**dict(net_arch=[8]))"', "write dict"),
    ("fast", "policy_kwargs: dict(net_arch=[8], net_arch=[9])", "write dict"),
    ("fast", f"policy_kwargs: {'[' * 300}{']' * 300}", ""),
    ("fast", "normalize: dict(norm_obs=True, clip_obs=5)", "clip_obs = 5"),
    ("fast", "normalize_advantage: false", "allowed: True"),
    ("fast", "frame_stack: 4", "not stacked"),
    ("fast", "device: cuda", "trainings run on the CPU"),
    ("fast", "seed: 3", "search.seed"),
    ("fast", "env_wrapper: [gymnasium.wrappers.TimeLimit]", "wrappers belong to the environment"),
    ("fast", "env_kwargs: {size: 5}", "task's card"),
    ("fast", "callback: [rl_zoo3.callbacks.RawStatisticsCallback]", "no trainer here does that"),
    ("fast", "target_kl: 0.03", "no trainer here does that"),
    ("fast", "n_envs: 2.5", "a whole number"),
    ("fast", "n_envs: true", "a number"),
    ("fast", "n_envs: many", "a number"),
    ("fast", "n_envs: 0", "training.n_envs"),
    ("fast", "gamma: 1.5", "training.gamma"),
    ("fast", f"n_envs: 0x{'f' * 9000}", "a huge number"),
    ("fast", "policy_kwargs: [1]", "write dict"),
    ("fast", "n_epochs: 2024-01-01", "a number"),
    ("fast", "gamma: .nan", "a finite number"),
    ("fast", "n_timesteps: -1", "search.env_steps"),
    ("fast", "n_stepz: 512", "did you mean 'n_steps'"),
    ("fast", "learning_starts: 100", "a key of SAC and TD3; write --trainer sac or --trainer td3"),
    ("fast", "exploration_fraction: 0.1", "this is a file for DQN; the trainers here are ppo, sac, td3"),
    ("fast", "policy: MlpLstmPolicy", "this is a file for recurrent PPO"),
    ("sac", "policy_kwargs: dict(n_quantiles=25)", "this is a file for TQC"),
    ("sac", "clip_range: 0.2", "this is a file for PPO, and the trainer is SAC; write --trainer fast"),
    ("sac", "gae_lambda: 0.9", "a key of PPO"),
    ("sac", "ent_coef: 0.1", "'auto' is allowed"),
    ("sac", "n_steps: 3", "single steps"),
    ("sac", "normalize: true", "SAC and TD3 do not normalise"),
    ("sac", "train_freq: [1, episode]", "not episodes"),
    ("sac", "gradient_steps: 0", "1 or more"),
    ("sac", "noise_type: normal\nnoise_std: 0.1", "SAC has none"),
    ("sac", "policy_kwargs: dict(activation_fn=nn.Tanh)", "have nn.ReLU"),
    ("sac", "policy_kwargs: dict(net_arch=dict(pi=[64], qf=[32]))", "pi and qf must be equal"),
    ("sac", "use_sde: true", "no trainer here does that"),
    ("td3", "noise_type: ornstein-uhlenbeck", "'normal'"),
    ("td3", "ent_coef: auto", "a key of PPO and SAC"),
    ("td3", "replay_buffer_class: HerReplayBuffer", "no trainer here does that"),
    ("td3", "policy_delay: 3", "allowed: 2"),
]


@pytest.mark.parametrize(("trainer", "line", "message"), REFUSED)
def test_what_no_trainer_does_is_said_with_file_environment_and_key(tmp_path, trainer, line, message):
    told = refuse(tmp_path, line, trainer)
    assert message in told
    assert "tuned.yml, Hopper-v5" in told


@pytest.mark.parametrize(
    ("name", "trainer", "message"),
    [
        ("tqc.yml", "sac", "this is a file for TQC; the trainers here are ppo, sac, td3"),
        ("a2c.yml", "fast", "this is a file for A2C"),
        ("ppo_lstm.yml", "fast", "this is a file for recurrent PPO"),
        ("my-qrdqn.yml", "fast", "this is a file for QR-DQN"),
        ("sac.yml", "fast", "this is a file for SAC, and the trainer is PPO; write --trainer sac"),
        ("td3.yml", "sac", "write --trainer td3"),
        ("ppo.yml", "td3", "write --trainer fast, or leave --trainer out"),
    ],
)
def test_the_file_of_another_algorithm_is_refused_by_name(tmp_path, name, trainer, message):
    assert message in refuse(tmp_path, "policy: MlpPolicy", trainer, name)


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


FILES: dict[str, tuple[Any, str]] = {
    "aliases of aliases": (bomb(12), "more than 50,000 values"),
    "merged merges": (
        "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9)),
        "more than 50,000 values",
    ),
    "an alias inside of itself": ("Hopper-v5: &a\n  policy_kwargs: *a\n", "stands inside of what it names"),
    "too large": ("#" * (MAX_FILE_BYTES + 1), "more than"),
    "too deep": ("[" * 5000 + "]" * 5000, "nested too deeply"),
    "a command in a tag": ("!!python/object/apply:os.system [touch pwned]", "could not determine a constructor"),
    "an object in a tag": (
        "Hopper-v5:\n  gamma: !!python/object/apply:numpy.float64 [1]",
        "line 2: could not determine",
    ),
    "no pairs in the tag": ("!!python/object/apply:collections.OrderedDict [[[a]]]", "no pairs of an OrderedDict"),
    "the command line of an agent": (
        "!!python/object/apply:collections.OrderedDict\n- - [algo, ppo]\n  - [conf_file, null]\n  - [eval_freq, 1]\n"
        "  - [log_folder, logs]\n",
        "its settings are in config.yml",
    ),
    "a key twice": ("Hopper-v5:\n  n_envs: 1\n  n_envs: 8\n", "'n_envs' stands in line 2 and again in line 3"),
    "an environment twice": ("Hopper-v5:\n  n_envs: 1\nHopper-v5:\n  n_envs: 8\n", "'Hopper-v5' stands in line 1"),
    "no YAML": ("a: [", "is not YAML"),
    "nothing": ("", "it is empty"),
    "bytes": (b"\xff\xfe", "is not UTF-8"),
    "a list": ("- 1", "its top level must map"),
    "an entry without settings": ("Hopper-v5: 3", "must be keys and values"),
    "a setting without a name": ("Hopper-v5:\n  1: 2\n", "not the name of a setting"),
    "two documents": ("a: 1\n---\nb: 2\n", "is not YAML"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_told_in_a_line(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, message = FILES[name]
    path = tmp_path / "tuned.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as raised:
        rl_zoo.read_zoo_layers(path, "Hopper-v5")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert [file.name for file in tmp_path.iterdir()] == ["tuned.yml"]


def test_a_key_twice_in_another_entry_does_not_matter(tmp_path):
    path = tmp_path / "tuned.yml"
    path.write_text("Ant-v5:\n  n_envs: 1\n  n_envs: 2\nHopper-v5:\n  n_envs: 8\n")
    assert resolve(path, "Hopper-v5").training.n_envs == 8


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_what_is_no_file_is_told_in_a_line(tmp_path, kind):
    path = tmp_path if kind == "folder" else tmp_path / "none.yml"
    with pytest.raises(ConfigError, match="cannot read"):
        rl_zoo.read_zoo_layers(path, "Hopper-v5")
