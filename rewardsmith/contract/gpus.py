"""NVIDIA GPUs of this machine, found without a driver's library: by their device nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VARIABLE = "CUDA_VISIBLE_DEVICES"
"""Environment variable that says which GPUs a process may use."""


def list_gpus(variables: Mapping[str, str], nodes: Path = Path("/dev")) -> tuple[str, ...]:
    """Return the GPUs that this process may use, each as `CUDA_VISIBLE_DEVICES` names it; none without a GPU.

    >>> list_gpus({"CUDA_VISIBLE_DEVICES": "2,3"})
    ('2', '3')

    Args:
        variables: environment variables of this process.
        nodes: folder of the device nodes; another one in tests.
    """
    if VARIABLE in variables:
        return tuple(name.strip() for name in variables[VARIABLE].split(",") if name.strip() not in ("", "-1"))
    count = len(list(nodes.glob("nvidia[0-9]*")))
    return tuple(map(str, range(count)))
