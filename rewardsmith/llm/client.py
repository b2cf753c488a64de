"""One OpenAI-compatible endpoint: sends a request, tries again where that may help, says clearly why not.

The SDK's own retries are off; `retry` is the only layer. Several samples are several calls: servers ignore `n`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import ModelError, ModelUnavailable
from rewardsmith.llm import error_messages, retry
from rewardsmith.llm import response as answer
from rewardsmith.llm.dialect import Dialect
from rewardsmith.llm.endpoint import address, shown_address
from rewardsmith.llm.messages import Answer, Request
from rewardsmith.llm.prompts import one_line

if TYPE_CHECKING:
    import httpx2

    from rewardsmith.spec.settings import ModelSettings

CONNECT_TIMEOUT_S = 10.0
LIST_TIMEOUT_S = 10.0
UNCHECKED = (400, 404, 415, 422)
"""The statuses with which servers refuse a parameter, or pictures."""


Lost = Callable[[str, bool], None]
"""Is told why an attempt gave no answer, and whether another follows."""


def ignore(message: str) -> None:
    """Take a notice and drop it."""


def forget(cause: str, again: bool) -> None:
    """Take note of a lost attempt and drop it."""


class Endpoint:
    """A connection to an endpoint; one for all threads."""

    def __init__(
        self,
        settings: ModelSettings,
        key: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        notice: Callable[[str], None] = ignore,
        home: Path = Path(),
    ) -> None:
        """Open it; nothing is sent yet.

        Args:
            settings: where and how to ask.
            key: the API key.
            transport: what to send through instead of the network; for tests.
            notice: told in a line when an attempt failed and another will be made.
            home: the folder that the files of pictures are named from.
        """
        import httpx2
        import openai

        self.settings = settings
        self._home = home
        self._key = key
        self._notice = notice
        self._dialect = Dialect()
        self._lock = threading.Lock()
        self._told: set[tuple[int, str]] = set()
        self._stopped = threading.Event()
        self._client = openai.OpenAI(
            api_key=key,
            base_url=address(settings),
            max_retries=0,
            timeout=httpx2.Timeout(settings.timeout_s, connect=min(CONNECT_TIMEOUT_S, settings.timeout_s)),
            http_client=None if transport is None else httpx2.Client(transport=transport),
        )

    def chat(self, request: Request, lost: Lost = forget) -> Answer:
        """Return the answer to a request.

        Args:
            request: what is wanted.
            lost: told of each attempt that was sent and gave no answer, since its provider may bill it; what it raises
                ends the call.

        Raises:
            ModelUnavailable: if no connection or no answer could be had in all attempts.
            ModelRejected: if the endpoint refuses the key, the model's name or the request, or is no such endpoint.
        """
        import openai

        for attempt in range(self.settings.retries + 1):
            try:
                found = self._negotiated(request)
            except answer.NoCompletion as error:
                failure: ModelError = error_messages.malformed(self.settings, str(error))
                lost(str(failure), False)
                raise failure from error
            except (openai.APIError, answer.HiddenRefusal) as error:
                wait_s = self._wait_s(error, attempt) if attempt < self.settings.retries else None
                failure = self._explained(error, attempt + 1)
                if _was_sent(error):
                    lost(str(failure), wait_s is not None)
                if wait_s is None:
                    raise failure from error
            else:
                self._told.clear()
                return found
            self._tell(attempt + 1, wait_s, str(failure))
            if self._stopped.wait(wait_s):
                break
        raise ModelUnavailable(f"the call to {shown_address(self.settings)} was called off")

    def models(self) -> tuple[str, ...]:
        """Return the names of the models that the endpoint lists.

        Raises:
            ModelUnavailable: if it cannot be reached.
            ModelRejected: if it refuses the key, or lists nothing.
        """
        import openai

        try:
            page = self._client.models.with_raw_response.list(timeout=LIST_TIMEOUT_S)
        except openai.APIError as error:
            raise self._explained(error, 1) from error
        names = answer.models(page.http_response.text)
        if not names:
            raise error_messages.malformed(self.settings, "no list of models")
        return names

    def close(self) -> None:
        """Make no further attempts, and close the connections."""
        self._stopped.set()
        self._client.close()

    def _tell(self, attempt: int, wait_s: float, failure: str) -> None:
        """Say that an attempt failed; calls that fail alike while none succeeds say it once, and its cause once."""
        with self._lock:
            known = (attempt, failure) in self._told
            again = failure in {cause for _, cause in self._told}
            self._told.add((attempt, failure))
        if not known:
            alike, cause = (" for the same cause", "") if again else ("", f": {failure}")
            self._notice(f"attempt {attempt} failed{alike}, the next comes in {wait_s:.0f} s{cause}")

    def _negotiated(self, request: Request) -> Answer:
        """Send the request the way this endpoint wants it, learning that way from its refusals."""
        import openai

        while True:
            dialect = self._dialect
            try:
                return answer.read(self._send(request, dialect))
            except openai.APIStatusError as error:
                taught = dialect.taught(self._refusal(error).words, request) if error.status_code in UNCHECKED else None
                if taught is None:
                    raise
            with self._lock:  # another thread may have learnt something else meanwhile
                blind = self._dialect.pictures and not taught.pictures
                self._dialect = self._dialect.joined(taught)
            if blind:
                self._notice(f"the model {request.model!r} takes no pictures; it is told in words alone")

    def _send(self, request: Request, dialect: Dialect) -> str:
        """Return the body of a success; read by us, since servers shape it more freely than the SDK's types say."""
        from openai import omit

        temperature = request.temperature if dialect.temperature else None
        effort = request.reasoning_effort if dialect.effort else None
        length = request.max_tokens
        renamed = dialect.length == "max_completion_tokens"
        response = self._client.chat.completions.with_raw_response.create(
            model=request.model,
            messages=dialect.messages(request, self._home),
            temperature=omit if temperature is None else temperature,
            reasoning_effort=omit if effort is None else effort,
            max_tokens=length if length is not None and not renamed else omit,
            max_completion_tokens=length if length is not None and renamed else omit,
        )
        return response.http_response.text

    def _wait_s(self, error: Exception, attempt: int) -> float | None:
        """Return how long to wait before the next attempt; None where another would not help."""
        import openai

        if isinstance(error, openai.APIConnectionError):  # timeouts among them
            return retry.wait_s(attempt, {})
        refusal = self._refusal(error)
        if not retry.may_pass(refusal.status, refusal.code):
            return None
        return retry.wait_s(attempt, error.response.headers if isinstance(error, openai.APIStatusError) else {})

    def _explained(self, error: Exception, attempts: int) -> ModelError:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return error_messages.silent(self.settings, attempts)
        if isinstance(error, openai.APIConnectionError):
            return error_messages.unreachable(self.settings, self._shown(str(error.__cause__ or error)))
        refusal = self._refusal(error)
        return error_messages.refused(self.settings, refusal, attempts, self._listed() if refusal.status == 404 else ())

    def _refusal(self, error: Exception) -> error_messages.Refusal:
        import openai

        if isinstance(error, openai.APIStatusError):
            words, code = answer.words_of(error.body)
            return error_messages.Refusal(error.status_code, error.code or code, self._shown(words))
        status, code = (error.status, error.code) if isinstance(error, answer.HiddenRefusal) else (400, None)
        return error_messages.Refusal(status, code, self._shown(str(error)))

    def _listed(self) -> tuple[str, ...]:
        """Return the endpoint's models for a message; none where it does not list them."""
        import openai

        try:
            return answer.models(self._client.models.with_raw_response.list(timeout=LIST_TIMEOUT_S).http_response.text)
        except openai.APIError:
            return ()

    def _shown(self, words: str) -> str:
        """Return an endpoint's words for a message: cleaned, short, and without the key, which some echo."""
        return one_line(words.replace(self._key, "(key)"))


def _was_sent(error: Exception) -> bool:
    """Return whether a failed attempt reached the endpoint and no word came back: its answer may have been made."""
    import httpx2
    import openai

    unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
    return isinstance(error, openai.APIConnectionError) and not isinstance(error.__cause__, unsent)
