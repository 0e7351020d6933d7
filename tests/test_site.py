"""The documentation site: every page has its place, links lead somewhere, and nothing is fetched from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

from earmark.storage import provenance

LINK = re.compile(r"(?<=\]\()([^)\s#]+)")
MADE = {"index.md", "contributing.md", "changelog.md"}  # of README.md and its like, by tools/site.py
WIDEST = 100  # columns of README.md
PICTURE = 200_000  # bytes


def pages() -> set[str]:
    return {file.relative_to(ROOT / "docs").as_posix() for file in (ROOT / "docs").rglob("*.md")}


def named(part: object) -> list[str]:
    """The pages of a part of the navigation."""
    if isinstance(part, dict | list):
        return [page for one in (part.values() if isinstance(part, dict) else part) for page in named(one)]
    return [str(part)]


def test_every_page_stands_in_the_navigation_once():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    shown = named(config["nav"])
    assert len(shown) == len(set(shown))
    assert set(shown) == MADE | {page for page in pages() if not page.startswith("decisions/")}
    assert config["strict"]
    assert config["theme"]["font"] is False


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{p}" for p in sorted(pages()))]
)
def test_links_lead_somewhere_on_a_plain_forge_too(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in LINK.findall(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
        if not re.match(r"[a-z]+:", target):
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{p}" for p in sorted(pages()))]
)
def test_a_list_and_a_table_stand_apart_from_the_paragraph_before(page):
    """GitHub shows them either way; the site runs them into the paragraph."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    assert not re.findall(r"^[^\s|#<-].*\n(?=- |\|)", text, flags=re.M)


def test_the_readme_is_narrow_and_its_pictures_are_small_and_alone():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [line for line in text.splitlines() if len(line) > WIDEST]
    shown = re.findall(r"!\[[^\]]+\]\((\S+)\)", text)
    assert {"docs/pictures/clip.svg", "docs/pictures/results.svg"} <= set(shown)
    for picture in shown:
        content = (ROOT / picture).read_text(encoding="utf-8")
        assert len(content.encode()) < PICTURE
        assert "prefers-color-scheme:dark" in content
        assert "<title>" in content
        fetched = re.findall(r"(?:href|src)=\"(?!data:)|url\((?!#)|@import|<script", content)
        assert not fetched


def test_only_the_benchmarks_import_kymatio_and_librosa():
    """They are what the project compares with; no result passes through them."""
    found = set()
    for file in provenance.PACKAGE.rglob("*.py"):
        if re.search(r"^\s*(?:from|import) (?:kymatio|librosa)\b", file.read_text(encoding="utf-8"), re.M):
            found.add(file.relative_to(provenance.PACKAGE).as_posix())
    assert found == {"bench/peers.py", "bench/end_to_end.py"}


needs_mkdocs = pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="earmark[docs] is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it."""
    out = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(
        line, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@needs_mkdocs
def test_nothing_is_fetched_from_elsewhere(site: Path):
    assert (site / "search/search_index.json").is_file()
    for file in [*site.rglob("*.html"), *site.rglob("*.css")]:
        text = file.read_text(encoding="utf-8")
        outside = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>", text)
        outside += re.findall(r"url\(\s*[\"']?(?:https?:)?//[^)]*|@import[^;]*", text)
        assert not outside, f"{file.name}: {outside}"


@needs_mkdocs
def test_the_reference_has_what_the_package_shows(site: Path):
    import earmark

    text = (site / "reference/python.html").read_text(encoding="utf-8")
    assert all(f'id="earmark.{name}"' in text for name in earmark.__all__)
    assert "&gt;&gt;&gt;" in text


@needs_mkdocs
def test_the_search_works_without_a_network(site: Path):
    """In a browser, of files that a server of this machine gives, any other request refused."""
    chromium = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).is_file()), None)
    if chromium is None or importlib.util.find_spec("playwright") is None:
        pytest.skip("Chromium or playwright is not installed")
    code = f"""
import functools, http.server, threading
from playwright.sync_api import sync_playwright
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory={str(site)!r})
handler.func.log_message = lambda *_: None
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as p:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{{server.server_port}}/"
    browser = p.chromium.launch(executable_path={chromium!r}, args=["--no-sandbox"])
    page = browser.new_page()
    errors, outside = [], []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.route("**/*", lambda r: r.continue_() if r.request.url.startswith((here, "data:", "blob:"))
               else (outside.append(r.request.url), r.abort()))
    page.goto(here + "index.html")
    page.fill("input.md-search__input", "standardizer")
    page.wait_for_selector(".md-search-result__item", state="attached")
    print(page.locator(".md-search-result__item").count(), errors, outside)
    browser.close()
    server.shutdown()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    number, rest = done.stdout.split(maxsplit=1)
    assert int(number) > 0
    assert rest.strip() == "[] []"
