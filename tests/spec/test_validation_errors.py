"""Errors in files that people write: the place, the value and what is allowed, without pydantic's names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, MinLen
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from rewardsmith.spec.validation_errors import Fault, collect_faults


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: Annotated[int, Ge(1)] = 1


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    seeds: Annotated[int, Ge(1)] | Annotated[tuple[Annotated[int, Ge(0)], ...], MinLen(1)] = 1
    mode: Literal["fast", "slow"] = "fast"
    inner: Inner = Inner()
    table: dict[Literal["a", "b"], Inner] = {}
    even: int = 0

    @field_validator("even")
    @classmethod
    def _check_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


def faults_of(document: Any) -> list[Fault]:
    try:
        Document.model_validate(document)
    except ValidationError as error:
        return collect_faults(error, document)
    return []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": 3}, "name = 3: must be text in quotes"),
        ({"seeds": "two"}, "seeds = 'two': must be a whole number or a list"),
        ({"seeds": [0, "two"]}, "seeds.1 = 'two': must be a whole number"),
        ({"seeds": [0, -1]}, "seeds.1 = -1: must be at least 0"),
        ({"mode": "quick"}, "mode = 'quick': must be 'fast' or 'slow'"),
        ({"inner": {"size": 0}}, "inner.size = 0: must be at least 1"),
        ({"inner": {"size": 1.5}}, "inner.size = 1.5: must be a whole number"),
        ({"inner": 4}, "inner = 4: must be a table of keys"),
        ({"inner": {"sise": 4}}, "there is no key 'inner.sise'; did you mean 'size'?"),
        ({"table": {"c": {}}}, "there is no key 'table.c'; allowed are: size"),
        ({"even": 3}, "even = 3: must be even"),
    ],
)
def test_a_fault_names_key_value_and_what_is_allowed(changes: dict[str, Any], line: str) -> None:
    (fault,) = faults_of({"name": "x"} | changes)
    assert fault.describe(known_keys=["size"]) == line


def test_a_missing_key_is_a_fault_of_its_table() -> None:
    (fault,) = faults_of({})
    assert fault.describe() == "the key 'name' is missing"


def test_a_long_value_is_cut() -> None:
    (fault,) = faults_of({"name": list(range(10_000))})
    assert len(fault.describe()) < 120


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "size", "x"]), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*Document.model_fields, "nmae"])


@given(st.dictionaries(KEYS, VALUES))
def test_no_document_is_answered_in_pydantic_s_names(document: dict[str, Any]) -> None:
    for fault in faults_of(document):
        message = Fault(fault.location, fault.kind, None, fault.allowed).describe()
        assert not any(word in message for word in ("constrained", "function-", "tuple", "[key]", "Input should"))
        assert message.count("\n") == 0
