"""Learned signals as people write them: `[signals.<name>] provider = "..."` in a task card, or `--signal`.

    --signal 'likeness = { provider = "image_text", text = "a humanoid robot kneeling" }'

The keys provider, unit, meaning and shape are common to all; the others are the provider's options, whose models are in
`contract.learned_signals`. A provider of the user's own, "module:Class", checks its options itself, in the worker.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rewardsmith.contract.env_families import is_resident
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.learned_signals import OPTIONS, check_provider, parse_options, read_options
from rewardsmith.contract.records import EnvSpec, LearnedSignal
from rewardsmith.spec.env_options import check_import_name, check_kwargs

COMMON_KEYS = ("provider", "unit", "meaning", "shape")
EXAMPLE = '\'likeness = { provider = "image_text", text = "a robot that kneels" }\''


def parse_signal_options(texts: Sequence[str]) -> tuple[LearnedSignal, ...]:
    """Return the learned signals of the `--signal` options.

    >>> parse_signal_options(['done = { provider = "subgoals" }'])[0].provider
    'subgoals'

    Raises:
        TaskError: if one has another form, there is no such provider, or an option of it is wrong.
    """
    signals: list[LearnedSignal] = []
    for text in texts:
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise TaskError(f"--signal {text!r} is not TOML: {error}; write --signal {EXAMPLE}") from error
        if len(document) != 1 or not isinstance(entries := next(iter(document.values())), dict):
            raise TaskError(f"--signal {text!r} is no signal with a table of keys; write --signal {EXAMPLE}")
        signals.append(make_learned_signal(next(iter(document)), entries, "--signal", Path.cwd()))
    return tuple(signals)


def make_progress_signal(files: Sequence[str]) -> LearnedSignal:
    """Return the learned signal of `--demo`: `progress`, how far a state is along recorded episodes.

    Raises:
        TaskError: if a file cannot be used.
    """
    return make_learned_signal("progress", {"provider": "demonstrations", "demo": list(files)}, "--demo", Path.cwd())


def make_learned_signal(name: str, entries: Mapping[str, Any], where: str, folder: Path) -> LearnedSignal:
    """Return a learned signal from the keys that a user wrote.

    Args:
        name: of the signal.
        entries: the keys.
        where: they are written, for messages.
        folder: to which paths among the options are relative.

    Raises:
        TaskError: if the name cannot be used, there is no such provider, or a key of it is wrong.
    """
    from rewardsmith.contract.fitness import RESERVED

    # The keys that all providers have.
    where = f"{where}: signal {name!r}"
    if not name.isidentifier() or name in RESERVED:
        raise TaskError(f"{where}: choose another name: one of letters, digits and _ that the fitness does not use")
    provider = entries.get("provider")
    if not isinstance(provider, str):
        raise TaskError(f'{where}: provider is missing; write one as text: provider = "{next(iter(OPTIONS))}"')
    check_provider(provider, where)
    unit, meaning, shape = entries.get("unit", "1"), entries.get("meaning", ""), entries.get("shape", ())
    if not isinstance(unit, str) or not isinstance(meaning, str):
        raise TaskError(f"{where}: unit and meaning are text")

    # The provider's own keys.
    written = {key: value for key, value in entries.items() if key not in COMMON_KEYS}
    if provider not in OPTIONS:
        _check_foreign_provider(provider, meaning, shape, where)
        return LearnedSignal(name, provider, meaning, unit, tuple(shape), check_kwargs(written, where))
    if shape != () and shape != []:
        raise TaskError(f"{where}: {provider!r} gives one number: leave shape out")
    if provider == "demonstrations":
        from rewardsmith.spec.demonstrations import fit_demonstrations

        written = fit_demonstrations(written, where, folder)
    if provider == "image_text":
        written = _locate_model(written, where, folder)
    options = parse_options(OPTIONS[provider], written, where)
    recorded = options.model_dump(mode="json", exclude_unset=True)
    return LearnedSignal(name, provider, meaning or options.default_meaning, unit, (), recorded)


def _check_foreign_provider(provider: str, meaning: str, shape: Any, where: str) -> None:
    """Make sure that a provider of the user's own has a class, a meaning and a shape.

    Raises:
        TaskError: if one of them is wrong or missing.
    """
    check_import_name(provider, where, "provider")
    is_shape = isinstance(shape, list | tuple) and all(isinstance(size, int) and size > 0 for size in shape)
    if not is_shape:
        raise TaskError(f"{where}: shape is {shape!r}; a list of whole numbers is allowed")
    if not meaning:
        raise TaskError(f"{where}: meaning is missing: say in a line what its value says")


def _locate_model(written: Mapping[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """Return options in which a model's folder is an absolute path, as workers run elsewhere.

    Raises:
        TaskError: if the model is a path that leads to no folder.
    """
    model = written.get("model")
    if not isinstance(model, str):
        return dict(written)
    path = folder / Path(model).expanduser()
    if path.is_dir():
        return {**written, "model": str(path.resolve())}
    if model.startswith(("/", ".", "~")):
        raise TaskError(
            f"{where}: there is no folder {model!r}; model is a folder with a CLIP of transformers, or an id"
        )
    return dict(written)


def add_learned_signals(env: EnvSpec, signals: Sequence[LearnedSignal], where: str) -> EnvSpec:
    """Return the environment with more learned signals; one replaces an earlier one of the same name.

    Raises:
        TaskError: if one has the name of a signal of the card.
    """
    if not signals:
        return env
    if is_resident(env.env_id):
        raise TaskError(f"{where}: {env.env_id!r} is simulated on a GPU, where no learned signal is computed yet")
    taken = {signal.name for signal in (*env.signals, *env.privileged_signals)}
    for signal in signals:
        if signal.name in taken:
            option = f": --signal 'NAME = {{ provider = \"{signal.provider}\", ... }}'" if where == "--demo" else ""
            raise TaskError(
                f"{where}: {signal.name!r} is a signal of the card already; give the learned one another name{option}"
            )
    by_name = {signal.name: signal for signal in (*env.learned_signals, *signals)}
    from rewardsmith.spec.labelling import add_text_wrapper

    return add_text_wrapper(replace(env, learned_signals=tuple(by_name.values())))


def check_goals(env: EnvSpec) -> None:
    """Make sure that each signal that a language model is asked about says its goal, as the task has no sentence.

    Raises:
        TaskError: if one does not.
    """
    for signal in env.learned_signals:
        kind = OPTIONS.get(signal.provider)
        if kind is not None and read_options(kind, signal).lacks_goal:
            raise TaskError(
                f"the signal {signal.name!r}: no task card says what {env.env_id!r} is for; write the task in a "
                'sentence, goal = "...", among the signal\'s keys'
            )
