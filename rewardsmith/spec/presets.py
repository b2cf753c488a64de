"""Presets: sets of settings as TOML files in `prompts/presets/`, a layer of configuration between defaults and card.

A file is a configuration with one key more, `about`, which says in a line what it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.contract.text import suggest_names
from rewardsmith.spec import config as configuration
from rewardsmith.spec import config_layers
from rewardsmith.spec.config import Layer

DEFAULT = "smith"


@dataclass(frozen=True)
class Preset:
    """A named set of settings."""

    name: str
    """Name of a file that ships with the package, or the path of the user's own file."""
    about: str
    text: str
    """The file, with its comments."""
    layer: Layer


@dataclass(frozen=True)
class PresetDifference:
    """A key in which two presets differ."""

    key: str
    """Name of the setting, as `--set` takes it: "search.population"."""
    left: Any
    right: Any


def list_preset_names() -> tuple[str, ...]:
    """Return the names of the presets that ship with the package, the default first."""
    shipped = sorted(path.stem for path in find_data_folder("prompts").glob("presets/*.toml"))
    return (DEFAULT, *(name for name in shipped if name != DEFAULT))


def load_preset(name: str) -> Preset:
    """Return a preset.

    Args:
        name: one of `list_preset_names()`, or the path of a TOML file.

    Raises:
        ConfigError: if there is no such preset, or its file is no configuration.
    """
    path = Path(name) if name.endswith(".toml") else find_data_folder("prompts") / "presets" / f"{name}.toml"
    if not name.endswith(".toml") and name not in list_preset_names():
        hint = suggest_names(name, list_preset_names())
        raise ConfigError(f"no preset {name!r} (a file of your own ends in .toml); {hint}")
    layer = dict(config_layers.read_layer(path))
    about = layer.pop("about", "")
    if not isinstance(about, str) or "preset" in layer:
        raise ConfigError(f"the preset {name!r}: `about` is a line of text, and a preset names no other preset")
    try:
        configuration.resolve_config(layer)
    except ConfigError as error:
        raise ConfigError(f"the preset {name!r}: {error}") from error
    return Preset(name, about, path.read_text(encoding="utf-8"), layer)


def find_preset_layer(layers: Iterable[Layer]) -> Layer:
    """Return the layer of the preset that other layers name, the later ones first; of the default where none does.

    Raises:
        ConfigError: if there is no such preset.
    """
    named = [layer["preset"] for layer in layers if "preset" in layer]
    return load_preset(str(named[-1]) if named else DEFAULT).layer


def compare_presets(left: Preset, right: Preset) -> tuple[PresetDifference, ...]:
    """Return in what two presets differ, the defaults filled in, in the configuration's order."""
    first, second = (
        _flatten(configuration.resolve_config(preset.layer).model_dump(mode="json")) for preset in (left, right)
    )
    return tuple(
        PresetDifference(key, first.get(key), second.get(key))
        for key in dict.fromkeys([*first, *second])
        if first.get(key) != second.get(key)
    )


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names.

    >>> _flatten({"search": {"seeds": 1}, "jobs": 0})
    {'search.seeds': 1, 'jobs': 0}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
