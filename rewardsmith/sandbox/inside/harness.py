"""Compiles a reward program in the sealed process and answers calls, until it fails or the other end hangs up.

Nothing here keeps the program in: the seal does. What is withheld from the program's names is withheld so that a
mistake gets a message that its author understands.
"""

from __future__ import annotations

import builtins
import importlib
import math
import mmap
import os
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

import numpy as np

from . import wire
from .arguments import NO_MEMORY, Memory, Step, build_arguments

FILE = "<reward>"
"""The program's file name in tracebacks."""
IMPORTS = ("__future__", "math", "numpy", "shaping", "typing")
"""What a program may import; `np`, `math` and `shaping` are there without."""
PRELOADED = ("numpy._core._methods", "numpy.fft", "numpy.linalg", "numpy.ma", "numpy.polynomial", "unicodedata")
"""Modules that NumPy, and the parser, load only when they are used."""
WITHHELD = ("breakpoint", "compile", "eval", "exec", "exit", "help", "input", "open", "quit")
"""Builtins that a program does not get, as they run other text, open files, end the process or wait for a person; the
static checks refuse them too, and more that is harmless here."""
NUMERIC_KINDS = "biuf"
"""Kinds of NumPy types that a term may have: bool, integers, floats. The result is float64."""
KEPT_VIEWS = 16
"""For how many sizes of a call the views of the arenas are kept."""
HINTS = {
    "getrandom": "a reward must give the same answer for the same transitions",
    "socket": "a reward program has no network",
    "clone": "a reward program starts no process and no thread",
    "clone3": "a reward program starts no process and no thread",
    "fork": "a reward program starts no process and no thread",
    "execve": "a reward program starts no process and no thread",
}


class Port(Protocol):
    """The source of calls and the destination of answers."""

    def receive_call(self) -> tuple[int, int]:
        """Wait for a call, its inputs laid in the arena; return n and r, the transitions of one step in time.

        Ends the process when the other end hangs up.
        """

    def inputs(self, n: int) -> wire.Inputs:
        """Return read-only views of the input arena."""

    def outputs(self, n: int, terms: int) -> wire.Array:
        """Return the output arena as (m + terms, n)."""

    def send_scores(self, n: int, names: bytes, terms: int) -> None:
        """Answer a call whose outputs lie in the arena."""


class ContractBreach(Exception):
    """Raised when what a program returns breaks the contract."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Absent(types.ModuleType):
    """A module that a program may look for and cannot have."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self.__name__}.{name} is not available: {self.__doc__}")


def prepare_interpreter() -> None:
    """Load what a program may want later, when no file can be opened any more; then no module can be loaded at all."""
    for module in PRELOADED:
        importlib.import_module(module)
    random = Absent("numpy.random", HINTS["getrandom"])
    sys.modules["numpy.random"] = np.random = random
    np.seterr(all="ignore")
    np.linalg.svd(np.ones((64, 64)) @ np.ones((64, 64)))  # OpenBLAS sets itself up
    sys.meta_path.clear()


def run_program(text: bytes, open_port: Callable[[wire.Spec], Port], shaping: types.ModuleType) -> NoReturn:
    """Compile the program of a spec, as text, and answer calls until the other end hangs up; then end the process."""
    for stream in ("stdin", "stdout", "stderr"):
        setattr(sys, stream, None)
        setattr(sys, f"__{stream}__", None)
    try:
        spec = wire.Spec.from_bytes(text)
        reward = compile_reward(spec.source, shaping)
        send_message(wire.pack_message(wire.READY))
        answer_calls(reward, spec, open_port(spec))
    except BaseException as error:  # noqa: BLE001 - the program may raise anything; its author is told what
        send_message(describe_error(error))
    finally:
        os._exit(0)


def compile_reward(source: str, shaping: types.ModuleType) -> Callable[..., object]:
    """Execute the program's text and return its function."""
    names: dict[str, Any] = {
        "__builtins__": allowed_builtins(shaping),
        "__name__": "reward",
        "np": np,
        "math": math,
        "shaping": shaping,
    }
    # Annotations stay text: authors write types that a program does not have, such as `State`.
    exec(compile(source, FILE, "exec", flags=annotations.compiler_flag, dont_inherit=True), names)
    reward: Callable[..., object] | None = names.get("reward")
    if reward is None:
        raise ContractBreach("error", "the program defines no function `reward`")
    return reward


def answer_calls(reward: Callable[..., object], spec: wire.Spec, port: Port) -> NoReturn:
    """Wait for calls and score each."""
    scorer = Scorer(spec, port)
    while True:
        n, rows = port.receive_call()
        names, terms = scorer.score(reward, n, rows)
        port.send_scores(n, names, terms)


class Scorer:
    """Calls the program's function, and lays out what it returns."""

    def __init__(self, spec: wire.Spec, port: Port) -> None:
        self._spec, self._port = spec, port
        self._initial = dict(spec.memory)
        self._steps: dict[tuple[int, int], list[Step]] = {}
        self._outputs: dict[tuple[int, int], wire.Array] = {}
        self._names: tuple[object, ...] = ()
        self._payload = b""

    def score(self, reward: Callable[..., object], n: int, rows: int) -> tuple[bytes, int]:
        """Score the n transitions of the input arena into the output arena, `rows` at a time, memory handed on.

        Returns:
            The names of the terms, one per line; how many they are.
        """
        steps = self._split_steps(n, rows)
        remembered = steps[0].memory
        for number, step in enumerate(steps):
            memory = Memory(remembered) if remembered else NO_MEMORY
            terms = self._call_reward(reward, step, memory, first=number == 0)
            out = self._output_rows(n, len(terms))[:, number * rows : (number + 1) * rows]
            for row, name in enumerate(self._initial):
                out[row] = check_column(f"memory.{name}", getattr(memory, name), rows)
            for row, (name, value) in enumerate(terms.items(), len(self._initial)):
                out[row] = check_column(name, value, rows)
            if remembered:
                remembered = self._next_memory(out, step.ended)
        return self._payload, len(terms)

    def _call_reward(self, reward: Callable[..., object], step: Step, memory: Memory, first: bool) -> dict[Any, object]:
        """Return the terms of one step."""
        values = step.values
        if "memory" in values:
            values["memory"] = memory
        if step.terminated is not None:
            terminated = step.terminated != 0.0
            terminated.flags.writeable = False
            values["terminated"] = terminated
        terms = reward(**values)
        if not isinstance(terms, dict):
            raise ContractBreach(
                "shape", f"reward() must return a dict of term name to (n,) array, not {with_article(terms)}"
            )
        if not terms or tuple(terms) != self._names:
            if not first:
                raise ContractBreach(
                    "shape", "the terms differ from step to step; return every term each time, 0 where idle"
                )
            self._check_names(tuple(terms))
        return terms

    def _next_memory(self, out: wire.Array, ended: wire.Array) -> dict[str, wire.Array]:
        """Return the memory for the next step: as the program left it, or reset where an episode ended."""
        left = dict(zip(self._initial, out, strict=False))
        if not np.count_nonzero(ended):  # several times as fast as any()
            return left
        return {name: np.where(ended, self._initial[name], value) for name, value in left.items()}

    def _split_steps(self, n: int, rows: int) -> list[Step]:
        """Return the steps of a call; the arenas stay where they are, so that the views serve for every call."""
        if (n, rows) not in self._steps:
            self._forget_others()
            inputs = self._port.inputs(n)
            cuts = (slice(start, start + rows) for start in range(0, n, rows))
            self._steps[n, rows] = [
                build_arguments(self._spec, tuple((group, name, array[cut]) for group, name, array in inputs))
                for cut in cuts
            ]
        return self._steps[n, rows]

    def _output_rows(self, n: int, terms: int) -> wire.Array:
        if (n, terms) not in self._outputs:
            self._outputs[n, terms] = self._port.outputs(n, terms)
        return self._outputs[n, terms]

    def _forget_others(self) -> None:
        """Keep the views of the arenas for a few sizes of a call; a training uses two or three."""
        if len(self._steps) >= KEPT_VIEWS:
            self._steps.clear()
            self._outputs.clear()

    def _check_names(self, names: tuple[object, ...]) -> None:
        """Check the terms' names, which are the same from call to call."""
        if not 0 < len(names) <= self._spec.max_terms:
            raise ContractBreach("shape", f"reward() must return 1 to {self._spec.max_terms} terms, not {len(names)}")
        for name in names:
            if not wire.is_term_name(name):
                allowed = f"take an ASCII identifier of at most {wire.MAX_NAME} characters"
                raise ContractBreach("shape", f"{name!r:.80} is no name of a term: {allowed}")
        payload = "\n".join(map(str, names)).encode()
        if len(payload) > wire.MAX_PAYLOAD:
            raise ContractBreach(
                "shape", f"the names of the terms have {len(payload):,} characters, at most {wire.MAX_PAYLOAD:,}"
            )
        self._names, self._payload = names, payload


def check_column(name: str, value: object, n: int) -> np.ndarray[Any, Any]:
    """Return the value as an array of shape (n,), or () for a constant, which counts for every transition."""
    if isinstance(value, np.ma.MaskedArray):
        raise ContractBreach("shape", f"{name!r} is a masked array; say what counts where it is masked: use np.where")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ContractBreach("shape", f"{name!r} is no array of shape ({n},): {error}") from None
    if array.dtype.kind not in NUMERIC_KINDS:
        raise ContractBreach("shape", f"{name!r} has dtype {array.dtype}, expected numbers")
    if array.shape not in ((n,), ()):
        hint = "; reduce the other axes, e.g. with np.sum(..., axis=1)" if array.shape[:1] == (n,) else ""
        raise ContractBreach(
            "shape", f"{name!r} has shape {array.shape}, expected ({n},): one value per transition{hint}"
        )
    return array


def allowed_builtins(shaping: types.ModuleType) -> dict[str, object]:
    """Return the builtins of a program: all but `WITHHELD`, and an import of loaded modules only."""
    loaded = {"shaping": shaping, "rewardsmith.shaping": shaping}

    def guarded(
        name: str, globals: Any = None, locals: Any = None, fromlist: Iterable[str] = (), level: int = 0
    ) -> types.ModuleType:
        # NumPy's own C code imports through here as well, with the globals of whoever called it.
        if level == 0 and name in loaded:
            return loaded[name]
        if level == 0 and name.partition(".")[0] in IMPORTS:
            return __import__(name, globals, locals, tuple(fromlist or ()), level)
        raise ImportError(f"import of {name!r} is not available; a program has: {', '.join(IMPORTS)}")

    return vars(builtins) | {name: make_refusal(name) for name in WITHHELD} | {"__import__": guarded}


def make_refusal(name: str) -> Callable[..., NoReturn]:
    """Return a function that says that the builtin is not available."""

    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise PermissionError(f"{name}() is not available to a reward program")

    return refuse


def describe_error(error: BaseException) -> bytes:
    """Return the message that tells the program's author what went wrong and where."""
    line = error.lineno if isinstance(error, SyntaxError) else error_line(error.__traceback__)
    if isinstance(error, ContractBreach):
        return wire.pack_failure(error.code, str(error), line)
    if isinstance(error, MemoryError):
        return wire.pack_failure("memory", f"MemoryError: {error or 'out of memory'}", line)
    if isinstance(error, SystemExit):
        return wire.pack_failure("error", "SystemExit: the program ended itself", line)
    if isinstance(error, SyntaxError):
        return wire.pack_failure("error", f"SyntaxError: {error.msg}", line)
    text = error_text(error)
    return wire.pack_failure("error", f"{type(error).__name__}: {text}" if text else type(error).__name__, line)


def error_text(error: BaseException) -> str:
    """Return what the error says, which the program's own code may decide."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - the same as in `run_program`
        return "(its text raises an error)"


def error_line(traceback: types.TracebackType | None) -> int | None:
    """Return the innermost line of the program that the traceback passes through."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def end_on_forbidden_call(call: str) -> NoReturn:
    """Tell which system call the seal refused and on whose line, and end."""
    frame: types.FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename != FILE:
        frame = frame.f_back
    hint = f": {HINTS[call]}" if call in HINTS else ""
    text = f"the program tried a forbidden system call ({call}){hint}"
    send_message(wire.pack_failure("killed", text, frame.f_lineno if frame else None))
    os._exit(0)


def with_article(value: object) -> str:
    """Return what a value is, for a message."""
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiou" or name == "ndarray" else f"a {name}"


def send_message(message: bytes) -> None:
    """Answer; a message is small enough to be written as a whole."""
    os.write(1, message)


class SharedArenas:
    """Arenas in memory that the trusted side shares; only headers travel."""

    def __init__(self, spec: wire.Spec, inputs: mmap.mmap, outputs: mmap.mmap) -> None:
        self._spec, self._inputs, self._outputs = spec, inputs, outputs

    def receive_call(self) -> tuple[int, int]:
        """Wait for a call; return n and r."""
        call = os.read(0, wire.CALLED.size)
        if len(call) != wire.CALLED.size:
            os._exit(0)
        _, n, rows = wire.CALLED.unpack(call)
        return n, rows

    def inputs(self, n: int) -> wire.Inputs:
        """Return read-only views of the input arena."""
        return wire.map_inputs(self._spec, self._inputs, n)

    def outputs(self, n: int, terms: int) -> wire.Array:
        """Return the output arena as (m + terms, n)."""
        return wire.map_outputs(self._spec, self._outputs, n, terms)

    def send_scores(self, n: int, names: bytes, terms: int) -> None:
        """Answer a call."""
        send_message(wire.pack_message(wire.SCORED, names))
