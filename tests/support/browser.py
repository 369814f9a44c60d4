"""Fixtures of the tests that look at the site: `site` builds it, `browser_page` opens it in Chromium.

Both skip, with the reason, what cannot run here; with ``--site`` that is a failure. conftest.py hands
them to pytest. What uses them is marked `site`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import ROOT

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
MATHS_WAIT = 60_000  # milliseconds


def unavailable(request: pytest.FixtureRequest, reason: str) -> None:
    """Skip, or fail where the tests of the site were asked for by name."""
    if request.config.option.site:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the built site. Building runs the code of all pages, and warnings are errors."""
    if request.config.option.site:
        return request.config.option.site.resolve()
    for name in ("sphinx", "myst_nb", "furo"):
        if importlib.util.find_spec(name) is None:
            unavailable(request, f'{name} is missing: pip install -e ".[docs]"')
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-d", folder / "trees", ROOT / "docs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*map(str, command), str(folder / "site")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "site"


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> Iterator[object]:
    """A headless Chromium, as Playwright's `Browser`."""
    if importlib.util.find_spec("playwright") is None:
        unavailable(request, 'playwright is missing: pip install -e ".[site]"')
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        unavailable(request, f"no Chromium: none of {', '.join(CHROMIUM)} is on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browser_page(chromium) -> Iterator[Callable[..., object]]:
    """A function ``(width=1280, height=900, dark=False)`` that gives a new `Page` of Playwright.

    The page has no network. Where one asked for anything but files, or said an error on its console, the
    test fails at its end.
    """
    problems: list[str] = []
    contexts = []

    def open_page(width: int = 1280, height: int = 900, dark: bool = False):
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            offline=True,
        )
        contexts.append(context)
        page = context.new_page()

        def note(what: str) -> None:
            problems.append(f"{Path(page.url).name}: {what}")

        def requested(request) -> None:
            if not request.url.startswith(("file:", "data:")):
                note(f"asked for {request.url}")

        page.on("request", requested)
        page.on("requestfailed", lambda request: note(f"did not get {request.url}"))
        page.on("console", lambda m: note(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: note(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)


def wait_for_maths(page) -> None:
    """Return when MathJax has set all equations of the page (at once where there are none)."""
    page.wait_for_function(
        "() => !document.querySelector('.math') || window.MathJax?.startup?.promise",
        timeout=MATHS_WAIT,
    )
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => null)")
