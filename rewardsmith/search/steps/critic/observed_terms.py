"""Terms that rest on what the policy does not see: to it such a term looks like chance, and cannot be learnt from.

The signals behind a term are followed through the assignments of `reward` and through helpers. The change of a signal
from `before` to `after` is fine: it is a velocity.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rewardsmith.contract import python_ast
from rewardsmith.contract.records import Finding, Probe, TermStats
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.contract.state_reads import STATES, find_state_reads

HEAVY_SHARE = 0.3
"""Part of the total's size under random actions from which a term is heavy."""
LISTED = 3
"""Signals that a finding names."""


@dataclass(frozen=True)
class _Source:
    """Signals and memory that a value depends on."""

    reads: frozenset[tuple[str, str, int | None]] = frozenset()
    """(state, signal, component); None where no single component is taken."""
    remembers: bool = False

    def join(self, other: _Source) -> _Source:
        return _Source(self.reads | other.reads, self.remembers or other.remembers)


@dataclass(frozen=True)
class _Hidden:
    """Signals, and components of signals, that a policy does not see."""

    signals: frozenset[str] = frozenset()
    """Signals of which it sees nothing."""
    components: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Other signals to the components that it does not see."""

    def covers(self, name: str, component: int | None) -> bool:
        """Return whether a component is hidden; None asks for a scalar."""
        if name in self.signals:
            return True
        hidden = self.components.get(name, ())
        return hidden == (0,) if component is None else component in hidden


@dataclass
class _Tracer:
    """Follows values through a program's text."""

    tree: ast.Module
    variables: dict[str, _Source] = field(default_factory=dict)

    def trace_terms(self) -> dict[str, _Source]:
        """Return what each term of the returned dict depends on; {} where the text does not show it."""
        function = next(node for node in self.tree.body if isinstance(node, ast.FunctionDef) and node.name == "reward")
        terms: dict[str, _Source] = {}
        for node in sorted(ast.walk(function), key=lambda node: (getattr(node, "lineno", 0), type(node).__name__)):
            if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and node.value is not None:
                self._assign(node)
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    if isinstance(key, ast.Constant):
                        terms[str(key.value)] = self.trace(value)
        return terms

    def _assign(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
        assert node.value is not None  # the caller looks
        source = self.trace(node.value)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    self.variables[name.id] = source.join(self.variables.get(name.id, _Source()))

    def trace(self, node: ast.expr) -> _Source:
        """Return what an expression depends on."""
        helper_reads = self._helper_reads
        source = _Source()
        indexed = {id(part.value): _constant_index(part) for part in ast.walk(node) if isinstance(part, ast.Subscript)}
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                if part.value.id in STATES:
                    source = source.join(_Source(frozenset({(part.value.id, part.attr, indexed.get(id(part)))})))
                elif part.value.id == "memory":
                    source = source.join(_Source(remembers=True))
            elif isinstance(part, ast.Name):
                source = source.join(self.variables.get(part.id, _Source()))
                source = source.join(helper_reads.get(part.id, _Source()))
        return source

    @cached_property
    def _helper_reads(self) -> dict[str, _Source]:
        """Function to every signal that is read in it, of whatever state it is given."""
        reads: dict[str, _Source] = {}
        found = find_state_reads(self.tree)
        for function in self.tree.body:
            if isinstance(function, ast.FunctionDef) and function.name != "reward":
                inside = {id(node) for node in ast.walk(function)}
                named = frozenset((state, node.attr, None) for node, state in found if id(node) in inside)
                reads[function.name] = _Source(named)
        return reads


def find_unobserved_terms(program: RewardProgram, probe: Probe, stats: Sequence[TermStats]) -> Iterator[Finding]:
    """Find heavy terms that rest on what the policy does not see.

    Args:
        program: without errors.
        probe: says what the observation does not tell.
        stats: of the program's terms under random actions.
    """
    hidden = _find_hidden(program, probe)
    if hidden is None:
        return
    sources = _Tracer(python_ast.parse_module(program.source)).trace_terms()
    for term in stats:
        source = sources.get(term.name)
        if source is None or term.share < HEAVY_SHARE:
            continue
        unseen = _list_unseen(source, hidden)
        if unseen:
            message = (
                f"the term {term.name!r} ({term.share:.0%} of the total) rests on what the policy does not see: "
                f"{', '.join(unseen[:LISTED])}; pay for its change or for what is seen, or let the policy observe it "
                "(OBSERVATION, training.observation)"
            )
            yield Finding("not-observed", message, "warning")


def _find_hidden(program: RewardProgram, probe: Probe) -> _Hidden | None:
    """Return what the policy does not see, which a program may choose itself; None where that is not known."""
    if program.observation:
        return _Hidden(frozenset(signal.name for signal in probe.signals if signal.name not in program.observation))
    return None if probe.unobserved is None else _Hidden(components=probe.unobserved)


def _list_unseen(source: _Source, hidden: _Hidden) -> list[str]:
    """Return what a term depends on and the policy does not see, in the program's spelling."""
    names = [
        f"{state}.{name}" + (f"[:, {index}]" if index is not None else "")
        for state, name, index in sorted(source.reads, key=str)
        if _is_absolute(source, name) and hidden.covers(name, index)
    ]
    return names + ["memory"] * source.remembers


def _is_absolute(source: _Source, name: str) -> bool:
    """Return whether a signal counts by its value: not by its change from `before` to `after`."""
    return not {"before", "after"} <= {state for state, read, _ in source.reads if read == name}


def _constant_index(node: ast.Subscript) -> int | None:
    """Return the component that an index takes, as 1 in `[:, 1]`."""
    index = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
    return index.value if isinstance(index, ast.Constant) and isinstance(index.value, int) else None
