"""The layers of the seal, as reward processes report them: the usual ones, and a line that says what held a program."""

from __future__ import annotations

from collections.abc import Collection

MANDATORY_LAYERS = ("seccomp", "no-new-privs", "limits")
"""Without one of these no program is run."""
MISSING_LAYERS = {
    "landlock": "no Landlock on this kernel",
    "namespaces": "no namespaces for this user",
    "empty-root": "no empty root folder",
    "no-privileges": "it runs as root",
}
"""Layer that the local backend adds where the machine allows it, to the words for a machine without it."""
CONTAINER = "container"
REPLACED_BY_CONTAINER = ("namespaces", "empty-root", "no-privileges")
"""Layers that a container gives in its own way."""


def list_missing_layers(layers: Collection[str]) -> tuple[str, ...]:
    """Return the usual layers that a reward process was held without.

    >>> list_missing_layers(["container", "limits", "no-new-privs", "seccomp"])
    ('landlock',)
    """
    replaced = REPLACED_BY_CONTAINER if CONTAINER in layers else ()
    return tuple(layer for layer in MISSING_LAYERS if layer not in layers and layer not in replaced)


def describe_layers(layers: Collection[str]) -> str:
    """Describe the layers that held a reward process, and the usual ones that are not there, in one line.

    >>> describe_layers(["container", "limits", "no-new-privs", "seccomp"])
    'container, seccomp, no-new-privs, limits (fewer layers than usual: no Landlock on this kernel)'

    Args:
        layers: their names, as the process reported them when it was sealed.
    """
    order = (CONTAINER, *MANDATORY_LAYERS, *MISSING_LAYERS)
    line = ", ".join(layer for layer in order if layer in layers)
    missing = list_missing_layers(layers)
    if not missing:
        return line
    return f"{line} (fewer layers than usual: {', '.join(MISSING_LAYERS[layer] for layer in missing)})"
