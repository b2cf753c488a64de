"""Fenced blocks: how they begin and end, by CommonMark and as models write them."""

from __future__ import annotations

import pytest

from rewardsmith.llm.fences import MAX_BLOCKS, find_blocks


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("```\nx\n```", ["x\n"]),
        ("~~~ py\nx\n```\n~~~", ["x\n```\n"]),
        ("````\n```\nx\n```\n````", ["```\nx\n```\n"]),
        ("```\nx\n````", ["x\n"]),
        ("````python\nx = 1\n```\nDone.", ["x = 1\n"]),
        ("```py\nx = 1\n```<|im_end|>", ["x = 1\n"]),
        ("```py\nx = 1\n``` This is it.", ["x = 1\n"]),
        ("```py\nx = 1\n```Done", ["x = 1\n"]),
        ("```py\nx = 1```\nDone", ["x = 1"]),
        ("```py\nx = 1\n</answer>\nDone", ["x = 1\n"]),
        ("```py\nx = 1", ["x = 1"]),
        ("```py\nx = 1\n```python\ny = 2\n```", ["x = 1\n", "y = 2\n"]),
        ("> ```py\n> x = 1\n> ```", ["x = 1\n"]),
        ("- ```py\n  x = 1\n  ```", ["  x = 1\n"]),
        ("1. a\n   ```py\n   x = 1\n   ```", ["   x = 1\n"]),
        ("Here: ```python\nx = 1\n```", ["x = 1\n"]),
        ("\u200b```py\nx = 1\n```", ["x = 1\n"]),
        ('```py\n"""\n```\nx\n```\n"""\n```', ['"""\n```\nx\n```\n"""\n']),
        ('```py\n"""\nx\n```\nDone.', ['"""\nx\n']),
        ("```py\nx = '```'  # ```\n```", ["x = '```'  # ```\n"]),
        ("Use ```x``` inline.", []),
    ],
)
def test_blocks_are_found(text: str, codes: list[str]) -> None:
    assert [block.code for block in find_blocks(text)] == codes


def test_words_behind_a_closing_fence_are_no_part_of_the_block() -> None:
    (block,) = find_blocks("```py\nx = 1\n``` Done.")
    assert block.is_closed
    assert "``` Done."[block.end - len("```py\nx = 1\n") :] == " Done."


def test_a_block_without_an_end_is_known_as_open() -> None:
    assert not find_blocks("```py\nx = 1\n")[0].is_closed


def test_only_so_many_blocks_are_looked_for() -> None:
    assert len(find_blocks("```\nx\n```\n" * (MAX_BLOCKS + 9))) == MAX_BLOCKS
