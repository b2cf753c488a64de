"""Cases in the language: time, texts, mistakes, NumPy's doors, results, forged answers, and honest programs."""

from __future__ import annotations

from fakes.sandbox_case import (
    LATE,
    NO_PROCESS,
    OPEN,
    PRELUDE,
    Case,
    Contained,
    Refused,
    Scored,
    attack,
    honest,
)

TIME = (
    attack("endless loop", "while True:\n    pass", LATE, 0.3),
    attack(
        "endless loop that catches all",
        "while True:\n    try:\n        1 / 0\n    except BaseException:\n        pass",
        LATE,
        0.3,
    ),
    attack("a power without end", "9 ** 9 ** 9", LATE, 0.3),
    attack("a sum without end", "sum(range(10 ** 11))", LATE, 0.3),
    attack("an iterator without end", "max(iter(int, 1))", LATE, 0.3),
    attack("a text that backtracks", "sys.modules['re'].match('(a+)+$', 'a' * 60 + 'b')", LATE, 0.3),
    attack("wait", "sys.modules['time'].sleep(100)", Refused("killed", r"system call \(clock_nanosleep\)")),
    attack("wait for more input", "posix.read(0, 100)", LATE, 0.3),
    Case(
        "endless loop at the top level",
        "while True:\n    pass\ndef reward(after):\n    return {}\n",
        LATE,
        timeout_s=0.3,
    ),
    attack("recursion", "def f(n):\n    return f(n + 1)\nf(0)", Refused("error", "RecursionError")),
    attack(
        "recursion without a limit",
        "sys.setrecursionlimit(10**9)\ndef f(n):\n    return f(n + 1)\nf(0)",
        Contained(),
        0.5,
    ),
    attack(
        "recursion in C", "x = []\nfor _ in range(100_000):\n    x = [x]\nrepr(x)", Refused("error", "RecursionError")
    ),
)
"""Takes no more time than it may."""

TEXTS = (
    Case("parentheses", "(" * 10_000 + ")" * 10_000, Refused("error", "SyntaxError: too many nested parentheses")),
    Case("minus signs", "x = " + "-" * 20_000 + "1\n", Refused("memory", "MemoryError")),
    Case(
        "nested blocks", "".join(f"{' ' * i}if 1:\n" for i in range(150)), Refused("error", "SyntaxError|Indentation")
    ),
    Case("a number of 10,000 digits", f"x = {'9' * 10_000}\n", Refused("error", "SyntaxError")),
    Case("null bytes", "x = '\0'\n", Refused("error", "null bytes")),
    Case("half a pair of surrogates", "x = '\ud800'\n", Refused("error", "Unicode")),
    Case("no function", "x = 1\n", Refused("error", "defines no function")),
    Case("not even Python", "Here is your reward function!", Refused("error", "SyntaxError")),
    Case(
        "full-width names",
        "def reward(after):\n    \uff4f\uff50\uff45\uff4e('/etc/passwd')\n",
        Refused("error", "open"),
    ),
)
"""Texts that are attacks before they run."""

MANNERS = (
    attack("open", "open('/etc/passwd')", Refused("error", r"open\(\) is not available")),
    attack("exec()", "exec('1')", Refused("error", r"exec\(\) is not available")),
    attack("eval", "eval('1')", Refused("error", r"eval\(\) is not available")),
    attack("import os", "import os", Refused("error", "import of 'os' is not available; a program has: .*numpy")),
    attack("import part of NumPy", "from numpy.lib import npyio as f\nf.DataSource()", Refused("killed", "getcwd")),
    attack("import socket", "from socket import socket", Refused("error", "import of 'socket'")),
    attack(
        "random numbers", "np.random.rand(3)", Refused("error", "numpy.random.rand is not available: .*same answer")
    ),
    attack("print", "for _ in range(10_000):\n    print('x' * 100)", Scored()),
    attack("exit", "raise SystemExit(0)", Refused("error", "SystemExit")),
    attack("interrupt", "raise KeyboardInterrupt", Refused("error", "KeyboardInterrupt")),
    attack("exit at once", "posix._exit(0)", Refused("killed", r"ended its process \(exit code 0\)")),
    attack("abort", "posix.abort()", Refused("killed", r"system call \(\w+\)|SIGABRT|SIGSYS")),
    attack(
        "an error whose text is an error",
        "class E(Exception):\n    def __str__(self):\n        1 / 0\nraise E",
        Refused("error", "E: .its text raises an error"),
    ),
    attack("a warning", "sys.modules['warnings'].warn('careful')", Scored()),
)
"""Ordinary mistakes get messages that their authors understand."""

NUMPY_DOORS = (
    attack("np.load", "np.load(canary)", OPEN),
    attack("np.save", "np.save(canary, after.x)", OPEN),
    attack("np.savez", "np.savez(canary, after.x)", Refused("error", "ModuleNotFoundError")),
    attack("np.loadtxt", "np.loadtxt(canary)", Refused("killed", r"system call \(\w+\)")),
    attack("np.savetxt", "np.savetxt(canary, after.x)", OPEN),
    attack("np.memmap", "np.memmap(canary, mode='w+', shape=1)", OPEN),
    attack("np.fromfile", "np.fromfile(canary)", Refused("error", "PermissionError")),
    attack("tofile", "after.x.tofile(canary)", Refused("error", "PermissionError")),
    attack(
        "tofile of a descriptor", "after.x.tofile(real.open(1, 'wb', closefd=False))", Refused("killed", "system call")
    ),
    attack("np.ctypeslib", "np.ctypeslib.load_library('libc.so.6', '/')", Refused("error", "ModuleNotFoundError")),
    attack("np.f2py", "np.f2py.compile('')", Refused("error", "ModuleNotFoundError")),
    attack(
        "np.lib.npyio.DataSource", "np.lib.npyio.DataSource().open(canary)", Refused("killed", r"system call \(\w+\)")
    ),
    attack("ndarray.ctypes", "a = np.ones(1)\nctypes.string_at(a.ctypes.data, 8)", Scored()),
    attack(
        "ndarray.ctypes, far away", "ctypes.string_at(np.ones(1).ctypes.data + 2**44, 8)", Refused("killed", "SIGSEGV")
    ),
    attack(
        "a made-up pointer",
        """
        class Made:
            __array_interface__ = {'data': (4096, False), 'shape': (8,), 'typestr': '<f8', 'version': 3}
        return {'a': np.asarray(Made()) + 0}
        """,
        Refused("killed", "SIGSEGV"),
    ),
    attack(
        "as_strided out of bounds",
        "return {'a': np.lib.stride_tricks.as_strided(after.x, (8,), (2**40,)) + 0}",
        Contained(),
    ),
    attack(
        "as_strided into neighbours",
        "return {'a': np.lib.stride_tricks.as_strided(after.x, (8,), (80,)) + 0}",
        Contained(),
    ),
    attack("a masked array", "return {'a': np.ma.masked_less(after.x, 0.0)}", Refused("shape", "is a masked array")),
    attack("an error without words", "assert False", Refused("error", "AssertionError$")),
    attack("an array of objects", "return {'a': np.array([object()] * 8)}", Refused("shape", "dtype object")),
    attack("pickled code", "np.frombuffer(b'x', object)", Refused("error", "ValueError")),
)
"""NumPy's own doors to the outside."""

LANGUAGE = (
    attack(
        "frames",
        "f = sys._getframe()\nwhile f:\n    f.f_globals.get('os', posix).getpid()\n    f = f.f_back",
        Refused("killed", "getpid"),
    ),
    attack(
        "a generator's frame",
        "g = (x for x in ())\ng.gi_frame.f_globals['posix'].getpid()",
        Refused("killed", "getpid"),
    ),
    attack(
        "a traceback's frame",
        "try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__.tb_frame.f_back.f_globals['os'].getpid()",
        Refused("killed", "getpid"),
    ),
    attack(
        "a coroutine's frame",
        "async def c(): pass\nc().cr_frame.f_globals['posix'].getpid()",
        Refused("killed", "getpid"),
    ),
    attack(
        "subclasses",
        "[c for c in object.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['getpid']()",
        Refused("killed", "getpid"),
    ),
    attack("globals of a function", "np.linalg.norm.__wrapped__.__globals__['__builtins__']['open'](canary)", OPEN),
    attack("str.format", "'{0.__globals__[posix].environ}'.format(reward)", Scored()),
    attack("match", "match posix:\n    case object(fork=f):\n        f()", NO_PROCESS),
    attack("a decorator", "@lambda f: posix.fork()\ndef f(): pass", NO_PROCESS),
    Case(
        "a default argument",
        f"{PRELUDE}\ndef reward(after, x=posix.fork()):\n    return {{'a': after.x}}\n",
        NO_PROCESS,
    ),
    Case("the top level", f"{PRELUDE}\nposix.open(canary, 0)\ndef reward(after):\n    return {{}}\n", OPEN),
    attack("a destructor", "class D:\n    def __del__(self):\n        posix.fork()\nD()", NO_PROCESS),
    attack(
        "a term that is computed on the way out",
        """
        class Late:
            def __array__(self, *args, **kwargs):
                posix.fork()
        return {'a': Late()}
        """,
        NO_PROCESS,
    ),
    attack(
        "a name that is code",
        "class Name(str):\n    def isidentifier(self):\n        posix.fork()\nreturn {Name('a'): 1.0}",
        NO_PROCESS,
    ),
    attack(
        "NumPy's functions replaced",
        "np.asarray = np.isfinite = lambda *a: after.x\nreturn {'a': 'nothing'}",
        Scored(),
    ),
)
"""The language's own ways around."""

RESULTS = (
    attack("nothing", "return None", Refused("shape", "must return a dict of term name to .* not a NoneType")),
    attack("an array", "return after.x", Refused("shape", "must return a dict")),
    attack("a pair", "return after.x, {}", Refused("shape", "not a tuple")),
    attack("no term", "return {}", Refused("shape", "1 to 32 terms, not 0")),
    attack("too many terms", "return {f't{i}': 0.0 for i in range(33)}", Refused("shape", "1 to 32 terms, not 33")),
    attack("too few values", "return {'a': after.x[1:]}", Refused("shape", r"'a' has shape \(7,\), expected \(8,\)")),
    attack("a column", "return {'a': after.x[:, None]}", Refused("shape", r"shape \(8, 1\), expected \(8,\).*reduce")),
    attack("a ragged list", "return {'a': [[1], [1, 2]]}", Refused("shape", "no array")),
    attack("a text", "return {'a': 'high'}", Refused("shape", "dtype <U4, expected numbers")),
    attack("complex numbers", "return {'a': after.x * 1j}", Refused("shape", "dtype complex128")),
    attack("times", "return {'a': np.zeros(8, 'M8[s]')}", Refused("shape", "dtype datetime64")),
    attack("None in a list", "return {'a': [None] * 8}", Refused("shape", "dtype object")),
    attack("not a number", "return {'a': after.x * np.nan}", Refused("not-finite", "'a' is not finite for 8 of 8")),
    attack(
        "infinity",
        "x = after.x.copy()\nx[3] = np.inf\nreturn {'a': x}",
        Refused("not-finite", "for 1 of 8 .* first at 3: inf"),
    ),
    attack(
        "minus infinity and infinity",
        "return {'a': np.full(8, np.inf), 'b': np.full(8, -np.inf)}",
        Refused("not-finite", "'a'"),
    ),
    attack(
        "a sum that overflows",
        "return {'a': np.full(8, 1e308), 'b': np.full(8, 1e308)}",
        Refused("not-finite", "weighted sum"),
    ),
    attack("a huge integer", "return {'a': [10 ** 400] * 8}", Refused("shape", "dtype object")),
    attack("a name with a blank", "return {'to the moon': 0.0}", Refused("shape", "no name of a term")),
    attack("a name that is a number", "return {1: 0.0}", Refused("shape", "no name of a term")),
    attack("a name with an escape", "return {'\\x1b[2J': 0.0}", Refused("shape", "no name of a term")),
    attack("a name of 65 characters", "return {'a' * 65: 0.0}", Refused("shape", "at most 64")),
    attack("a mutated input", "after.x[0] = 100.0", Refused("error", "destination is read-only")),
    attack("a mutated action", "action *= 0", Refused("error", "read-only")),
    attack("an input made writeable", "after.x.flags.writeable = True", Refused("error", "cannot set WRITEABLE")),
    attack("an assigned signal", "after.x = 0", Refused("error", "read-only: after.x cannot be assigned")),
    attack("an unknown signal", "after.velocitty", Refused("error", "no signal 'velocitty'; did you mean: velocity")),
    attack(
        "a signal that the text does not name",
        "getattr(after, 'hei' + 'ght')",
        Refused("error", "write after.height"),
    ),
)
"""Cases of results and inputs of a program."""

FORGED = (
    attack("an answer of its own", "posix.write(1, bytes([5, 0, 0, 0, 1, 0, 0, 0]) + b'a')", Contained()),
    attack(
        "an answer with an escape",
        "posix.write(1, bytes([5, 0, 0, 0, 1, 0, 0, 0]) + b'\\x1b')",
        Refused("protocol", "past its harness"),
    ),
    attack(
        "an answer with two like names",
        "posix.write(1, bytes([5, 0, 0, 0, 3, 0, 0, 0]) + b'a\\na' + bytes(128))",
        Refused("protocol", "names"),
    ),
    attack(
        "an answer with 50 terms",
        "n = '\\n'.join(f't{i}' for i in range(50)).encode()\nposix.write(1, bytes([5, 0, 0, 0, len(n), 0, 0, 0]) + n)",
        Refused("protocol"),
    ),
    attack("a message without end", "posix.write(1, b'\\xff' * 100)", Refused("protocol", "a message of")),
    attack("a message of no kind", "posix.write(1, bytes([9, 0, 0, 0, 0, 0, 0, 0]))", Refused("protocol", "kind 9")),
    attack("a failure that is no JSON", "posix.write(1, bytes([6, 0, 0, 0, 1, 0, 0, 0]) + b'{')", Refused("protocol")),
    attack(
        "a failure of the machine",
        """
        m = b'{"code": "infrastructure", "message": "x", "line": 1}'
        posix.write(1, bytes([6, 0, 0, 0, len(m), 0, 0, 0]) + m)
        """,
        Refused("protocol"),
    ),
    attack(
        "a failure on a line that the program does not have",
        """
        m = b'{"code": "error", "message": "x", "line": 999}'
        posix.write(1, bytes([6, 0, 0, 0, len(m), 0, 0, 0]) + m)
        """,
        Refused("protocol"),
    ),
    attack(
        "a failure that steers the terminal",
        "raise ValueError('\\x1b[2J\\x1b]0;owned\\x07done')",
        Refused("error", r"^ValueError: \[2J \]0;owned done$"),
    ),
    attack("stdout flooded", "while True:\n    posix.write(1, b'\\0' * 4096)", Refused("protocol"), 5.0),
    attack("half a message", "posix.write(1, b'\\5')\nposix._exit(0)", Refused("killed", "exit code 0")),
    attack(
        "an arena that changes after the answer",
        """
        posix.write(1, bytes([5, 0, 0, 0, 1, 0, 0, 0]) + b'a')
        f = sys._getframe()
        while 'scorer' not in f.f_locals:
            f = f.f_back
        rows = f.f_locals['scorer']._rows(8, 1)
        while True:
            rows[...] = np.nan
            rows[...] = 1.0
        """,
        Contained(),
    ),
)
"""Messages that the program writes past its harness."""

HONEST = (
    honest(
        "constants, booleans and integers",
        "def reward(after):\n    return {'a': 1.0, 'b': after.x > 0, 'c': (after.x > 0).astype('int8'), 'd': [1] * 8}",
    ),
    honest(
        "imports by habit",
        """
        from __future__ import annotations
        import math
        import numpy as np
        import numpy.linalg as la
        from numpy import linalg
        from typing import Dict, Tuple
        import shaping
        from rewardsmith.shaping import *

        def reward(before, action, after) -> Dict[str, np.ndarray]:
            return {"a": la.norm(after.velocity, axis=1) * math.pi}
        """,
    ),
    honest(
        "annotations of types that nobody defines",
        """
        WEIGHTS: Dict[str, float] = {"a": 1.0}

        def near(x: Array, width: Width = 0.2) -> Array:
            height: Height = x / width
            return height

        def reward(before: State, action: np.ndarray, after: State) -> Dict[str, np.ndarray]:
            return {"a": near(after.x)}
        """,
    ),
    honest(
        "much of NumPy",
        """
        def reward(before, action, after):
            x, v = after.x, after.velocity
            np.sort(x), np.argsort(x), np.unique(x), np.median(x), np.percentile(x, 50), np.histogram(x), np.cumsum(x)
            np.einsum("ij,ij->i", v, v), np.tensordot(v, v), np.cross(v, v), np.linalg.svd(v), np.linalg.inv(v.T @ v)
            np.linalg.eigh(v.T @ v), np.fft.fft(x), np.polynomial.Polynomial([1, 2])(x), np.polyfit(x, x, 1)
            np.where(x > 0, x, 0), np.select([x > 0], [x]), np.piecewise(x, [x > 0], [1, 0]), np.isin(x, x)
            np.vectorize(math.sin)(x), np.apply_along_axis(np.sum, 1, v), np.digitize(x, [0.0]), np.gradient(x)
            np.interp(x, x, x), np.nan_to_num(x), np.diff(x), np.rad2deg(x), np.hypot(x, x), np.arctan2(x, x)
            np.std(x), np.var(x), np.ptp(x), np.corrcoef(v), np.cov(v), np.trapezoid(x), np.sinc(x), np.quantile(x, 0.5)
            str(x), repr(v), f"{x[0]:.3f}", x.tolist(), np.array2string(x), np.stack([x, x]), np.broadcast_to(x, (2, 8))
            with np.errstate(divide="ignore"):
                np.log(np.zeros(8)), 1 / np.zeros(8)
            return {"a": np.clip(x, -1, 1), "b": -np.sum(action**2, axis=1), "c": np.exp(-np.linalg.norm(v, axis=1))}
        """,
    ),
    honest(
        "classes and closures",
        """
        class Scaled:
            factor = 2.0

            def __call__(self, x):
                return self.factor * x

        scaled = Scaled()

        def reward(after):
            return {"a": scaled(after.x)}
        """,
    ),
    honest(
        "a large intermediate",
        """
        def reward(after):
            big = np.ones((1000, 1000)) @ np.ones((1000, 1000))
            return {"a": after.x + big[0, 0]}
        """,
    ),
)
"""Programs that must be scored; without them, a sandbox that refuses everything would pass."""

CASES = (*TIME, *TEXTS, *MANNERS, *NUMPY_DOORS, *LANGUAGE, *RESULTS, *FORGED, *HONEST)
