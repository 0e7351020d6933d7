"""A browser for tests, where Playwright and Debian's Chromium are; elsewhere a test is skipped with the reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PLACES = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"width": 360, "height": 700}


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright, of the extra `test`")
    found = next((path for name in PLACES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs Chromium (Debian: `apt-get install chromium`)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page(browser: Any, **settings: Any) -> Iterator[Any]:
    """Open a page, whose errors and messages of the console fail the test at its end."""
    context = browser.new_context(**settings)
    opened = context.new_page()
    opened.said = said = []  # what a test expects it removes
    opened.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: said.append(f"error: {error}"))
    try:
        yield opened
        assert not said
        assert not opened.evaluate("window.hacked"), "a text ran as a script"
    finally:
        context.close()
