"""Shared parts of the tests of labelled captions: a room that tells what happens, and a model that likes keys."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rewardsmith.llm import ModelAnswer, Request

NUMBERED = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)


class TellingRoom(gymnasium.Env[np.ndarray, int]):
    """A corridor of 7 cells: a wall at the left end, a key at the right; `info` tells in words what was met."""

    observation_space = spaces.Box(-10.0, 10.0, (1,), np.float64)
    action_space = spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = 3
        return np.array([float(self.place)]), {"message": "Welcome.", "keys": 0.0}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        wanted = self.place + (1 if action else -1)
        self.place = min(max(wanted, 0), 6)
        says = "It is a wall." if wanted < 0 else "You take a key." if self.place == 6 else ""
        at_key = self.place == 6
        return np.array([float(self.place)]), 0.0, at_key, False, {"message": says, "keys": float(at_key)}


gymnasium.register("TellingRoom-v0", entry_point=TellingRoom, max_episode_steps=20)
ROOM = "fakes.labelling_case:TellingRoom-v0"


class KeyLover:
    """A connection to a model that calls captions with a key helpful, and prefers them in pairs."""

    def __init__(self, answer: Callable[[Request], str] | None = None) -> None:
        self.answer = answer or self.judge
        self.requests: list[Request] = []
        self.allowed = threading.Event()
        """Cleared: a call hangs until it is set."""
        self.allowed.set()

    def chat(self, request: Request, lost: Callable[[str, bool], None]) -> ModelAnswer:
        self.requests.append(request)
        self.allowed.wait(30)
        return ModelAnswer(self.answer(request), "stop", 100, 10)

    def close(self) -> None:
        self.allowed.set()

    @staticmethod
    def judge(request: Request) -> str:
        lines = NUMBERED.findall(request.messages[1].content)
        if "each pair" in request.messages[1].content:
            leads = [["key" in one for one in line.split(" | ")] for _, line in lines]
            return json.dumps({"better": [1 if one > two else 2 if two > one else 0 for one, two in leads]})
        return "Sure: " + json.dumps({"helpful": [int(number) for number, line in lines if "key" in line]})


def go_right(observation: np.ndarray) -> int:
    """Act in the room as a person would who knows where the key is."""
    return 1


def fail(observation: np.ndarray) -> int:
    raise ArithmeticError("the device is not plugged in")


def act_twice(observation: np.ndarray) -> list[int]:
    return [1, 1]
