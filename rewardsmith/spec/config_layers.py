"""Layers of a configuration as people write them: files, environment variables, `--set`.

A file is TOML with the sections of `Config`. An environment variable names a key as REWARDSMITH_SECTION__KEY, and
`--set section.key=value` does the same on the command line; values are read as TOML, else as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rewardsmith.contract import bounded_files
from rewardsmith.contract.bounded_files import DamagedFile
from rewardsmith.contract.errors import ConfigError
from rewardsmith.spec.config import Config, Layer, merge_layer

ENVIRONMENT_PREFIX = "REWARDSMITH_"


def read_layer(path: Path) -> Layer:
    """Read a TOML file.

    Raises:
        ConfigError: if it cannot be read or is no TOML.
    """
    try:
        return bounded_files.parse_toml(bounded_files.read_text(path), path)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {str(path)!r}: {error.strerror}") from error
    except DamagedFile as error:
        raise ConfigError(f"{path} is not TOML: {error.reason}") from error


def read_environment_layer(variables: Mapping[str, str]) -> Layer:
    """Read the variables REWARDSMITH_SECTION__KEY, and REWARDSMITH_JOBS; others of that prefix are no settings.

    >>> read_environment_layer({"REWARDSMITH_SEARCH__POPULATION": "8", "REWARDSMITH_JOBS": "1", "HOME": "/"})
    {'jobs': 1, 'search': {'population': 8}}
    """
    layer: dict[str, Any] = {}
    for name, text in sorted(variables.items()):
        keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if name.startswith(ENVIRONMENT_PREFIX) and (len(keys) > 1 or keys[0] in Config.model_fields):
            merge_layer(layer, nest_keys(keys, _parse_value(text)))
    return layer


def parse_assignments(assignments: Iterable[str]) -> Layer:
    """Read `section.key=value` assignments.

    >>> parse_assignments(["search.population=8", "llm.model=small"])
    {'search': {'population': 8}, 'llm': {'model': 'small'}}

    Raises:
        ConfigError: if an assignment has no `=` or no name, or a setting is given twice.
    """
    layer: dict[str, Any] = {}
    given: dict[str, str] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {assignment!r}: write section.key=value, e.g. --set search.population=8")
        setting, value = name.strip(), text.strip()
        if given.setdefault(setting, value) != value:
            raise ConfigError(f"--set {setting} is given twice: {given[setting]} and {value}; say it once")
        merge_layer(layer, nest_keys(setting.split("."), _parse_value(value)))
    return layer


def refuse_contradictions(options: Layer, sets: Layer, name: str = "") -> None:
    """Refuse an assignment of --set that gives a setting another value than an option does.

    Args:
        options: as the command's options give them; of the part `name`.
        sets: as `parse_assignments` reads them; of the same part.
        name: of the part that is looked at, with a dot behind it.

    Raises:
        ConfigError: if there is one.
    """
    for key, value in sets.items():
        option = options.get(key)
        if isinstance(value, Mapping) and isinstance(option, Mapping):
            refuse_contradictions(option, value, f"{name}{key}.")
        elif option is not None and option != value:
            setting = f"{name}{key}"
            raise ConfigError(
                f"{setting} is given twice: {option!r} by the command and {value!r} by --set; say it once"
            )


def nest_keys(keys: list[str], value: Any) -> dict[str, Any]:
    """Return a layer with one value.

    >>> nest_keys(["search", "seeds"], 2)
    {'search': {'seeds': 2}}
    """
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _parse_value(text: str) -> Any:
    try:
        return bounded_files.parse_toml(f"value = {text}", Path())["value"]
    except DamagedFile:
        return text
