"""The built documentation: all of it is in its folder, from where it also works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("material", reason="the extra `docs` is not installed")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text())
        loaded = [tag for tag in tags if re.search(r'(?:src|href)="(?:https?:)?//', tag)]
        assert [tag for tag in loaded if 'rel="canonical"' not in tag] == [], page


def test_a_page_that_is_opened_from_its_folder_finds_the_search(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text()
    pages = [page for page in site.rglob("*.html") if page.name != "404.html"]

    assert index.startswith("var __index = ")
    assert "rft train --task" in index
    for page in pages:
        [script] = re.findall(r'src="([^"]*iframe-worker\.js)"', page.read_text())
        assert (page.parent / script).is_file()
