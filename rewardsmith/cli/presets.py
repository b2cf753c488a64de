"""`rewardsmith presets`: the recipes that come with it, what one sets, and in what two differ."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rewardsmith.cli.console import say, say_json, say_table

app = typer.Typer(help="List the presets, show one, or compare two.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def presets(
    context: typer.Context, json_: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False
) -> None:
    """List the presets, show one, or compare two."""
    if context.invoked_subcommand is not None:
        return
    from rewardsmith.spec.presets import load, names

    found = [load(name) for name in names()]
    if json_:
        say_json([{"name": preset.name, "about": preset.about, "settings": preset.layer} for preset in found])
    else:
        say_table(("preset", "says"), [(preset.name, preset.about) for preset in found])


@app.command()
def show(name: Annotated[str, typer.Argument(help="A preset's name, or a TOML file.")]) -> None:
    """Show what NAME sets, with the source of every key."""
    from rewardsmith.spec.presets import load

    say(load(name).text.rstrip())


@app.command()
def diff(
    left: Annotated[str, typer.Argument(help="A preset's name, or a TOML file.", metavar="A")],
    right: Annotated[str, typer.Argument(help="Another.", metavar="B")],
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show in what presets A and B differ."""
    from rewardsmith.spec.presets import differences, load

    found = differences(load(left), load(right))
    if json_:
        say_json([{"key": one.key, left: one.left, right: one.right} for one in found])
    elif not found:
        say("They differ in nothing.")
    else:
        say_table(("setting", left, right), [(one.key, _shown(one.left), _shown(one.right)) for one in found])


def _shown(value: Any) -> str:
    """Return a value as TOML spells it.

    >>> [_shown(value) for value in (None, True, 0.5, "llm")]
    ['none', 'true', '0.5', 'llm']
    """
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
