"""A coding agent in a language model's place: prompts wait on a desk until they are answered."""

import threading

import pytest

from rewardsmith.contract.errors import ModelUnavailable, UserError
from rewardsmith.llm import Message, PromptDesk, Request
from rewardsmith.llm.coding_agent import format_answer
from rewardsmith.search.steps.designer.answer_parser import parse_answer

PROGRAM = "def reward(after):\n    return {'up': after.height}\n"


def request(text: str) -> Request:
    return Request("coding-agent", (Message("user", text),), None, None)


class Asking(threading.Thread):
    """A slot of a search that asks the desk."""

    def __init__(self, desk: PromptDesk, text: str, candidate: str) -> None:
        super().__init__(daemon=True)
        self.desk, self.text, self.candidate, self.outcome = desk, text, candidate, None
        self.start()

    def run(self):
        self.desk.name_candidate(self.candidate)
        try:
            self.outcome = self.desk.chat(request(self.text), lambda cause, again: None).text
        except ModelUnavailable as error:
            self.outcome = error


def wait_for_prompts(desk: PromptDesk, count: int) -> tuple:
    done = threading.Event()
    while len(desk.list_waiting()) < count:
        done.wait(0.01)
    return desk.list_waiting()


def test_each_slot_gets_the_answer_to_its_own_prompt_in_whichever_order() -> None:
    desk = PromptDesk()
    first = Asking(desk, "first", "g0c00")
    wait_for_prompts(desk, 1)
    second = Asking(desk, "second", "g0c01")
    waiting = wait_for_prompts(desk, 2)
    assert [prompt.candidate for prompt in waiting] == ["g0c00", "g0c01"]
    assert desk.submit_answer(waiting[1].id, "two").candidate == "g0c01"
    desk.submit_answer(waiting[0].id, "one")
    first.join()
    second.join()
    assert (first.outcome, second.outcome) == ("one", "two")
    assert desk.list_waiting() == ()


def test_an_unseen_prompt_is_shown_before_one_that_was_shown() -> None:
    desk = PromptDesk()
    for candidate in ("g0c00", "g0c01"):
        Asking(desk, candidate, candidate)
    wait_for_prompts(desk, 2)
    taken = [desk.take_next() for _ in range(3)]
    assert {taken[0].candidate, taken[1].candidate} == {"g0c00", "g0c01"}
    assert taken[2] == desk.list_waiting()[0]
    desk.close()


def test_a_prompt_has_the_same_id_after_a_restart_and_equal_prompts_have_two() -> None:
    before, after = PromptDesk(), PromptDesk()
    for desk in (before, after):
        Asking(desk, "same words", "g0c00")
        wait_for_prompts(desk, 1)
        Asking(desk, "same words", "g0c01")
    ids = [prompt.id for prompt in wait_for_prompts(before, 2)]
    assert ids == [prompt.id for prompt in wait_for_prompts(after, 2)]
    assert ids[1] == f"{ids[0]}-2"
    before.close()
    after.close()


def test_an_unknown_or_answered_prompt_is_one_line_that_names_what_waits() -> None:
    desk = PromptDesk()
    asking = Asking(desk, "words", "g0c00")
    (prompt,) = wait_for_prompts(desk, 1)
    with pytest.raises(UserError, match=rf"there is no prompt 'nonsense'; these wait: {prompt.id} \(g0c00\)"):
        desk.submit_answer("nonsense", "text")
    desk.submit_answer(prompt.id, "text")
    asking.join()
    with pytest.raises(UserError, match="was answered already; none waits now; next_prompt"):
        desk.submit_answer(prompt.id, "again")


def test_closing_lets_go_of_the_slots() -> None:
    desk = PromptDesk()
    asking = Asking(desk, "words", "g0c00")
    wait_for_prompts(desk, 1)
    desk.close()
    asking.join()
    assert "stopped before the coding agent answered" in str(asking.outcome)


@pytest.mark.parametrize(
    "program",
    [PROGRAM, f'"""Says ``` and ````."""\n\n{PROGRAM}', f"{PROGRAM}# ~~~\n"],
    ids=["plain", "ticks", "tildes"],
)
@pytest.mark.parametrize("idea", ["Rise.", "First:\n```python\ndef reward(after):\n    return {}\n```\nthen rise.", ""])
def test_the_program_comes_back_whatever_fences_it_or_the_idea_holds(program: str, idea: str) -> None:
    answer = parse_answer(format_answer(program, idea), cut_off=False)
    assert answer.source is not None
    assert answer.source.strip() == program.strip()
