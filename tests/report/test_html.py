"""The page for a browser: what it holds, that it needs nothing else, and what it does in Chromium."""

from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from helpers import ROOT, browser
from helpers.results import EVIL, HOSTILE, config, write_results

from earmark.evaluation.comparison import Difference
from earmark.files import write_json
from earmark.report import changes, figure_parts, html, svg
from earmark.report.page import Present, browsable
from earmark.report.parts import Section, Table

PAIRS = [Difference("net", "linear", 40, 0.15, 0.1, 0.2, 1.0, 1e-9, settled=False, holm=True)]


def made(root: Path, notes: tuple[str, ...] = (), compared: tuple[str, ...] = ("net", "linear")) -> str:
    metrics, scores, labels = write_results(root)
    present = Present(["linear", "net"], list(compared), [], list(notes))
    files = dict.fromkeys(compared, labels / "top50/labels.csv")
    return browsable(config(), metrics, scores, files, present, PAIRS, {})


class Read(HTMLParser):
    """The texts and tags of a page, and what its tags lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for key, value in attrs if key == "id"]
        self.links += [value for key, value in attrs if key in ("href", "src", "action", "data", "poster")]
        self.handlers += [key for key, _ in attrs if key.startswith("on") or key == "style"]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_has_every_part_and_escapes_what_others_have_written(tmp_path):
    page = made(tmp_path, notes=("not measured: <b>gone</b>",))
    read = Read(page)
    for part in ("experiments", "pairs", "tags", "curves", "calibration", "confusion", "training", "corpus", "missing"):
        assert part in read.ids
    assert read.tags.count("svg") >= 8
    assert "<b>gone" not in page
    assert HOSTILE not in page
    assert HOSTILE in read.texts  # as a text
    assert not {"img", "iframe", "link", "object"} & set(read.tags)
    assert len(read.ids) == len(set(read.ids))


def test_of_many_experiments_the_charts_and_the_wide_tables_have_the_best_and_say_so(tmp_path, monkeypatch):
    assert not re.search("best of|best experiments", made(tmp_path))
    monkeypatch.setattr(figure_parts, "BARS", 1)
    monkeypatch.setattr(figure_parts, "COLUMNS", 1)
    texts = Read(made(tmp_path)).texts
    assert any("The chart has the 1 best of 2." in text for text in texts)
    assert any("The tables have the 1 best experiments; metrics/tags has a file of each." in text for text in texts)
    assert "net, ROC" in texts
    assert "linear, ROC" not in texts


def test_the_page_needs_no_network_and_no_other_file(tmp_path):
    page = made(tmp_path)
    read = Read(page)
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.links)
    assert not read.handlers  # the policy would refuse them
    assert not re.search(r"https?://(?!www\.w3\.org)|url\(|@import|fetch\(", page)
    assert "default-src &#39;none&#39;" in page


def test_equal_results_give_equal_bytes_without_a_place_or_a_time(tmp_path):
    page = made(tmp_path / "one")
    assert made(tmp_path / "another") == page
    assert str(tmp_path) not in page
    assert not re.search(r"\b20\d\d-\d\d", page)


def test_without_scores_the_page_shows_what_is_measured(tmp_path):
    read = Read(made(tmp_path, compared=()))
    assert "curves" in read.ids
    assert not {"calibration", "confusion"} & set(read.ids)
    assert any("nan" in text.split() for text in read.texts) is False


def test_a_new_project_has_a_page_too(tmp_path):
    (tmp_path / "metrics/crossvalidations").mkdir(parents=True)
    page = browsable(config(experiments={}), tmp_path / "metrics", tmp_path, {}, Present([], [], [], []), [], {})
    assert "Nothing has been measured yet" in page


def colours(scheme: str) -> dict[str, tuple[float, ...]]:
    blocks = html.text_of(html.STYLE).split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6})", blocks[0 if scheme == "light" else 1]))
    return {name: tuple(int(value[at : at + 2], 16) / 255 for at in (0, 2, 4)) for name, value in found.items()}


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """By WCAG 2.2: the ratio of the relative luminances."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_a_contrast_of_aa_and_lines_that_of_graphics(scheme):
    from earmark.report.svg import DARKEST

    of = colours(scheme)
    for name in ("ink", "soft", "link", "good", "bad"):
        assert contrast(of[name], of["ground"]) >= 4.5, name
        assert contrast(of[name], of["raised"]) >= 4.5, name
    for number in range(8):
        assert contrast(of[f"s{number}"], of["ground"]) >= 3, number
    full = tuple(DARKEST * c + (1 - DARKEST) * g for c, g in zip(of["cell"], of["ground"], strict=True))
    assert contrast(of["ink"], full) >= 4.5


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_served_page_tells_what_changed_since_the_last_commit(tmp_path):
    page = made(tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "metrics")
    git(tmp_path, "commit", "--quiet", "-m", "Before <i>it</i>")
    same = html.with_changes(page, changes.section(tmp_path / "metrics"))
    assert "no experiment has other figures" in same
    assert "Before &lt;i&gt;it&lt;/i&gt;" in same
    write_json(tmp_path / "metrics/experiments/net.json", {"roc_auc": 0.95, "low": 0.9, "high": 1.0, "pr_auc": 0.5})
    (tmp_path / "metrics/experiments/linear.json").unlink()
    shown = html.with_changes(page, changes.section(tmp_path / "metrics"))
    texts = " ".join(Read(shown).texts)
    assert "+0.0500" in texts
    assert "gone" in texts
    assert "changes" in Read(shown).ids


def test_without_git_the_served_page_says_so(tmp_path):
    page = made(tmp_path)
    assert "Nothing to compare with: " in html.with_changes(page, changes.section(tmp_path / "metrics"))


# --- in a browser


@pytest.fixture(scope="module")
def chrome():
    with browser.chromium() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    written = folder / "index.html"
    written.write_text(made(folder), encoding="utf-8")
    return written.as_uri()


def test_a_table_is_sorted_and_filtered_by_the_keyboard(chrome, file):
    with browser.page(chrome, offline=True) as page:
        page.goto(file)
        rows = page.locator("#tags-1 tbody tr")
        button = page.locator("#tags-1 thead button").nth(2)
        button.focus()
        page.keyboard.press("Enter")
        assert page.locator("#tags-1 thead th").nth(2).get_attribute("aria-sort") == "descending"
        assert rows.nth(0).locator("th").inner_text() == "piano"
        page.keyboard.press("Space")
        assert page.locator("#tags-1 thead th").nth(2).get_attribute("aria-sort") == "ascending"
        assert rows.nth(0).locator("th").inner_text() == "drums"
        page.get_by_label("Rows that hold").first.fill("PIA")
        assert page.locator("#tags-1 tbody tr:visible").count() == 1
        assert page.locator("#tags-1-filter-told").inner_text() == "1 of 3 rows"


@pytest.mark.parametrize("evil", EVIL)
def test_no_title_name_or_text_becomes_an_element_or_runs(chrome, tmp_path, evil):
    """Names of corpora, experiments, tags and files, and the text of a commit, in every place that the page has."""
    with browser.page(chrome, offline=True) as page:
        elements = []
        for number, text in enumerate(("plain", evil)):
            file = tmp_path / f"{number}.html"
            served = html.with_changes(html.document(text, [everything("all", text)]), everything("changes", text))
            file.write_text(served, encoding="utf-8")
            page.goto(file.as_uri())
            for button in page.locator("thead button").all():
                button.click()
            page.locator("input").first.fill(text)
            tags = page.evaluate("[...document.querySelectorAll('*')].map((one) => one.tagName).sort()")
            elements.append([tag for tag in tags if tag != "title"])  # of SVG: a long name has one
            assert page.title() == text
        assert page.locator("h1").text_content() == evil
        assert page.locator("caption").first.text_content() == evil
        assert page.locator("figcaption").first.text_content() == evil
        assert elements[1] == elements[0]
        attributes = page.evaluate("[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())")
        assert not [name for name in attributes if name.startswith("on")]


def everything(key: str, text: str) -> Section:
    """A part of the page with this text wherever a text may stand."""
    table = Table(text, (text, "number"), [[text, "1"], [f"{text}2", text]], filtered=True)
    charts = [
        svg.line_chart(text, [svg.Series(text, [(0, 0), (1, 1)], 0)], text, text, (0, 1), (0, 1)),
        svg.interval_chart(text, [svg.Interval(text, 0.5, 0.4, 0.6, text)], beside=text),
        svg.dot_chart(text, [text], [(text, [0.5])]),
        svg.matrix_chart(text, [text, text], [[0.5, 0.5], [0.5, 0.5]], [text] * 4),
    ]
    return Section(key, text, [text, f"`{text}`"], charts, [table], {text: (charts, [table])})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_page_without_scrolling_sideways(chrome, file, scheme):
    with browser.page(chrome, viewport=browser.PHONE, color_scheme=scheme, reduced_motion="reduce") as page:
        page.goto(file)
        assert page.evaluate("document.documentElement.scrollWidth") == browser.PHONE["width"]
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"


def test_the_templates_are_part_of_the_wheel():
    import tomllib

    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["earmark"]
    assert "report/templates/*" in data
