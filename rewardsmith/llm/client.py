"""Client of one OpenAI-compatible endpoint: sends requests, repeats those that may succeed, explains failures.

The SDK's own retries are off; `retry` is the only layer. Several samples are several calls: servers ignore `n`.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import ConfigError, ModelError, ModelUnavailable
from rewardsmith.llm import error_messages, retry
from rewardsmith.llm.dialect import Dialect, has_system_message
from rewardsmith.llm.endpoint import UNUSED_KEY, URL_VARIABLE, find_address, redact_address
from rewardsmith.llm.messages import ModelAnswer, Request
from rewardsmith.llm.network_settings import find_proxy
from rewardsmith.llm.prompts import to_one_line
from rewardsmith.llm.refusals import RequestRefused, parse_refusal
from rewardsmith.llm.response import NoCompletion, parse_completion, parse_model_names

if TYPE_CHECKING:
    import httpx2

    from rewardsmith.spec.settings import ModelSettings

logger = logging.getLogger(__name__)
# Python would print warnings while no run, and so no log, is open.
logging.getLogger("rewardsmith").addHandler(logging.NullHandler())

CONNECT_TIMEOUT_S = 10.0
LIST_TIMEOUT_S = 10.0
MASKED_CHARS = 3
"""The shortest secret that is masked in an endpoint's words; a shorter one would be found in any word."""
MESSAGE_CHARS = 300
"""Largest number of characters of an endpoint's words in a message."""

LostAttemptListener = Callable[[str, bool], None]
"""Receives the reason why an attempt gave no answer, and whether another follows."""


def ignore_notice(message: str) -> None:
    """Take a notice and drop it."""


def ignore_lost_attempt(cause: str, again: bool) -> None:
    """Take note of a lost attempt and drop it."""


class Endpoint:
    """A connection to an endpoint; one for all threads."""

    def __init__(
        self,
        settings: ModelSettings,
        key: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        notice: Callable[[str], None] = ignore_notice,
        home: Path = Path(),
    ) -> None:
        """Open it; nothing is sent yet.

        Args:
            settings: where and how to ask.
            key: the API key.
            transport: what to send through instead of the network; for tests.
            notice: receives a line when an attempt failed and another will be made.
            home: the folder that the files of pictures are named from.

        Raises:
            ConfigError: if the address is invalid, or the environment names a proxy or certificates that cannot be
                used.
        """
        import httpx2
        import openai

        from rewardsmith.llm.transport import BoundedTransport, NetworkTransport

        self.settings = settings
        self._address = find_address(settings)
        self._proxy = None if transport else find_proxy(self._address)
        self._home = home
        secrets = (key, *self._address.secrets)
        self._secrets = [secret for secret in secrets if len(secret) >= MASKED_CHARS and secret != UNUSED_KEY]
        self._notice = notice
        self._dialect = Dialect()
        self._takes_system_messages = False
        self._lock = threading.Lock()
        self._reported: set[tuple[int, str]] = set()
        self._stopped = threading.Event()
        try:
            # The proxy and the redirects are the transport's: neither the SDK nor httpx2 looks for more of them.
            http_client = httpx2.Client(
                transport=BoundedTransport(transport or NetworkTransport(self._address)), trust_env=False
            )
            self._client = openai.OpenAI(
                api_key=key,
                base_url=self._address.base,
                default_query=dict(self._address.query),
                max_retries=0,
                timeout=httpx2.Timeout(settings.timeout_s, connect=min(CONNECT_TIMEOUT_S, settings.timeout_s)),
                http_client=http_client,
            )
        except httpx2.InvalidURL as error:
            raise ConfigError(
                f"the language model's address {self._address.shown!r} is no http address: {error}; correct "
                f"{URL_VARIABLE} or llm.base_url"
            ) from error

    def chat(self, request: Request, lost: LostAttemptListener = ignore_lost_attempt) -> ModelAnswer:
        """Return the answer to a request.

        Args:
            request: what is wanted.
            lost: receives each attempt that was sent and gave no answer, since its provider may bill it; what it
                raises ends the call.

        Raises:
            ModelUnavailable: if no connection or no answer could be had in all attempts.
            ModelRejected: if the endpoint refuses the key, the model's name or the request, or is no such endpoint.
        """
        import openai

        for attempt in range(self.settings.retries + 1):
            try:
                answer = self._negotiate(request)
            except NoCompletion as error:
                failure: ModelError = error_messages.malformed_answer_error(self.settings, self._clean(str(error)))
                logger.warning("attempt %d at %s failed: %s", attempt + 1, request.model, failure)
                lost(str(failure), False)
                raise failure from error
            except (openai.APIConnectionError, RequestRefused) as error:
                wait_s = self._wait_s(error, attempt) if attempt < self.settings.retries else None
                failure = self._explain(error, attempt + 1)
                logger.warning("attempt %d at %s failed: %s", attempt + 1, request.model, failure)
                if _was_sent(error):
                    lost(str(failure), wait_s is not None)
                if wait_s is None:
                    raise failure from error
            else:
                logger.info("%s answered at attempt %d", request.model, attempt + 1)
                self._reported.clear()
                return answer
            self._report_failed_attempt(attempt + 1, wait_s, str(failure))
            if self._stopped.wait(wait_s):
                break
        raise ModelUnavailable(f"the call to {redact_address(self.settings)} was called off")

    def list_models(self) -> tuple[str, ...]:
        """Return the names of the models that the endpoint lists.

        Raises:
            ModelUnavailable: if it cannot be reached.
            ModelRejected: if it refuses the key, or lists nothing.
        """
        import openai

        try:
            names = self._fetch_model_names()
        except NoCompletion as error:
            raise error_messages.malformed_answer_error(self.settings, str(error)) from error
        except (openai.APIConnectionError, RequestRefused) as error:
            raise self._explain(error, 1) from error
        if not names:
            raise error_messages.malformed_answer_error(self.settings, "no list of models")
        return names

    def close(self) -> None:
        """Make no further attempts, and close the connections."""
        self._stopped.set()
        self._client.close()

    def _report_failed_attempt(self, attempt: int, wait_s: float, failure: str) -> None:
        """Say that an attempt failed; calls that fail alike while none succeeds say it once, and its cause once."""
        with self._lock:
            known = (attempt, failure) in self._reported
            again = failure in {cause for _, cause in self._reported}
            self._reported.add((attempt, failure))
        if not known:
            alike, cause = (" for the same cause", "") if again else ("", f": {failure}")
            self._notice(f"attempt {attempt} failed{alike}, the next comes in {wait_s:.0f} s{cause}")

    def _negotiate(self, request: Request) -> ModelAnswer:
        """Send the request the way this endpoint wants it, learning that way from its refusals."""
        while True:
            dialect = self._dialect
            try:
                answer = parse_completion(self._send_request(request, dialect))
            except RequestRefused as error:
                taught = dialect.learn_from_refusal(error.refusal, request)
                if taught is None:
                    return self._guess_dialect(request, dialect, error)
                self._adopt(taught, request)
            else:
                self._takes_system_messages |= dialect.system and has_system_message(request)
                return answer

    def _guess_dialect(self, request: Request, dialect: Dialect, error: RequestRefused) -> ModelAnswer:
        """Send a request that failed for no reason in another dialect, once.

        Raises:
            RequestRefused: if there is no other dialect to try, or it fails too.
        """
        guess = None if self._takes_system_messages else dialect.guess_from_silence(error.refusal, request)
        if guess is None:
            raise error
        try:
            answer = parse_completion(self._send_request(request, guess))
        except RequestRefused as second:
            # An answer that had begun is the attempt that may be billed.
            raise (second if second.refusal.begun else error) from None
        self._adopt(guess, request)
        return answer

    def _adopt(self, taught: Dialect, request: Request) -> None:
        """Remember a dialect, and say what of the user's settings is left out in it."""
        with self._lock:  # another thread may have learnt something else meanwhile
            before = self._dialect
            after = self._dialect = before.join(taught)
        for left_out in before.describe_losses(after):
            self._notice(f"the model {request.model!r} takes no {left_out}")
        logger.info("%s is asked in another way: %s", request.model, after)

    def _send_request(self, request: Request, dialect: Dialect) -> str:
        """Return the body of a success; read by us, since servers shape it more freely than the SDK's types say."""
        from openai import omit

        temperature = request.temperature if dialect.temperature else None
        effort = request.reasoning_effort if dialect.effort else None
        length = request.max_tokens
        renamed = dialect.length == "max_completion_tokens"
        with _translate_refusals():
            response = self._client.chat.completions.with_raw_response.create(
                model=request.model,
                messages=dialect.build_messages(request, self._home),
                temperature=omit if temperature is None else temperature,
                reasoning_effort=omit if effort is None else effort,
                max_tokens=length if length is not None and not renamed else omit,
                max_completion_tokens=length if length is not None and renamed else omit,
            )
        return response.http_response.text

    def _fetch_model_names(self) -> tuple[str, ...]:
        """Return the names of the models that the endpoint lists; none where its answer is no list."""
        with _translate_refusals():
            page = self._client.models.with_raw_response.list(timeout=LIST_TIMEOUT_S)
        return parse_model_names(page.http_response.text)

    def _wait_s(self, error: Exception, attempt: int) -> float | None:
        """Return how long to wait before the next attempt; None where another would not help."""
        if not isinstance(error, RequestRefused):  # no connection, or none in time
            return retry.compute_wait_s(attempt)
        refusal = error.refusal
        hopeless = error_messages.is_too_long(refusal) or error_messages.is_wrong_address(self.settings, refusal)
        if hopeless or not retry.is_transient(refusal.status, refusal.code):
            return None
        return retry.compute_wait_s(attempt, refusal.wait_s)

    def _explain(self, error: Exception, attempts: int) -> ModelError:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return error_messages.timeout_error(self.settings, attempts)
        if not isinstance(error, RequestRefused):
            cause = self._clean(str(error.__cause__ or error))
            if _was_sent(error):
                return error_messages.broken_connection_error(self.settings, cause, attempts)
            return error_messages.unreachable_error(self.settings, cause, self._proxy)
        location = error.refusal.location and self._clean(error.refusal.location)
        refusal = dataclasses.replace(error.refusal, words=self._clean(error.refusal.words), location=location)
        models = self._list_for_message() if refusal.status == 404 else ()
        return error_messages.refusal_error(self.settings, refusal, attempts, models)

    def _list_for_message(self) -> tuple[str, ...]:
        """Return the endpoint's models for a message; none where it does not list them."""
        import openai

        try:
            return self._fetch_model_names()
        except (openai.APIError, RequestRefused, NoCompletion):
            return ()

    def _clean(self, words: str) -> str:
        """Return an endpoint's words for a message: cleaned, short, and without the key, which some echo."""
        for secret in self._secrets:
            words = words.replace(secret, "(key)")
        return to_one_line(words, MESSAGE_CHARS)


@contextmanager
def _translate_refusals() -> Iterator[None]:
    """Turn the SDK's error for a status other than success into ours.

    Raises:
        RequestRefused: in its place.
    """
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        response = error.response
        raise RequestRefused(parse_refusal(response.status_code, response.text, response.headers)) from error


def _was_sent(error: Exception) -> bool:
    """Return whether a failed attempt reached the endpoint and no whole answer came back: it may have been made."""
    import httpx2
    import openai

    if isinstance(error, RequestRefused):
        return error.refusal.begun

    unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
    return isinstance(error, openai.APIConnectionError) and not isinstance(error.__cause__, unsent)
