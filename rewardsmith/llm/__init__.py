"""Language models: endpoint, ledger, budget and replay; the only package that uses `openai`.

messages           messages, requests, answers, and the protocol `LanguageModel` that the steps see
endpoint           the endpoint's address, its key, the cost of a call
network_settings   the proxy and the certificates that the environment names
client             one endpoint: sends a request (`transport`, bounded in time and size), tries again (`retry`), learns
                   what the endpoint accepts (`dialect`), parses the answer (`response`, `bounded_json`) or the refusal
                   (`refusals`), and explains failures (`error_messages`)
ledger             every answered call, on disk before it is used, and every call without an answer
replay             the answers of another run
budget             the limits of calls, tokens and dollars
coding_agent       a coding agent in an endpoint's place: its prompts wait until it answers them
recorded_model     these parts as one `LanguageModel`
model_pool         the models of a run, one for each role
prompts            renders prompts, and makes text of others safe in them
structured_output  answers as JSON that are checked against a form
thoughts           what a model thinks, split from what it says; fences are the fenced blocks of a text
trusted_endpoints  the endpoints to which a key may be sent
endpoint_check     the endpoint check of `rewardsmith doctor`

Importing this package is cheap; `openai` is loaded when the first call has to be made.
"""

from rewardsmith.llm.budget import Budget
from rewardsmith.llm.coding_agent import AbsentAgent, PromptDesk, WaitingPrompt
from rewardsmith.llm.endpoint import find_key
from rewardsmith.llm.endpoint_check import check_endpoint
from rewardsmith.llm.ledger import FailedAttempt, Ledger, LedgerEntry
from rewardsmith.llm.messages import (
    Completion,
    LanguageModel,
    Message,
    ModelAnswer,
    Picture,
    Request,
    parse_sample_index,
)
from rewardsmith.llm.model_pool import ModelPool, build_model_pool, check_models
from rewardsmith.llm.recorded_model import ModelConnection, RecordedModel
from rewardsmith.llm.replay import RecordedAnswers

__all__ = [
    "AbsentAgent",
    "Budget",
    "Completion",
    "FailedAttempt",
    "LanguageModel",
    "Ledger",
    "LedgerEntry",
    "Message",
    "ModelAnswer",
    "ModelConnection",
    "ModelPool",
    "Picture",
    "PromptDesk",
    "RecordedAnswers",
    "RecordedModel",
    "Request",
    "WaitingPrompt",
    "build_model_pool",
    "check_endpoint",
    "check_models",
    "find_key",
    "parse_sample_index",
]
