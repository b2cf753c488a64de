"""Reader of rl-zoo3's YAML files: within bounds, and without executing what a tag asks for.

A file may come from anybody. `yaml.safe_load` runs nothing, but a few lines of it may stand for billions of values
(aliases of aliases), and of a key that occurs twice it takes the last without a word; both are refused here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rewardsmith.contract.bounded_files import DamagedFile, read_bytes
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.text import flatten_text, suggest_names

MAX_FILE_BYTES = 256 << 10
"""Largest file; rl-zoo3's own have up to 20 KiB."""
MAX_NODES = 50_000
"""Values in a file, with every alias counted as often as it is used; rl-zoo3's own have about 2,000."""
DEFAULT_ENTRY = "default"
"""Entry of a file for every environment that it does not name."""
ARGUMENT_KEYS = frozenset({"algo", "conf_file", "eval_freq", "log_folder"})
"""Keys of `args.yml`, which is in the folder of a trained agent's `config.yml` and has no settings."""
YAML_TAG = "tag:yaml.org,2002:"
ORDERED_DICT = f"{YAML_TAG}python/object/apply:collections.OrderedDict"


@dataclass(frozen=True)
class ZooEntry:
    """The settings that a file has for an environment."""

    name: str
    """The environment's id in the file; "" in the file of one trained agent."""
    settings: Mapping[str, Any]


def read_entry(path: Path, env_id: str, setting_names: frozenset[str]) -> ZooEntry:
    """Return the entry of an environment in a file.

    That is the entry of its id, else of another version of it, else the one called `default`. A file of a trained agent
    (`config.yml`) has no ids: it is the entry.

    Args:
        path: a YAML file.
        env_id: of the environment; a module before a colon does not count.
        setting_names: keys of an entry, by which a trained agent's file is known.

    Raises:
        ConfigError: if the file cannot be read, is no such file, or has no such environment.
    """
    entries, repeats = _load_mapping(path)
    if ARGUMENT_KEYS <= entries.keys():
        raise ConfigError(f"{path} is the command line of a trained agent; its settings are in config.yml beside it")
    if entries and not any(isinstance(value, Mapping) and key not in setting_names for key, value in entries.items()):
        if setting_names & entries.keys():
            _refuse_repeats(path, [*repeats.values()])
            return ZooEntry("", entries)

    ids = [key for key in entries if isinstance(key, str)]
    name = _choose_id(env_id, ids)
    if name is None:
        raise ConfigError(f"{path} has no settings for {env_id!r}; {suggest_names(env_id, ids)}")
    settings = entries[name]
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{path}, {name}: its settings must be keys and values; they are {show_value(settings)}")
    _refuse_repeats(path, [repeats[name]] if name in repeats else [])
    for key in settings:
        if not isinstance(key, str):
            raise ConfigError(f"{path}, {name}: {show_value(key)} is not the name of a setting")
    return ZooEntry(name, settings)


def _choose_id(env_id: str, ids: Sequence[str]) -> str | None:
    for wanted in (env_id, env_id.rpartition(":")[2]):
        if wanted in ids:
            return wanted
    stem = _split_version(env_id.rpartition(":")[2])[0]
    versions = [name for name in ids if _split_version(name)[0] == stem]
    if versions:
        return max(versions, key=lambda name: _split_version(name)[1])
    return DEFAULT_ENTRY if DEFAULT_ENTRY in ids else None


def _split_version(env_id: str) -> tuple[str, int]:
    """Return an id's name and its version; -1 where it has none.

    >>> _split_version("Hopper-v5"), _split_version("Hopper")
    (('Hopper', 5), ('Hopper', -1))
    """
    name, separator, version = env_id.rpartition("-v")
    return (name, int(version)) if separator and version.isascii() and version.isdigit() else (env_id, -1)


def show_value(value: Any) -> str:
    """Return a value of a file for a message: short, and in one line."""
    try:
        return flatten_text(repr(value), 200)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a huge number"


# ---------------------------------------------------------------- bounded YAML


class _ZooLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Loader of plain YAML, and of three tags of Python that say what a value is: it is read, nothing is called."""


def _construct_ordered_dict(loader: yaml.SafeLoader, node: yaml.Node) -> dict[Any, Any]:
    """Read the pairs of an OrderedDict as PyYAML writes it: a list with one list of pairs."""
    value = loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else None
    try:
        (pairs,) = value or [[]]
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            raise ValueError("a key occurs twice")
        return dict(pairs)
    except (TypeError, ValueError) as error:
        raise yaml.constructor.ConstructorError(None, None, f"no pairs of an OrderedDict ({error})") from error


def _construct_tuple(loader: yaml.SafeLoader, node: yaml.Node) -> list[Any]:
    items: list[Any] = loader.construct_sequence(node, deep=True)
    return items


def _construct_name(_: yaml.SafeLoader, name: str, node: yaml.Node) -> str:
    """Read a class that a tag names, as its name: !!python/name:torch.nn.ReLU."""
    return name


_ZooLoader.add_constructor(ORDERED_DICT, _construct_ordered_dict)
_ZooLoader.add_constructor(f"{YAML_TAG}python/tuple", _construct_tuple)
_ZooLoader.add_multi_constructor(f"{YAML_TAG}python/name:", _construct_name)


def _load_mapping(path: Path) -> tuple[dict[Any, Any], dict[str, str]]:
    """Read a file whose top level is a mapping; return it with the keys that occur twice, see `_find_repeats`.

    Raises:
        ConfigError: if it cannot be read, is larger than a file of settings can be, or is not such a file.
    """
    try:
        text = read_bytes(path, MAX_FILE_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except DamagedFile as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not YAML: it is not UTF-8 text") from error
    try:
        loaded, repeats = _construct_bounded(text)
    except yaml.constructor.ConstructorError as error:
        raise ConfigError(f"{path} is no rl-zoo3 file: {_explain_error(error)}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path} is not YAML: {flatten_text(str(error))}") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is no rl-zoo3 file: it is nested too deeply") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} is no rl-zoo3 file: its top level must map environment ids to settings")
    return loaded, repeats


def _explain_error(error: yaml.MarkedYAMLError) -> str:
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    return line + flatten_text(f"{error.problem or error}".replace(YAML_TAG, "!!"))


def _construct_bounded(text: str) -> tuple[Any, dict[str, str]]:
    """Return the value of a document, with the keys that occur twice, see `_find_repeats`.

    Raises:
        yaml.YAMLError: if the text is not YAML, is empty, or stands for too many values.
    """
    loader = _ZooLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise yaml.YAMLError("it is empty")
        _check_size(root)
        repeats = _find_repeats(root)  # before `<<` is resolved, which changes the nodes
        return loader.construct_document(root), repeats
    finally:
        loader.dispose()


def _list_children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_size(root: yaml.Node) -> None:
    """Make sure that a document has few values, with its aliases written out.

    Raises:
        yaml.YAMLError: if it has too many, or an alias is inside of what it names.
    """
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def measure(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise yaml.YAMLError("an alias stands inside of what it names")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(measure(child) for child in _list_children(node))
            open_nodes.remove(id(node))
            if sizes[id(node)] > MAX_NODES:
                raise yaml.YAMLError(f"its aliases stand for more than {MAX_NODES:,} values")
        return sizes[id(node)]

    measure(root)


def _find_repeats(root: yaml.Node) -> dict[str, str]:
    """Return, by the entry that it concerns, which key occurs twice, in words; YAML takes the last without a word."""
    repeats: dict[str, str] = {}
    if not isinstance(root, yaml.MappingNode):
        return repeats
    for name, message in _list_repeats(root):
        repeats.setdefault(name, message)
    for key, value in root.value:
        pending = [value]
        while pending:
            node = pending.pop()
            pending += _list_children(node)
            for _, message in _list_repeats(node):
                repeats.setdefault(str(key.value), message)
    return repeats


def _list_repeats(node: yaml.Node) -> list[tuple[str, str]]:
    """Return the keys of one mapping that occur twice, each with the lines; `<<` may."""
    repeats: list[tuple[str, str]] = []
    lines: dict[str, int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
            continue
        line = key.start_mark.line + 1
        if key.value in lines:
            message = f"{show_value(key.value)} stands in line {lines[key.value]} and again in line {line}"
            repeats.append((key.value, message))
        lines[key.value] = line
    return repeats


def _refuse_repeats(path: Path, messages: Sequence[str]) -> None:
    """Make sure that no key occurs twice in what is read of a file.

    Raises:
        ConfigError: if one does.
    """
    if messages:
        raise ConfigError(f"{path}: {messages[0]}; keep one")
