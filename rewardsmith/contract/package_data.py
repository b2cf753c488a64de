"""The folders of the data that ships with the package: task cards, prompts, the sandbox's files, the agents' skill."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

DataFolder = Literal["envs", "prompts", "sandbox", "skills"]


def find_data_folder(name: DataFolder) -> Path:
    """Find the folder `envs`, `prompts`, `sandbox` or `skills`, of the installed wheel or of the checkout.

    The wheel carries them below `rewardsmith/_data`; a checkout has them beside the package.
    """
    package = Path(str(files("rewardsmith")))
    installed = package / "_data" / name
    return installed if installed.is_dir() else package.parent / name
