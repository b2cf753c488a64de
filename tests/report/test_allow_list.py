"""A program is exported only if its text can do nothing but compute on arrays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from rewardsmith.contract import shaping
from rewardsmith.contract.records import Signal
from rewardsmith.contract.reward_files import load_reward
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.report.export.allow_list import MODULES
from rewardsmith.report.export.refused_code import find_refused_code
from rewardsmith.search.steps.critic.static_checks import check_source

ROOT = Path(__file__).parents[2]


def find_refused(body: str, top: str = "") -> list[str]:
    """Return the messages about a program with these statements in `reward`, and these above it."""
    head = f"{dedent(top)}\n\ndef reward(before, action, after):"
    source = f"{head}\n{indent(dedent(body), '    ')}\n    return {{'t': after.h}}"
    return [f"line {finding.line}: {finding.message}" for finding in find_refused_code(parse_program(source))]


BODIES = {
    # modules and what lies in them
    "np.lib": ("m = np.lib._utils_impl.sys.modules", "np.lib._utils_impl"),
    "np.lib alone": ("m = np.lib", "np.lib"),
    "np.core": ("np.core.multiarray.array(1)", "np.core"),
    "np.ctypeslib": ("np.ctypeslib.load_library('libc.so.6', '/')", "np.ctypeslib"),
    "np.f2py": ("np.f2py.compile('x')", "np.f2py"),
    "np.testing": ("np.testing.rundocs('x.py')", "np.testing"),
    "np.load": ("np.load('x.npy', allow_pickle=True)", "np.load"),
    "np.save": ("np.save('x.npy', action)", "np.save"),
    "np.memmap": ("np.memmap('x', mode='w+', shape=(1,))", "np.memmap"),
    "np.genfromtxt": ("np.genfromtxt('/etc/passwd')", "np.genfromtxt"),
    "np.fromfile": ("np.fromfile('/etc/passwd')", "np.fromfile"),
    "np.random": ("np.random.seed(0)", "np.random"),
    "np.rec": ("np.rec.fromfile('x')", "np.rec"),
    "np.info": ("np.info('sys')", "np.info"),
    "np.bmat": ("np.bmat('sys')", "np.bmat"),
    "np.nditer": ("np.nditer(action)", "np.nditer"),
    "object addresses from bytes": ("np.ndarray((1,), dtype=object, buffer=b'\\0' * 8)", "np.ndarray"),
    "np.seterrcall": ("np.seterrcall(print)", "np.seterrcall"),
    "a module inside of a module": ("np.polynomial.polynomial.np.lib", "np.polynomial.polynomial.np"),
    "a module in linalg": ("np.linalg.linalg", "np.linalg.linalg"),
    "full-width letters": ("np.\uff4c\uff49\uff42", "np.lib"),
    "patching numpy": ("np.sum = len", "np.sum"),
    "patching shaping": ("shaping.tolerance = len", "shaping.tolerance"),
    # aliases
    "an alias": ("n = np\nn.lib", "n.lib"),
    "two aliases": ("n = np\nm = n\nm.save('x', action)", "m.save"),
    "an alias of a part": ("n = np.linalg\nn.linalg", "n.linalg"),
    "a chain of targets": ("a = b = np\nb.lib", "b.lib"),
    "a walrus alias": ("(n := np).lib", "np"),
    "a tuple of modules": ("n, m = np, math\nn.lib", "np"),
    "a loop over modules": ("for n in [np]:\n    n.lib", "np"),
    "a module as an argument": ("h = lambda n: n.lib\nh(np)", "np"),
    "a module in a default": ("h = lambda n=np: n.lib\nh()", "np"),
    "a conditional module": ("(np if True else math).lib", "np"),
    "a module in a comprehension": ("[n.lib for n in (np,)]", "np"),
    "an alias with another meaning": ("n = np\nh = lambda n: n.tofile", "n"),
    "np rebound": ("np = 3", "np"),
    "memory of a module": ("action.x = np", "action.x"),
    # attributes
    "tofile": ("np.zeros(2).tofile('x')", "tofile"),
    "tofile of an argument": ("action.tofile('x')", "action.tofile"),
    "tofile without a call": ("f = action.tofile\nf('x')", "action.tofile"),
    "dump": ("action.dump('x')", "action.dump"),
    "dumps": ("action.dumps()", "action.dumps"),
    "setfield": ("action.setfield(1, 'f8')", "action.setfield"),
    "setflags": ("action.setflags(write=True)", "action.setflags"),
    "resize under a view": ("action.resize(9, refcheck=False)", "action.resize"),
    "ctypes": ("action.ctypes.data", "action.ctypes"),
    "the owner of an array": ("action.base", "action.base"),
    "class": ("action.__class__", "action.__class__"),
    "globals of a function": ("reward.__globals__", "reward.__globals__"),
    "self of a builtin": ("len.__self__", "len.__self__"),
    "a single underscore": ("action._x", "action._x"),
    "a generator's frame": ("g = (x for x in [1])\ng.gi_frame.f_back.f_globals", "g.gi_frame"),
    "a signal called gi_frame": ("h = lambda after: after.gi_frame\nh((x for x in [1]))", "after.gi_frame"),
    "a signal called tofile": ("h = lambda after: after.tofile('x')\nh(action)", "after.tofile"),
    "a traceback": ("try:\n    1 / 0\nexcept Exception as e:\n    e.with_traceback(None).tb_frame", "tb_frame"),
    "the object of an error": ("try:\n    action.x\nexcept Exception as e:\n    e.obj", "e.obj"),
    "format": ("'{0.__class__}'.format(action)", "format"),
    "format of the type": ("str.format('{0.__class__}', action)", "str.format"),
    "format_map": ("'{a.__class__}'.format_map({'a': action})", "format_map"),
    "format through map": ("list(map('{0.__globals__}'.format, [reward]))", "format"),
    "an f-string": ("f'{action.__class__}'", "action.__class__"),
    "an f-string's width": ("f'{1:{open(\"x\")}}'", "open"),
    "a deleted attribute": ("del action.x", "del"),
    # names
    "open": ("open('x', 'w')", "open"),
    "open in a lambda": ("(lambda: open('x', 'w'))()", "open"),
    "open in a comprehension": ("[open(p) for p in ['x']]", "open"),
    "open as a default": ("h = lambda f=open: f('x')", "open"),
    "open by vectorize": ("np.vectorize(open)(['x'])", "open"),
    "open by frompyfunc": ("np.frompyfunc(open, 1, 1)(['x'])", "open"),
    "exec along an axis": ("np.apply_along_axis(exec, 0, action)", "exec"),
    "eval": ("eval('1')", "eval"),
    "compile": ("compile('1', '', 'eval')", "compile"),
    "import function": ("__import__('os')", "__import__"),
    "builtins": ("__builtins__", "__builtins__"),
    "loader": ("__loader__", "__loader__"),
    "getattr": ("getattr(np, 'lib')", "getattr"),
    "setattr": ("setattr(action, 'x', 1)", "setattr"),
    "vars": ("vars()", "vars"),
    "globals": ("globals()['sys']", "globals"),
    "type": ("type('X', (), {})", "type"),
    "object": ("object()", "object"),
    "super": ("super()", "super"),
    "memoryview": ("memoryview(action)", "memoryview"),
    "print to a file": ("print('x', file=action)", "print"),
    "input": ("input()", "input"),
    "leaving the process": ("raise SystemExit", "SystemExit"),
    "sys of the file": ("sys.exit()", "sys"),
    "types of the file": ("types.FunctionType", "types"),
    "gymnasium of the file": ("gymnasium.make('x:y')", "gymnasium"),
    "the file's own class": ("RewardWrapper", "RewardWrapper"),
    "the file's own make": ("make()", "make"),
    "a local name elsewhere": ("def h():\n    open = 1\nopen('x')", "open"),
    "a name that is only deleted": ("for x in []:\n    pass\nh = lambda: exit()", "exit"),
    # imports and constructs
    "import os": ("import os", "import os"),
    "import of a part": ("import os.path as math", "import os.path"),
    "import of numpy.lib": ("import numpy.lib", "import numpy.lib"),
    "from numpy": ("from numpy import save", "numpy.save"),
    "from numpy under a good name": ("from numpy import load as sqrt", "numpy.load"),
    "from numpy.lib": ("from numpy.lib import npyio", "from numpy.lib import"),
    "from typing": ("from typing import get_type_hints", "typing.get_type_hints"),
    "from typing a module": ("import typing\ntyping.sys", "typing.sys"),
    "from shaping": ("from shaping import np", "shaping.np"),
    "a relative import": ("from . import x", "from ."),
    "rewardsmith": ("from rewardsmith.contract import text", "from rewardsmith.contract"),
    "a class": ("class A:\n    x = open('y')", "class"),
    "a match on attributes": ("match action:\n    case object(__class__=c):\n        pass", "match"),
    "global": ("global make\nmake = 1", "global"),
    "yield": ("def h():\n    yield 1", "yield"),
    "an annotation that calls": ("x: open('x') = 1", "open('x')"),
    "a quoted annotation that calls": ("x: 'exec(1)' = 1", "exec(1)"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_program_is_refused_with_its_line_and_the_name(name: str):
    body, named = BODIES[name]
    refused = find_refused(body)
    assert any(named in line for line in refused), refused
    assert all(re.match(r"line \d+: `", line) for line in refused)


TOPS = {
    "a decorator": ("@open\ndef h():\n    pass", "open"),
    "a decorator of numpy": ("@np.lib.add_docstring\ndef h():\n    pass", "np.lib"),
    "a default argument": ("def h(x=open('x')):\n    pass", "open"),
    "an alias at the top": ("n = np\nn.save('x', 1)", "n.save"),
    "a module's getattr": ("def __getattr__(name):\n    return 1", "__getattr__"),
    "a builtin that may not be bound": ("if False:\n    open = 1\n\ndef h():\n    return open('x')", "open"),
    "a builtin that the file uses": ("def getattr(a, b, c):\n    return a.h", "getattr"),
    "a listed builtin that the file uses": ("def isinstance(after, before):\n    return after.h", "isinstance"),
    "a builtin that an error unbinds": ("try:\n    pass\nexcept ValueError as open:\n    pass\nopen('x')", "open"),
    "a name that the future brings": ("from __future__ import annotations as sys\nsys.exit()", "__future__"),
    "a star": ("from numpy import *", "numpy.*"),
    "an annotation": ("def h(x: __import__('os').system('id')):\n    pass", "__import__"),
    "an annotation of a result": ("def h() -> np.lib._x:\n    pass", "np.lib._x"),
    "a separator of the file": ("# " + "-" * 64 + " the reward program", "----"),
    "nested too deeply": (f"X = {'+'.join(['1'] * 700)}", "nested"),
}


@pytest.mark.parametrize("name", TOPS)
def test_a_hostile_top_level_is_refused(name: str):
    top, named = TOPS[name]
    refused = find_refused("pass", top)
    assert any(named in line for line in refused), refused


HONEST = {
    "numpy by other names": ("n = np\nx = n.sum(action)\nla = np.linalg\ny = la.norm(action)", ""),
    "imports": ("x = m.pi + clip(action, 0, 1)", "import math as m\nimport numpy\nfrom numpy import clip, linalg\n"),
    "annotations": ("x: np.ndarray = action\ny: 'Dict[str, State]' = {}", "from typing import Any, Literal\n"),
    "numpy.ma is not named in words": ("x = 'np.lib.tofile'  # np.load", ""),
    "containers and loops": (
        "total = [0.0]\nfor i, x in enumerate(zip([1], [2])):\n    total.append(sum(x))\n"
        "s = {k: v for k, v in {'a': 1}.items()}\nb = sorted(s, key=lambda k: -s[k])[0]",
        "",
    ),
    "callables of its own": (
        "f = np.vectorize(gain)\ny = np.apply_along_axis(np.mean, 0, action)\nz = np.add.reduce(action)",
        "def gain(x):\n    return x * 2\n",
    ),
    "private helpers": ("for _ in range(3):\n    x = _gain(action)", "def _gain(x):\n    return x\n"),
    "a context": ("with np.errstate(divide='ignore'):\n    x = 1 / action", ""),
    "errors": ("if not np.isfinite(action).all():\n    raise ValueError(f'{action:.3f}')", ""),
    "local names of builtins": ("input = action\ntype = input.shape[0]\nhash, dir = type, 2", ""),
    "infinities and types": ("x = np.finfo(np.float64).eps + np.inf\ny = action.astype(float).dtype.kind", ""),
    "a walrus": ("y = (n := len(action)) + n", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_program_is_not_refused(name: str):
    body, top = HONEST[name]
    assert find_refused(body, top) == []


def test_memory_is_assigned_by_its_declared_names_only():
    body = "    memory.NAME = after.h\n    return {'t': memory.NAME}\n"
    text = f"MEMORY = {{'best': 0.0}}\n\ndef reward(after, memory):\n{body}"
    assert find_refused_code(parse_program(text.replace("NAME", "best"))) == []
    assert find_refused_code(parse_program(text.replace("NAME", "worst")))
    assert find_refused_code(parse_program(text.replace("NAME", "__array_interface__").replace("best", "worst")))


def test_signals_may_be_called_as_they_like():
    names = ("data_rate", "f_x", "size", "lib", "format_", "x_velocity")
    terms = ", ".join(f"'{name}': after.{name}" for name in names)
    assert find_refused_code(parse_program(f"def reward(after):\n    return {{{terms}}}\n")) == []


def test_all_shaping_functions_are_listed():
    public = {name for name, value in vars(shaping).items() if callable(value) and not name.startswith("_")}
    assert public - {"Array", "ArrayLike", "NDArray"} == MODULES["shaping"]


def list_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from list_strings(item)


def list_known_programs() -> dict[str, str]:
    """Return the programs of the repository by their place, those in recorded answers of models included."""
    files = [*ROOT.glob("tests/rewards/*.py"), *ROOT.glob("prompts/library/*.py")]
    programs = {str(path): load_reward(path).source for path in files}
    for ledger in [*ROOT.glob("benchmarks/ledgers/*/*.jsonl"), *ROOT.glob("tests/fixtures/**/*.jsonl")]:
        for text in list_strings([json.loads(line) for line in ledger.read_text().splitlines()]):
            for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
                programs[f"{ledger.name}: {block}"] = block
    return programs


def test_every_program_of_the_repository_can_be_exported():
    programs = {where: text for where, text in list_known_programs().items() if "def reward(" in text}
    assert len(programs) > 100
    signals = re.compile(r"\b(?:before|after|start)\.(\w+)")
    for where, text in programs.items():
        catalogue = [Signal(name, (), "", "", "obs[0]") for name in set(signals.findall(text))]
        program, findings = check_source(text, catalogue)
        refused = {finding.code for finding in findings} & {"whole-state", "syntax"}
        assert refused or (program and find_refused_code(program) == []), where
