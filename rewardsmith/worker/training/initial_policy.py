"""Begin of a training with the policy of an earlier one: parameters and the normalisation of observations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.contract.observation import describe_observation
from rewardsmith.contract.records import InitialPolicy
from rewardsmith.worker.training import policy as policies
from rewardsmith.worker.training.images import ImageScaling
from rewardsmith.worker.training.policy import NORMALISATION, Policy, PolicySpec
from rewardsmith.worker.training.running_stats import ObsScaling

COUNT_WITHOUT_RECORD = 10_000
"""Observations that inherited statistics count as where the policy does not say how many there were."""


def load_fitting_policy(initial: InitialPolicy, own: Policy) -> tuple[Policy | None, str | None]:
    """Read the policy that a training is to begin with; return None and the reason if it cannot be used.

    Args:
        initial: where it is.
        own: the training's own policy before its first step, which the other one is compared with.
    """
    try:
        inherited = policies.load(Path(initial.folder))
    except WorkerFailed as error:
        return None, str(error)
    difference = find_difference(inherited, own)
    if difference:
        return None, f"the policy of {initial.owner} {difference}"
    return inherited, None


def find_difference(inherited: Policy, own: Policy) -> str | None:
    """Return why a training cannot continue a policy, as the end of a sentence about it; None where it can."""
    theirs, ours = inherited.spec, own.spec
    algorithms = inherited.algorithm, own.algorithm
    if algorithms[0] != algorithms[1]:
        return f"is of another algorithm, {algorithms[0]}; this training is with {algorithms[1]}"
    images = [_describe_images(spec) for spec in (theirs, ours)]
    if images[0] != images[1]:
        return f"looks at {images[0]}, and this environment shows {images[1]}"
    if inherited.obs_dim != own.obs_dim:
        return f"takes observations of {inherited.obs_dim} numbers, and this environment gives {own.obs_dim}"
    if (theirs.image, theirs.image_parts) != (ours.image, ours.image_parts):
        return f"expects {images[0]} at another place, or with its channels in another order, than this environment"
    if inherited.observed_names != own.observed_names:
        seen = [describe_observation(policy.observed_names) for policy in (inherited, own)]
        return f"observes {seen[0]}, and this training {seen[1]}"
    if (theirs.action, len(theirs.action_low)) != (ours.action, len(ours.action_low)):
        actions = [f"{spec.action} of {len(spec.action_low)}" for spec in (theirs, ours)]
        return f"has other actions ({actions[0]}); this environment takes {actions[1]}"
    if (theirs.net_arch, theirs.activation) != (ours.net_arch, ours.activation):
        networks = [f"{list(spec.net_arch)} {spec.activation}" for spec in (theirs, ours)]
        return f"has another network, {networks[0]}; this training has {networks[1]}"
    if theirs.normalize_obs != ours.normalize_obs:
        does, does_not = ("", " not") if theirs.normalize_obs else (" not", "")
        return f"was{does} trained on normalised observations, and this training is{does_not} (training.normalize_obs)"
    missing = [name for name in own.tensors if name not in NORMALISATION and name not in inherited.tensors]
    if missing:
        return f"lacks {missing[0]}, which a training needs to go on"
    other_shape = [name for name in inherited.tensors if _has_other_shape(name, inherited, own)]
    return f"has another shape of {other_shape[0]}" if other_shape else None


def mix_parameters(parameters: Mapping[str, torch.Tensor], inherited: Policy, share: float) -> None:
    """Set parameters to `share * inherited + (1 - share) * present` ones, in place (ROSKA, arXiv:2412.13492).

    Args:
        parameters: of the training's model, by the names of a policy's tensors.
        inherited: a policy that fits.
        share: in (0, 1].
    """
    with torch.no_grad():
        for name, parameter in parameters.items():
            value = torch.from_numpy(inherited.tensors[name].copy()).reshape(parameter.shape)
            parameter.copy_(share * value + (1.0 - share) * parameter if share < 1.0 else value)


def inherit_normalisation(scaling: ObsScaling | ImageScaling, inherited: Policy) -> None:
    """Go on with the statistics of observations where the inherited policy's training ended."""
    if isinstance(scaling, ObsScaling) and scaling.enabled:
        count = inherited.tensors.get("obs_count")
        observations = COUNT_WITHOUT_RECORD if count is None else int(count[0])
        scaling.restore(inherited.tensors["obs_mean"], inherited.tensors["obs_var"], observations)


def _has_other_shape(name: str, inherited: Policy, own: Policy) -> bool:
    expected: Any = own.tensors.get(name)
    return name not in NORMALISATION and expected is not None and expected.shape != inherited.tensors[name].shape


def _describe_images(spec: PolicySpec) -> str:
    """Return the sizes of the images that a policy looks at."""
    images = [spec.image] if spec.image else [part.image for part in spec.image_parts]
    return " and ".join(f"an image of {one.height}x{one.width}x{one.channels}" for one in images) or "no image"
