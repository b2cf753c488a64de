"""What `rewardsmith doctor` says of the language model's endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardsmith.contract.errors import ConfigError, ModelError
from rewardsmith.contract.records import Check
from rewardsmith.llm.endpoint import NO_MODEL_NEEDED, URL_VARIABLE, find_key, shown_address

if TYPE_CHECKING:
    from rewardsmith.spec.settings import LlmSettings

NAME = "language model"


def report(settings: LlmSettings | None = None) -> Check:
    """Ask the endpoint for its models: free of charge, and it needs the same address and key as a search.

    Args:
        settings: where to ask; None takes the defaults and the environment.
    """
    from rewardsmith.llm.client import Endpoint
    from rewardsmith.spec.settings import LlmSettings

    settings = settings or LlmSettings()
    key = settings.key_variable
    try:
        endpoint = Endpoint(settings, find_key(settings))
    except ConfigError as error:
        return Check(NAME, False, str(error), f"export {key}=..., and {URL_VARIABLE}=... if need be", False)
    try:
        names = endpoint.models()
    except ModelError as error:
        return Check(NAME, False, str(error), f"check {URL_VARIABLE} and {key}; {NO_MODEL_NEEDED}", False)
    finally:
        endpoint.close()
    return Check(NAME, True, f"{shown_address(settings)} answers and lists {len(names):,} model(s)", needed=False)
