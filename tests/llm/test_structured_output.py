"""Structured output: forms found in a text, refused answers, and the second question."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rewardsmith.contract.errors import ModelRefused
from rewardsmith.llm import Completion, Message
from rewardsmith.llm.structured_output import AnswerForm, find_json_objects, request_form


class Person(AnswerForm):
    name: str
    age: int | None = None


@dataclass
class Script:
    """Answers from a list, and records the questions."""

    answers: list[str | tuple[str, str]]
    asked: list[tuple[Message, ...]] = field(default_factory=list)
    name: str = "small"

    def complete(self, messages, *, role, sample=0):
        self.asked.append(tuple(messages))
        answer = self.answers.pop(0)
        text, finish = answer if isinstance(answer, tuple) else (answer, "stop")
        return Completion(text, finish, 1, 1, None, f"k.{sample}", 0.0, False)


def filled(*answers, check=lambda _: None):
    return request_form(Script(list(answers)), "Be short.", "Who?", Person, role="critic", sample=0, check=check)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ada", "age": 36}',
        'Sure!\n```json\n{"name": "Ada", "age": 36,}\n```\nAnything else?',
        '<think>{"name": "Bob"} or not</think>{"name": "Ada", "age": 36, "likes": ["engines"]}',
        'A draft {"name": 3} and then {"name": "Ada", "age": 36}',
        'braces {like these} and {"name": "Ada", "age": 36}',
    ],
)
def test_a_form_is_found_however_it_is_wrapped(text):
    assert filled(text) == Person(name="Ada", age=36)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("I would rather not.", "no JSON object"),
        ("", "no JSON object"),
        ('{"age": 3}', "name: field required"),
        ('{"name": "Ada", "age": "36"}', "age: input should be a valid integer"),
        ('{"name": ["Ada"]}', "name: input should be a valid string"),
        ("{" * 50_000, "no JSON object"),
        ('{"a":' * 20_000, "no JSON object"),
    ],
)
def test_what_is_no_form_is_asked_for_once_more_with_the_reason(text, problem):
    model = Script([text, '{"name": "Ada"}'])
    assert request_form(model, "Be short.", "Who?", Person, role="critic", sample=0).name == "Ada"
    assert problem in model.asked[1][-1].content
    assert [message.role for message in model.asked[1]] == ["system", "user", "assistant", "user"]


def test_asked_twice_in_vain_it_is_refused_with_the_reason():
    with pytest.raises(ModelRefused, match=r"as the critic, asked twice: .*no JSON object"):
        filled("no", "no again")


def test_what_a_check_finds_is_told_too():
    told = filled('{"name": "Bob"}', '{"name": "Ada"}', check=lambda one: None if one.name == "Ada" else "not Bob")
    assert told.name == "Ada"


def test_an_answer_that_was_cut_off_is_asked_for_more_briefly():
    model = Script([('{"name": "A', "length"), '{"name": "Ada"}'])
    request_form(model, "Be short.", "Who?", Person, role="critic", sample=0)
    assert "cut off" in model.asked[1][-1].content
    assert "Be brief" in model.asked[1][-1].content


def test_objects_inside_others_are_not_found_apart():
    assert find_json_objects('{"a": {"b": 1}} {"c": 2}') == [{"a": {"b": 1}}, {"c": 2}]


ADA = '{"name": "Ada", "age": 36}'


@pytest.mark.parametrize(
    "text",
    [
        f'[THINK]{{"name": "Bob"}}[/THINK]{ADA}',
        f'<|channel|>analysis<|message|>{{"name": "Bob"}}<|end|><|start|>assistant<|channel|>final<|message|>{ADA}',
        f'Drafted: {{"name": "Bob"}}</think>{ADA}<|im_end|>',
        f"<think>I think inside <think> tags.</think>{ADA}",
        f"<think>{'so it goes ' * 20_000}</think>{ADA}",
        f"<think>Well, {ADA}",
    ],
)
def test_thoughts_of_every_family_hold_no_form_and_hide_none(text):
    assert filled(text) == Person(name="Ada", age=36)


@pytest.mark.parametrize("name", ["a <think> b", "a </think> b", "[THINK]", "<|channel|>analysis<|message|>"])
@pytest.mark.parametrize("wrap", ["{}", "Well:\n{}", "```json\n{}\n```"])
def test_marks_of_thoughts_in_the_texts_of_a_form_are_text(name, wrap):
    assert filled(wrap.replace("{}", f'{{"name": "{name}"}}')) == Person(name=name)


def test_a_form_in_a_thought_that_was_cut_off_does_not_count():
    with pytest.raises(ModelRefused, match="cut off"):
        filled((f"<think>{ADA}", "length"), (f"<think>{ADA}", "length"))
