"""Options that several verbs share."""

from __future__ import annotations

from typing import Any

EXECUTOR_HELP = "Where jobs run: local, slurm, ray, or ray:HOST:PORT for a cluster that is there. [default: as set]"

TRUST_HELP = "Send the key to the endpoint that the run names, from now on, although nothing on this machine names it."


def executor_layer(text: str | None) -> dict[str, Any]:
    """Return `--executor` as a layer of configuration.

    >>> executor_layer("ray:10.0.0.1:6379")
    {'executor': {'kind': 'ray', 'address': '10.0.0.1:6379'}}
    """
    if text is None:
        return {}
    kind, _, address = text.partition(":")
    return {"executor": {"kind": kind, "address": address} if address else {"kind": kind}}
