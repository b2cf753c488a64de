"""Options of an environment that a user names: keyword arguments and environment variables that reach it.

Keyword arguments are JSON values: scalars, null, and lists and tables of them, nested at will. The values of
environment variables travel to the process of each job and are written nowhere; their names are part of the
environment's record.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, LearnedSignal
from rewardsmith.contract.robots import is_robot, read_robot_options

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IMPORT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:(?P<attribute>[A-Za-z_]\w*))?")
_SECRET = re.compile(
    r"^(OPENAI|ANTHROPIC|AWS|AZURE|GOOGLE|HF|HUGGING_?FACE|WANDB|GITHUB|GITLAB|LITELLM|OPENROUTER)_"
    r"|(^|_)(API_?)?KEYS?($|_)|(^|_)TOKENS?($|_)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|(^|_)(AUTH|PWD)($|_)",
    re.IGNORECASE,
)
"""Names of variables that seem to hold keys; an environment is third-party code and gets no keys."""


@dataclass(frozen=True)
class EnvOptions:
    """Options that a command line adds to an environment."""

    kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments for `gymnasium.make`; each replaces the card's of the same name."""
    pass_env: tuple[str, ...] = ()
    """Names of environment variables."""
    signals: tuple[LearnedSignal, ...] = ()
    """Learned signals; each replaces the card's of the same name."""
    demo: tuple[str, ...] = ()
    """Files with recorded episodes, along which one more signal, `progress`, is computed."""

    def apply(self, spec: EnvSpec) -> EnvSpec:
        """Return the environment with these options.

        Raises:
            TaskError: if one is no option of a robot, where it is one, a learned signal's name is taken, or a file
                with episodes cannot be used.
        """
        from rewardsmith.spec.learned_signals import add_learned_signals, make_progress_signal

        names = tuple(dict.fromkeys((*spec.pass_env, *self.pass_env)))
        kwargs = {**spec.kwargs, **self.kwargs}
        if is_robot(spec) and self.kwargs:
            read_robot_options(kwargs, spec.env_id)
        env = add_learned_signals(replace(spec, kwargs=kwargs, pass_env=names), self.signals, "--signal")
        return add_learned_signals(env, (make_progress_signal(self.demo),), "--demo") if self.demo else env


NO_ENV_OPTIONS = EnvOptions()


def read_env_options(
    kwargs: str | None,
    pass_env: Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None,
    signals: Sequence[str] = (),
    demo: Sequence[str] = (),
) -> EnvOptions:
    """Return what `--env-kwargs`, `--pass-env`, `--signal` and `--demo` say.

    >>> read_env_options('{"config": {"lanes": [1, 2]}}').kwargs
    {'config': {'lanes': [1, 2]}}

    Args:
        kwargs: the text of `--env-kwargs`.
        pass_env: names of environment variables.
        arguments: keyword arguments that other options say, such as `--action`.
        signals: learned signals, as `--signal` takes them.
        demo: files with recorded episodes.

    Raises:
        TaskError: if the text is no JSON object, a name is one that no environment gets, or a signal is wrong.
    """
    from rewardsmith.spec.learned_signals import parse_signal_options

    return EnvOptions(
        {**_parse_kwargs(kwargs), **(arguments or {})},
        check_pass_env(pass_env, "--pass-env"),
        parse_signal_options(signals),
        tuple(demo),
    )


def _parse_kwargs(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    example = """--env-kwargs '{"key": value}'"""
    try:
        kwargs = json.loads(text)
    except json.JSONDecodeError as error:
        raise TaskError(
            f"--env-kwargs is not JSON: {error.msg} at character {error.pos + 1}; write {example}"
        ) from error
    if not isinstance(kwargs, dict):
        raise TaskError(f"--env-kwargs must be a JSON object, not {type(kwargs).__name__}; write {example}")
    return check_kwargs(kwargs, "--env-kwargs")


def check_kwargs(kwargs: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return keyword arguments for `gymnasium.make`.

    Raises:
        TaskError: if a value has no JSON form, such as a date.
    """
    for key, value in kwargs.items():
        wrong = _find_wrong_value(value)
        if wrong is not None:
            what = f"{wrong}" if isinstance(wrong, float) else f"a {type(wrong).__name__}"
            raise TaskError(
                f"{where}: kwargs.{key} holds {what}; booleans, finite numbers, text, lists and tables of them are"
                " allowed"
            )
    return dict(kwargs)


def _find_wrong_value(value: Any) -> Any:
    """Return the first value that has no JSON form; None if all have one."""
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return None
    if isinstance(value, list | tuple):
        return next((wrong for entry in value if (wrong := _find_wrong_value(entry)) is not None), None)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return _find_wrong_value(list(value.values()))
    return value


def check_import_name(name: str, where: str, key: str) -> str:
    """Return the name of a module, or of a function or class of one.

    >>> check_import_name("bluesky_gym:register_envs", "card.toml", "imports")
    'bluesky_gym:register_envs'

    Raises:
        TaskError: if it is no such name; a wrapper's needs a class.
    """
    match = _IMPORT.fullmatch(name)
    if match is None or (key == "wrappers" and match["attribute"] is None):
        example = '"my_package.wrappers:MyWrapper"' if key == "wrappers" else '"my_package" or "my_package:register"'
        raise TaskError(f"{where}: {key} holds {name!r}, which names nothing to import; write {example}")
    return name


def check_pass_env(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return names of environment variables that reach an environment, each once.

    Raises:
        TaskError: if one is no name, or that of a key.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise TaskError(f"{where}: {name!r} is no name of an environment variable; give the name alone: SUMO_HOME")
        if _SECRET.search(name):
            raise TaskError(
                f"{where}: {name} looks like a key, and no key reaches an environment, which is code of others; give it"
                " what it needs under another name"
            )
    return tuple(dict.fromkeys(names))


def check_variables_set(spec: EnvSpec, variables: Mapping[str, str]) -> None:
    """Make sure that the variables that an environment asks for are set.

    Raises:
        TaskError: if one is not.
    """
    missing = [name for name in spec.pass_env if name not in variables]
    if missing:
        raise TaskError(
            f"{spec.env_id!r} gets the environment variable {missing[0]}, which is not set; set it first: export"
            f" {missing[0]}=..."
        )
