"""Tests against real servers: LiteLLM's proxy, and `transformers serve` with a tiny random model.

Each lies in a virtual environment of its own, which `make test-servers` makes. Nothing is downloaded by the servers.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from fakes.raw_endpoint import build_completion, build_response, serve_raw

from rewardsmith.contract.errors import ModelError, ModelRejected, ModelUnavailable
from rewardsmith.llm import Message, Request, check_endpoint
from rewardsmith.llm.client import Endpoint
from rewardsmith.spec.settings import LlmSettings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LITELLM = ROOT / ".venv-litellm" / "bin"
TRANSFORMERS = ROOT / ".venv-transformers" / "bin"
START_S = 300.0
"""Importing torch or LiteLLM takes a minute on a busy machine."""
KEY = f"sk-{secrets.token_hex(32)}"
"""LiteLLM starts with no weaker one."""
MESSAGES = (Message("system", "rules"), Message("user", "hello"))

UPSTREAM_ANSWERS: dict[str, tuple[str, object]] = {
    "alternate": ("400 Bad Request", {"message": "Conversation roles must alternate user/assistant/...", "code": 400}),
    "context": (
        "400 Bad Request",
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. However, you requested 10203 tokens"
            }
        },
    ),
    "temperature": ("400 Bad Request", {"error": {"message": "temperature is not supported with this model"}}),
    "busy": ("429 Too Many Requests", {"error": {"message": "Please try again in 1s", "code": "rate_limit_exceeded"}}),
}
"""What the server behind the proxy says to each of its models."""

BUILD_MODEL = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
alphabet = pre_tokenizers.ByteLevel.alphabet()
words = ["<s>", "</s>", "<pad>", *sorted(alphabet)]
tokenizer = Tokenizer(models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
fast.chat_template = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
)
fast.save_pretrained(sys.argv[1])
config = LlamaConfig(
    vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
    num_key_value_heads=2, max_position_embeddings=512, bos_token_id=0, eos_token_id=1, pad_token_id=2,
)
LlamaForCausalLM(config).save_pretrained(sys.argv[1])
"""


def require(program: Path) -> None:
    """Skip where the server is not installed; fail where it should be."""
    if not program.exists():
        if os.environ.get("REWARDSMITH_TEST_SERVERS"):
            pytest.fail(f"{program} should be there")
        pytest.skip("make test-servers installs it")


def choose_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[str]:
    """Start a server, wait until it lists its models, and end it with all its processes."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(log.parent),
        "HF_HUB_OFFLINE": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, cwd=log.parent, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_until_it_listens(f"http://127.0.0.1:{port}", process, log)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_it_listens(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/v1/models", timeout=20).close()
        except OSError as error:
            if isinstance(error, urllib.request.HTTPError):  # it answers, whatever it says
                error.close()
                return
            time.sleep(1.0)
        else:
            return
    pytest.fail(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


def ask(url: str, model: str, **settings: object) -> str:
    chosen = {"model": model, "base_url": url, "retries": 0, "timeout_s": 120.0, **settings}
    request = Request(model, MESSAGES, 1.0, 8)
    with closing(Endpoint(LlmSettings.model_validate(chosen), KEY)) as endpoint:
        return endpoint.chat(request).text


def answer_upstream(request: str) -> Iterable[bytes]:
    """Answer as the server behind LiteLLM."""
    if not request.startswith("POST /v1/chat/completions"):
        return [build_response(b"{}", "404 Not Found")]
    body = json.loads(request.partition("\r\n\r\n")[2])
    model = body["model"]
    refuses = {"alternate": body["messages"][0]["role"] == "system", "temperature": "temperature" in body}
    if model in UPSTREAM_ANSWERS and refuses.get(model, True):
        status, said = UPSTREAM_ANSWERS[model]
        return [build_response(json.dumps(said).encode(), status, Content_Type="application/json")]
    return [build_response(build_completion("through the proxy"), Content_Type="application/json")]


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of LiteLLM's proxy, before a server of ours."""
    require(LITELLM / "litellm")
    folder = tmp_path_factory.mktemp("litellm")
    with serve_raw(answer_upstream) as upstream:
        models = [
            {
                "model_name": name,
                "litellm_params": {"model": f"openai/{name}", "api_base": upstream.url, "api_key": "sk-up"},
            }
            for name in ("ok", *UPSTREAM_ANSWERS)
        ]
        config = folder / "config.yaml"
        sections = {"general_settings": {"master_key": KEY}, "litellm_settings": {"num_retries": 0, "telemetry": False}}
        config.write_text(json.dumps({"model_list": models, **sections}))  # JSON is YAML
        port = choose_port()
        command = [str(LITELLM / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        with running(command, port, folder / "log.txt") as url:
            yield url


def test_litellm_passes_an_answer_on_and_lists_its_models(litellm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(litellm, "ok") == "through the proxy"
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert check_endpoint(LlmSettings(base_url=litellm)).ok


@pytest.mark.parametrize("model", ["alternate", "temperature"])
def test_a_refusal_through_litellm_is_negotiated(litellm: str, model: str) -> None:
    assert ask(litellm, model) == "through the proxy"


def test_a_context_overflow_through_litellm_names_the_setting(litellm: str) -> None:
    with pytest.raises(ModelRejected, match=r"llm\.max_tokens"):
        ask(litellm, "context")


def test_a_rate_limit_through_litellm_is_waited_for(litellm: str) -> None:
    with pytest.raises(ModelUnavailable, match="rate limit"):
        ask(litellm, "busy")


def test_a_model_that_litellm_does_not_have_is_one_line(litellm: str) -> None:
    with pytest.raises(ModelError) as caught:
        ask(litellm, "none")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of a few kilobytes, whose template knows no system message."""
    require(TRANSFORMERS / "transformers")
    folder = tmp_path_factory.mktemp("tiny") / "model"
    subprocess.run([str(TRANSFORMERS / "python"), "-c", BUILD_MODEL, str(folder)], check=True, timeout=START_S)
    return folder


@pytest.fixture(scope="module")
def transformers(tiny_model: Path) -> Iterator[str]:
    """The address of `transformers serve`."""
    port = choose_port()
    command = [str(TRANSFORMERS / "transformers"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, tiny_model.parent / "log.txt") as url:
        yield url


def test_a_template_without_a_system_message_in_transformers_is_asked_without_one(
    transformers: str, tiny_model: Path
) -> None:
    settings = LlmSettings(model=str(tiny_model), base_url=transformers, retries=0, timeout_s=120.0)
    with closing(Endpoint(settings, "unused")) as endpoint:
        answer = endpoint.chat(Request(str(tiny_model), MESSAGES, 1.0, 8))
    assert answer.finish in ("stop", "length", "empty")  # a random model says anything


def test_a_model_that_transformers_does_not_have_is_one_line(transformers: str) -> None:
    with pytest.raises(ModelError) as caught:
        ask(transformers, "/nonexistent/model")
    assert "\n" not in str(caught.value)
