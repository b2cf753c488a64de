"""Everything that talks to a language model: endpoint, ledger, budget and replay; the one user of `openai`.

records    messages, requests, answers, and the `LanguageModel` that the steps see
settings   the endpoint's address, where its key comes from, a call's cost
client     one endpoint: sends, tries again (retry), learns its dialect (negotiate), reads (answer), explains (explain)
ledger     every answered call on the disk before it is used, and every one that gave no answer
replay     another run's answers
budget     what calls may use
model      all of these as one LanguageModel
models     `build`: the models of a run, one for each role
endpoints  where a key may be sent
check      what `rewardsmith doctor` says of the endpoint

Importing this package is cheap; `openai` is loaded when the first call has to be made.
"""

from rewardsmith.llm.budget import Budget
from rewardsmith.llm.endpoint import find_key
from rewardsmith.llm.endpoint_check import report
from rewardsmith.llm.ledger import Attempt, Entry, Ledger
from rewardsmith.llm.messages import Answer, Completion, LanguageModel, Message, Picture, Request, sample_of
from rewardsmith.llm.model_pool import Models, build
from rewardsmith.llm.recorded_model import RecordedModel
from rewardsmith.llm.replay import Recording

__all__ = [
    "Answer",
    "Attempt",
    "Budget",
    "Completion",
    "Entry",
    "LanguageModel",
    "Ledger",
    "Message",
    "Models",
    "Picture",
    "RecordedModel",
    "Recording",
    "Request",
    "build",
    "find_key",
    "report",
    "sample_of",
]
