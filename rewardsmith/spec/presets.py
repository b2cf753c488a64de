"""Presets: whole recipes as TOML files in `prompts/presets/`, a layer of configuration between defaults and task card.

A file is a configuration with one key more, `about`, which says in a line what it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.package_data import folder
from rewardsmith.spec import config as configuration
from rewardsmith.spec.config import Layer

DEFAULT = "smith"


@dataclass(frozen=True)
class Preset:
    """One recipe."""

    name: str
    """Of a file that ships with the package, or the path of the user's own."""
    about: str
    text: str
    """The file, with its comments."""
    layer: Layer


@dataclass(frozen=True)
class Difference:
    """A key in which two presets differ."""

    key: str
    """As `--set` takes it: "search.population"."""
    left: Any
    right: Any


def names() -> tuple[str, ...]:
    """Return the names of the presets that ship with the package, the default first."""
    found = sorted(path.stem for path in folder("prompts").glob("presets/*.toml"))
    return (DEFAULT, *(name for name in found if name != DEFAULT))


def load(name: str) -> Preset:
    """Return a preset.

    Args:
        name: one of `names()`, or the path of a TOML file.

    Raises:
        ConfigError: if there is none, or its file is no configuration.
    """
    path = Path(name) if name.endswith(".toml") else folder("prompts") / "presets" / f"{name}.toml"
    if not name.endswith(".toml") and name not in names():
        nearest = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(names())}."
        raise ConfigError(f"no preset {name!r}; {hint} A file of your own ends in .toml")
    layer = dict(configuration.from_file(path))
    about = layer.pop("about", "")
    if not isinstance(about, str) or "preset" in layer:
        raise ConfigError(f"the preset {name!r}: `about` is a line of text, and a preset names no other preset")
    try:
        configuration.resolve(layer)
    except ConfigError as error:
        raise ConfigError(f"the preset {name!r}: {error}") from error
    return Preset(name, about, path.read_text(encoding="utf-8"), layer)


def beneath(layers: Iterable[Layer]) -> Layer:
    """Return the layer of the preset that other layers name, the later ones first; of the default where none does.

    Raises:
        ConfigError: if there is no such preset.
    """
    named = [layer["preset"] for layer in layers if "preset" in layer]
    return load(str(named[-1]) if named else DEFAULT).layer


def differences(left: Preset, right: Preset) -> tuple[Difference, ...]:
    """Return in what two presets differ, the defaults filled in, in the configuration's order."""
    first, second = (_flat(configuration.resolve(preset.layer).model_dump(mode="json")) for preset in (left, right))
    return tuple(
        Difference(key, first.get(key), second.get(key))
        for key in dict.fromkeys([*first, *second])
        if first.get(key) != second.get(key)
    )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names.

    >>> _flat({"search": {"seeds": 1}, "jobs": 0})
    {'search.seeds': 1, 'jobs': 0}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
