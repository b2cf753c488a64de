"""The documentation site: its navigation has every page, and no link leaves its folder; `make docs` checks the rest."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fakes.paths import CHECKOUT

import rewardsmith

DOCS = CHECKOUT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def list_pages(value: object) -> list[str]:
    """Return the pages of a navigation or of a part of it."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [page for part in parts for page in list_pages(part)]  # type: ignore[attr-defined]


def test_every_page_is_in_the_navigation_once() -> None:
    settings = yaml.safe_load((CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(list_pages(settings["nav"])) == PAGES, "add the page to `nav` in mkdocs.yml"


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_to_a_file_of_the_folder(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in LINK.findall(text):
        file = (DOCS / target).resolve()
        assert file.is_file(), f"{page} links to {target}"
        assert file.is_relative_to(DOCS), f"{page} links to {target}, which the site does not have; name it as `code`"


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_shows_every_public_name(tmp_path: Path) -> None:
    pytest.importorskip("zensical")
    for name in ("docs", "rewardsmith"):
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "mkdocs.yml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    page = (tmp_path / "site" / "python" / "index.html").read_text(encoding="utf-8")
    for name in rewardsmith.__all__:
        assert f'id="rewardsmith.{name}"' in page or name.startswith("__"), name
