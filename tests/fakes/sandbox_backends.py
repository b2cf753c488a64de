"""The backends that the contract is tested on, and programs without static checks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from rewardsmith.contract.errors import SandboxUnavailable
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import RewardProgram, Transitions
from rewardsmith.sandbox import ProgramLayout, RewardProcess, Zygote, open_process
from rewardsmith.sandbox.inside.seal import NOBODY

N = 8
LAYOUT = ProgramLayout({"x": (), "velocity": (3,), "height": ()}, (2,))
BACKENDS = ("local", "local-unprivileged", pytest.param("docker", marks=pytest.mark.docker))
Open = Callable[..., RewardProcess]


def unchecked(text: str) -> RewardProgram:
    """Return the text as a program that reads every signal, without any static check."""
    arguments = tuple(
        name for name in ("before", "action", "after") if "def reward(" not in text or name in signature(text)
    )
    reads = {"before": ("x",), "after": ("velocity", "x") if "after" in arguments else ()}
    return RewardProgram(text, {}, {}, arguments, reads)


def signature(text: str) -> str:
    """Return the parameters of `def reward(...)`."""
    return text.partition("def reward(")[2].partition("):")[0].partition(") ->")[0]


def transitions(n: int = N, seed: int = 0) -> Transitions:
    """Return n transitions that fit `LAYOUT`."""
    random = np.random.default_rng(seed)

    def state() -> dict[str, np.ndarray]:
        return {"x": random.normal(size=n), "velocity": random.normal(size=(n, 3))}

    return Transitions(random.normal(size=(n, 2)), state(), state(), state())


@contextmanager
def opener(backend: str) -> Iterator[Open]:
    """Give a function that opens a text in the backend; skip where the machine lacks it."""
    if backend == "docker":
        yield docker_opener()
        return
    if backend == "local-unprivileged" and os.geteuid() != 0:
        pytest.skip("not tested: this user is unprivileged already, which `local` tests")
    with Zygote(NOBODY if backend == "local-unprivileged" else None) as zygote:
        yield lambda text, **limits: open_process(unchecked(text), LAYOUT, Limits("local", **limits), zygote)


def docker_opener() -> Open:
    """Return a function that opens a text in a container."""
    from rewardsmith.sandbox.docker import connect_engine, provide_image

    try:
        client = connect_engine()
        provide_image(client)
        client.close()
    except SandboxUnavailable as error:
        pytest.skip(f"not tested: {os.environ.get('REWARDSMITH_NO_ENGINE') or error}")
    return lambda text, **limits: open_process(unchecked(text), LAYOUT, Limits("docker", **limits))
