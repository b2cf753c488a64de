"""The endpoint check of `rewardsmith doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardsmith.contract.errors import ConfigError, ModelError
from rewardsmith.contract.records import DoctorCheck
from rewardsmith.llm.endpoint import NO_MODEL_NEEDED, URL_VARIABLE, find_address, find_key, redact_address
from rewardsmith.llm.network_settings import check_network_settings

if TYPE_CHECKING:
    from rewardsmith.spec.settings import LlmSettings

NAME = "language model"


def check_endpoint(settings: LlmSettings | None = None) -> DoctorCheck:
    """Ask the endpoint for its models: free of charge, and it needs the same address and key as a search.

    Args:
        settings: where to ask; None takes the defaults and the environment.
    """
    from rewardsmith.llm.client import Endpoint
    from rewardsmith.spec.settings import LlmSettings

    settings = settings or LlmSettings()
    key = settings.key_variable
    try:
        check_network_settings(find_address(settings))
    except ConfigError as error:
        return DoctorCheck(NAME, False, str(error), f"correct what the line names; {NO_MODEL_NEEDED}", False)
    try:
        endpoint = Endpoint(settings, find_key(settings))
    except ConfigError as error:
        return DoctorCheck(NAME, False, str(error), f"export {key}=..., and {URL_VARIABLE}=... if need be", False)
    try:
        names = endpoint.list_models()
    except ModelError as error:
        return DoctorCheck(NAME, False, str(error), f"check {URL_VARIABLE} and {key}; {NO_MODEL_NEEDED}", False)
    finally:
        endpoint.close()
    return DoctorCheck(
        NAME, True, f"{redact_address(settings)} answers and lists {len(names):,} model(s)", needed=False
    )
