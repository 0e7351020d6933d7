"""What `dvc plots show` draws into: one page without a network, in which experiments are laid over each other."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from helpers import ROOT, browser
from helpers.results import EVIL

FOLDER = ROOT / ".dvc/plots"
PAGE = FOLDER / "page.html"


def rendered(
    where: Path,
    revisions: tuple[str, ...] = ("workspace",),
    experiments: int = 2,
    labels: int = 1,
    drums: str = "<b>drums</b>",
) -> str:
    """The page as DVC makes it, with what it draws of a project."""
    from dvc_render import VegaRenderer
    from dvc_render.html import render_html

    found = []

    def add(name: str, rows: list[dict[str, str]], **properties: str) -> None:
        points = [row | {"rev": rev} for rev in revisions for row in rows]
        found.append(VegaRenderer(points, name, template_dir=str(FOLDER), **{"title": name} | properties))

    for number in range(labels):
        rows = [{"tag": tag, "train": "9"} for tag in ("piano", drums)]
        add(f"metrics/positives/l{number}.csv", rows, x="train", y="tag", template="tags", title="positives")
    for number in range(experiments):
        name = f"net-{number}"
        curve = [{"fpr": f"{x / 10}", "tpr": f"{(x / 10) ** 0.5}"} for x in range(11)]
        add(f"metrics/roc/{name}.csv", curve, x="fpr", y="tpr", template="linear")
        tags = [{"tag": tag, "positives": "9", "roc_auc": "0.8", "pr_auc": "0.5"} for tag in ("piano", drums)]
        add(f"metrics/tags/{name}.csv", tags, x="roc_auc", y="tag", template="tags")
        epochs = [
            {"epoch": f"{e}", "train_loss": "0.5", "valid_loss": f"0.{9 - e}", "valid_roc_auc": f"0.{5 + e}"}
            for e in range(3 if number else 0)  # the first has none: it fits itself
        ]
        add(f"metrics/training/{name}.csv", epochs, x="epoch", y="valid_roc_auc", template="linear")
        add(f"metrics/details/{name}.json", [])
    written = render_html(found, where / "index.html", html_template=PAGE)
    return Path(written).as_uri()


def test_dvc_is_told_of_the_page():
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc/config")
    assert ROOT / ".dvc" / config["plots"]["html_template"] == PAGE


def test_the_page_holds_its_libraries_and_loads_nothing():
    text = PAGE.read_text(encoding="utf-8")
    own = (FOLDER / "page.template.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe)\b[^>]+(src|href)=|fetch\(|@import|url\(", own)
    assert not re.search(r"<script[^>]", text)
    assert text.count("{plot_divs}") == 1
    assert "{scripts}" not in text  # where DVC would put those of a network
    assert len(text) < 1_000_000


def test_the_page_is_the_template_with_libraries():
    before, _, after = (FOLDER / "page.template.html").read_text(encoding="utf-8").partition("%(libraries)s")
    text = PAGE.read_text(encoding="utf-8")
    assert text.startswith(before), "python .dvc/plots/make_page.py makes it again"
    assert text.endswith(after)
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for name, version in re.findall(r"(Vega(?:-\w+)?) (\d+\.\d+\.\d+)", before):
        assert f"{name} {version}" in notice


@pytest.fixture(scope="module")
def chrome():
    with browser.chromium() as started:
        yield started


@pytest.mark.parametrize("revisions", [("workspace",), ("workspace", "HEAD")])
def test_experiments_are_laid_over_each_other_without_a_network(chrome, tmp_path, revisions):
    with browser.page(chrome, offline=True) as page:
        page.goto(rendered(tmp_path, revisions))
        page.wait_for_selector("body[data-charts='5']")
        titles = page.locator(".role-title-text").all_text_contents()
        assert "ROC curves, mean over tags" in titles
        assert page.locator("#charts > .overlaid").count() == 4
        assert page.locator("#others > *").count() == 0  # nothing is left empty
        choice = page.locator("select[name='wanted']")
        assert choice.locator("option").all_inner_texts() == ["net-1"]
        assert page.locator("#rest").is_hidden()


def test_all_but_eight_charts_are_folded(chrome, tmp_path):
    with browser.page(chrome, offline=True, viewport=browser.PHONE) as page:
        page.goto(rendered(tmp_path, labels=7))
        page.wait_for_selector("body[data-charts='11']")
        assert page.locator("#charts > *").count() == 8
        assert page.locator("#rest > div").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth") == browser.PHONE["width"]


@pytest.mark.parametrize("evil", EVIL)
def test_a_tag_is_shown_as_a_text_and_never_runs(chrome, tmp_path, evil):
    """DVC writes it as it is into a script of the page."""
    with browser.page(chrome, offline=True) as page:
        elements = []
        for number, drums in enumerate(("drums", evil)):
            (tmp_path / str(number)).mkdir()
            page.goto(rendered(tmp_path / str(number), drums=drums))
            page.wait_for_selector("body[data-charts='5']")
            page.locator(".mark-symbol path").last.hover(force=True)
            elements.append(page.evaluate("[...document.querySelectorAll('*')].map((one) => one.tagName).sort()"))
        told = page.locator("svg[class='marks'] text").all_text_contents()
        assert sum(evil[:10] in text for text in told) == 2  # a long one is cut
        assert elements[1] == elements[0]
