"""`rewardsmith presets`: the presets that ship with rewardsmith, the settings of one, and the differences of two."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rewardsmith.cli.console import print_json, print_line, print_rows
from rewardsmith.cli.options import JsonOption, VerbOrNameGroup, complete_preset

NameArgument = Annotated[
    str, typer.Argument(help="A preset's name, or a TOML file.", metavar="NAME", autocompletion=complete_preset)
]


app = typer.Typer(
    name="presets",
    cls=VerbOrNameGroup,
    help="List the presets, show one, or compare two.",
    rich_markup_mode=None,
    subcommand_metavar="[NAME | list | show NAME | diff A B]",
)


@app.command("list")
def list_presets(json_: JsonOption = False) -> None:
    """List the presets; the same without a verb."""
    from rewardsmith.spec.presets import list_preset_names, load_preset

    presets = [load_preset(name) for name in list_preset_names()]
    if json_:
        print_json([{"name": preset.name, "about": preset.about, "settings": preset.layer} for preset in presets])
    else:
        print_rows(("preset", "about"), [(preset.name, preset.about) for preset in presets])


@app.command("show")
def show_preset(name: NameArgument) -> None:
    """Show the settings of NAME, with the source of every key; the same without the verb."""
    from rewardsmith.spec.presets import load_preset

    print_line(load_preset(name).text.rstrip())


@app.command("diff")
def diff_presets(
    left: Annotated[
        str, typer.Argument(help="A preset's name, or a TOML file.", metavar="A", autocompletion=complete_preset)
    ],
    right: Annotated[str, typer.Argument(help="Another one.", metavar="B", autocompletion=complete_preset)],
    json_: JsonOption = False,
) -> None:
    """Show the settings in which the presets A and B differ."""
    from rewardsmith.spec.presets import compare_presets, load_preset

    differences = compare_presets(load_preset(left), load_preset(right))
    if json_:
        print_json([{"key": item.key, left: item.left, right: item.right} for item in differences])
    elif not differences:
        print_line("no difference")
    else:
        rows = [(item.key, _format_toml_value(item.left), _format_toml_value(item.right)) for item in differences]
        print_rows(("setting", left, right), rows)


def _format_toml_value(value: Any) -> str:
    """Return a value as TOML spells it.

    >>> [_format_toml_value(value) for value in (None, True, 0.5, "llm")]
    ['none', 'true', '0.5', 'llm']
    """
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
