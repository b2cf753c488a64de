"""A Hugging Face Hub on the loopback interface, which keeps in memory what the official client sends."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

USER = "ada"
TOKEN = "token-of-the-tests"
LFS_SUFFIXES = (".safetensors", ".mp4", ".webp")


@dataclass
class FakeHub:
    """State of the server."""

    endpoint: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """OWNER/NAME to its files."""
    private: set[str] = field(default_factory=set)
    commits: list[tuple[str, str]] = field(default_factory=list)
    """Repository and message of each."""
    objects: dict[str, bytes] = field(default_factory=dict)
    """Large files by their SHA-256."""
    claimed_size: int | None = None
    """Size that is said of every file, in place of its own."""

    def variables(self, home: Path, token: str | None = TOKEN) -> dict[str, str]:
        """Return the environment variables that send the official client here."""
        known = {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        known |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1"}
        return known | ({"HF_TOKEN": token} if token else {})


@contextmanager
def serve_hub() -> Iterator[FakeHub]:
    """Serve an empty Hub while the block runs."""
    hub = FakeHub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.read_file(with_body=False)

    def do_GET(self) -> None:
        path = self.path_parts()
        if path[:2] == ["api", "whoami-v2"]:
            known = {"name": USER, "type": "user", "orgs": []}
            self.answer(known) if self.is_known() else self.answer({"error": "Invalid username or password."}, 401)
        elif path[:2] == ["api", "models"]:
            name = "/".join(path[2:4])
            self.answer({"id": name, "sha": "1" * 40}) if self.may_read(name) else self.refuse(name)
        else:
            self.read_file(with_body=True)

    def do_POST(self) -> None:
        path, body = self.path_parts(), self.read_body()
        if not self.is_known():
            self.answer({"error": "Invalid username or password."}, 401)
        elif path == ["api", "repos", "create"]:
            self.create_repository(json.loads(body))
        elif path == ["api", "validate-yaml"]:
            self.check_card(json.loads(body)["content"])
        elif path[-1] == "batch":
            self.offer_uploads(json.loads(body))
        elif "preupload" in path:
            files = json.loads(body)["files"]
            modes = [{"path": one["path"], "uploadMode": self.mode(one["path"])} for one in files]
            self.answer({"files": [{**one, "shouldIgnore": False} for one in modes]})
        elif "commit" in path:
            self.commit("/".join(path[2:4]), [json.loads(line) for line in body.splitlines() if line])
        else:
            self.answer({"error": "unknown"}, 404)

    def do_PUT(self) -> None:
        content = self.read_body()
        self.state.objects[hashlib.sha256(content).hexdigest()] = content
        self.answer({})

    def create_repository(self, body: dict) -> None:
        name = f"{body.get('organization') or USER}/{body['name']}"
        status = 409 if name in self.state.repositories else 200
        self.state.repositories.setdefault(name, {})
        if body.get("private") or body.get("visibility") == "private":
            self.state.private.add(name)
        self.answer({"url": f"{self.state.endpoint}/{name}", "name": name}, status)

    def check_card(self, card: str) -> None:
        metadata = yaml.safe_load(card.split("---\n")[1])
        errors = [] if isinstance(metadata, dict) and metadata["tags"] else [{"message": "no metadata"}]
        self.answer({"errors": errors, "warnings": []})

    def offer_uploads(self, body: dict) -> None:
        objects = []
        for one in body["objects"]:
            upload = {"upload": {"href": f"{self.state.endpoint}/objects/{one['oid']}"}}
            objects.append({"oid": one["oid"], "size": one["size"], "actions": upload})
        self.answer({"transfer": "basic", "objects": objects})

    def commit(self, repository: str, lines: list[dict]) -> None:
        files = self.state.repositories[repository]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.state.commits.append((repository, value["summary"]))
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.state.objects[value["oid"]]
        url = f"{self.state.endpoint}/{repository}/commit/{'1' * 40}"
        self.answer({"success": True, "commitOid": "1" * 40, "commitUrl": url})

    def read_file(self, with_body: bool) -> None:
        path = self.path_parts()
        repository, name = "/".join(path[:2]), "/".join(path[4:])
        files = self.state.repositories.get(repository)
        if files is None or not self.may_read(repository):
            return self.refuse(repository)
        if name not in files:
            return self.answer({"error": "Entry not found"}, 404, "EntryNotFound")
        content = files[name]
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "1" * 40)
        size = len(content) if self.state.claimed_size is None or with_body else self.state.claimed_size
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def answer(self, value: object, status: int = 200, code: str | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def may_read(self, repository: str) -> bool:
        is_open = repository not in self.state.private or self.is_known()
        return repository in self.state.repositories and is_open

    def refuse(self, repository: str) -> None:
        status = 401 if repository in self.state.private else 404
        self.answer({"error": "Repository not found"}, status, "RepoNotFound")

    def is_known(self) -> bool:
        return self.headers.get("authorization") == f"Bearer {TOKEN}"

    def path_parts(self) -> list[str]:
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    @staticmethod
    def mode(path: str) -> str:
        return "lfs" if path.endswith(LFS_SUFFIXES) else "regular"
