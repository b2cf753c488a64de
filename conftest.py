"""Which modules pytest can read for their doctests: not those of families whose package is not installed."""

from importlib.util import find_spec

ADAPTERS = {"crafter": "crafter", "maniskill": "mani_skill", "minigrid": "minigrid", "minihack": "minihack"}

collect_ignore = [
    f"rewardsmith/worker/envs/adapters/{name}.py" for name, package in ADAPTERS.items() if find_spec(package) is None
]
