"""Calls of the Hugging Face Hub through its official client, which finds the user's token itself.

The client reads HF_ENDPOINT, HF_TOKEN and what `hf auth login` stored. No token passes through this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from rewardsmith.contract.errors import ConfigError, RunFailed
from rewardsmith.contract.reward_files import MAX_FILE_BYTES
from rewardsmith.contract.text import flatten_text
from rewardsmith.report.hub.card import MISSING_PACKAGE, PROGRAM_FILE
from rewardsmith.report.hub.package import HubPackage

SIGN_IN = "sign in with `hf auth login`, or set HF_TOKEN to a token that may write"
UNAUTHORIZED, FORBIDDEN = 401, 403
MAX_CAUSE_CHARS = 200

_REPOSITORY = re.compile(r"(?:https?://[^/]+/)?(?P<id>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})/?", re.ASCII)


@dataclass(frozen=True)
class FetchedProgram:
    """A program's file that was fetched from the Hub."""

    path: Path
    """Path in the client's cache; its content is untrusted."""
    repository: str
    """OWNER/NAME."""
    commit: str
    """Commit that the file is from, hexadecimal."""

    @property
    def origin(self) -> str:
        """Its origin, for the library."""
        return f"hub:{self.repository}@{self.commit[:12]}"


def parse_repository(text: str) -> str | None:
    """Return the OWNER/NAME that a text names, as such or as an address; None for any other text, a file for instance.

    >>> parse_repository("ada/hopper"), parse_repository("https://huggingface.co/ada/hopper/")
    ('ada/hopper', 'ada/hopper')
    >>> print(parse_repository("rewards/hop.py"))
    None
    """
    match = _REPOSITORY.fullmatch(text)
    return match["id"] if match and not match["id"].endswith(".py") else None


def push_package(package: HubPackage, repository: str, private: bool, message: str) -> str:
    """Push a folder as one commit to a model repository, which is made if it does not exist.

    Args:
        package: the folder.
        repository: OWNER/NAME, or NAME for one of the user's own.
        private: whether a new repository is private; an existing one stays as it is.
        message: of the commit.

    Returns:
        The address of the repository.

    Raises:
        ConfigError: if the client is not installed, the name cannot be one, or the user may not write there.
        RunFailed: if the Hub does not answer.
    """
    hub = _import_client()
    with _explain_errors(repository):
        api = hub.HfApi()
        if "/" not in repository:
            repository = f"{api.whoami()['name']}/{repository}"
        created = api.create_repo(repository, private=private, repo_type="model", exist_ok=True)
        api.upload_folder(
            repo_id=created.repo_id, folder_path=package.folder, commit_message=message, repo_type="model"
        )
        return str(created)


def fetch_program(repository: str) -> FetchedProgram:
    """Fetch the program of a pushed run; nothing of it is run.

    Args:
        repository: OWNER/NAME.

    Raises:
        ConfigError: if the client is not installed, there is no such repository or program in it, or it is too large.
        RunFailed: if the Hub does not answer.
    """
    hub = _import_client()
    with _explain_errors(repository):
        about = hub.get_hf_file_metadata(hub.hf_hub_url(repository, PROGRAM_FILE))
        if about.size is None or about.size > MAX_FILE_BYTES:
            size = "an unknown size" if about.size is None else f"{about.size:,} bytes"
            raise ConfigError(f"{PROGRAM_FILE} of {repository} has {size}; a program has at most {MAX_FILE_BYTES:,}")
        path = hub.hf_hub_download(repository, PROGRAM_FILE, revision=about.commit_hash)
    return FetchedProgram(Path(path), repository, str(about.commit_hash or ""))


def _import_client() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ConfigError(MISSING_PACKAGE) from error
    client: ModuleType = huggingface_hub
    return client


@contextmanager
def _explain_errors(repository: str) -> Iterator[None]:
    """Turn the client's errors into a line for the user."""
    import httpx2
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.HFValidationError as error:
        raise ConfigError(f"{repository!r} cannot name a repository of the Hub; it is OWNER/NAME") from error
    except errors.LocalTokenNotFoundError as error:
        raise ConfigError(f"the Hub needs to know who you are: {SIGN_IN}") from error
    except errors.EntryNotFoundError as error:
        raise ConfigError(f"{repository} has no {PROGRAM_FILE}; it was not pushed by rewardsmith") from error
    except errors.RepositoryNotFoundError as error:
        raise ConfigError(
            f"the Hub has no repository {repository} that you may read; if it is private, {SIGN_IN}"
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status in (UNAUTHORIZED, FORBIDDEN):
            raise ConfigError(f"the Hub refuses {repository} (HTTP {status}): {SIGN_IN}") from error
        raise RunFailed(f"the Hub failed on {repository}: {_shorten_cause(error)}") from error
    except (httpx2.HTTPError, errors.OfflineModeIsEnabled, OSError) as error:
        raise RunFailed(f"the Hub at {constants.ENDPOINT} does not answer: {_shorten_cause(error)}") from error


def _shorten_cause(error: Exception) -> str:
    return flatten_text(str(error))[:MAX_CAUSE_CHARS] or type(error).__name__
