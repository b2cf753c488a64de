"""Settings that jobs carry: of a training, and of the reward process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, MinLen

from rewardsmith.contract.records.types import Count, Fraction, Positive
from rewardsmith.contract.trainers import TrainerName


@dataclass(frozen=True)
class OffPolicySettings:
    """Settings of SAC and TD3; the defaults are stable-baselines3's, but for the buffer and its first steps."""

    learning_rate: Positive = 3e-4
    batch_size: Count = 256
    buffer_size: Count = 300_000
    """Transitions, of all environments together."""
    learning_starts: Annotated[int, Ge(0)] = 1_000
    """Environment steps under random actions before the first update."""
    n_steps: Count = 1
    """Environment steps of each environment between updates."""
    updates_per_step: Positive = 1.0
    """Updates for each environment step."""
    tau: Fraction = 0.005
    action_noise: Annotated[float, Ge(0.0)] = 0.1
    """Standard deviation of TD3's exploration, in units of half an action's range; SAC learns its own."""
    net_arch: tuple[Count, ...] = (256, 256)
    """Widths of the hidden layers, of the actor and of the critics; their activation is relu."""


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training.

    The defaults of PPO are stable-baselines3's, but for 8 environments of 256 steps in place of one of 2,048,
    normalised observations and rewards, and a smaller `log_std_init`.
    """

    trainer: TrainerName = "fast"
    """fast: PPO with an update without autograd, for standard MLP policies. sb3: stable-baselines3's own PPO update.
    sac and td3: its SAC and TD3, with `off_policy`, `n_envs`, `gamma` and `checkpoints`; no other key is theirs."""
    n_envs: Count = 8
    n_steps: Count = 256
    """Environment steps of each environment per rollout."""
    batch_size: Count = 64
    n_epochs: Count = 10
    learning_rate: Positive = 3e-4
    gamma: Fraction = 0.99
    gae_lambda: Fraction = 0.95
    clip_range: Positive = 0.2
    ent_coef: Annotated[float, Ge(0.0)] = 0.0
    vf_coef: Annotated[float, Ge(0.0)] = 0.5
    max_grad_norm: Positive = 0.5
    log_std_init: float = -0.5
    net_arch: tuple[Count, ...] = (64, 64)
    """Widths of the hidden layers, of the actor and of the critic."""
    activation: Literal["tanh", "relu"] = "tanh"
    """relu needs the trainer "sb3"."""
    ortho_init: bool = True
    normalize_obs: bool = True
    normalize_reward: bool = True
    checkpoints: Count = 10
    """How many points of the learning curve to report."""
    physics_threads: Literal["auto"] | Count = "auto"
    """Threads that step MuJoCo's simulations, at most one for each environment; no result depends on it. auto: the
    training's share of the cores, while that is faster than one thread."""
    observation: Literal["environment"] | Annotated[tuple[str, ...], MinLen(1)] = "environment"
    """Names of the signals that the policy observes, one after the other; environment: the environment's own vector. A
    program's OBSERVATION counts before it."""
    constraints: tuple[str, ...] = ()
    """Limits of the program's terms, as in ["effort <= 0.3"]: Lagrange multipliers hold a term's mean per step, before
    its weight, at the limit, and the other terms are the goal. Trainings on the environment reward have none."""
    blend: Literal["fixed", "barfi"] = "fixed"
    """Weights of the terms. fixed: the program's. barfi: the environment reward is added to the total, and the weights
    beside it are learned so that the policy earns more of it (PPO; trainings on the environment reward have none)."""
    off_policy: OffPolicySettings = OffPolicySettings()


@dataclass(frozen=True)
class Limits:
    """Limits of a reward process."""

    backend: Literal["auto", "local", "docker"] = "auto"
    """auto: local where the kernel can seal a process, docker elsewhere."""
    call_timeout_s: Positive = 10.0
    """Wall clock of one scoring call."""
    memory_mib: Annotated[int, Ge(128)] = 512
    max_terms: Count = 32
