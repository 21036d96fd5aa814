"""The Dagster UI in a headless Chromium: what a person would click, by the words that stand there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import CHECKOUT

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
SHOTS = Path(os.environ.get("LLM_ASSETS_SCREENSHOTS", CHECKOUT / ".state" / "screenshots"))
STILL = """() => document.getAnimations().every(
    moved => moved.playState !== "running" || moved.effect.getTiming().iterations === Infinity)"""
WAIT_MS = 60_000  # two cores may be busy with the run that is looked at


def missing() -> str | None:
    """What there is not, to drive a browser; None where everything is there."""
    if CHROMIUM is None:
        return "no chromium on PATH: apt-get install chromium"
    return None if find_spec("playwright") else "playwright is not installed: uv pip install playwright"


class Ui:
    """One page of it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self._address = page, address

    def open(self, path: str) -> None:
        self.page.goto(f"{self._address}/{path}")

    def shot(self, name: str) -> None:
        """Keep a picture of what is to be seen, once it has faded in."""
        self.page.wait_for_function(STILL)
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def sees(self, text: str | re.Pattern[str]) -> Locator:
        """Wait until some text is to be seen."""
        found = self.page.get_by_text(text).locator("visible=true").first
        found.wait_for()
        return found

    def click(self, button: str) -> None:
        self.page.get_by_role("button", name=button).last.click()

    def menu(self, button: str, item: str | re.Pattern[str]) -> None:
        """Choose from the menu beside a button."""
        self.page.get_by_role("button", name=button).first.locator("xpath=following::button[1]").click()
        self.page.get_by_role("menuitem", name=item).first.click()

    def launchpad(self, asset: str, parameters: str) -> None:
        """Open the launchpad of an asset (`tenant/name/stage`), and write the parameters of its run into it."""
        self.open(f"assets/{asset}")
        self.menu("Materialize", "Open launchpad")
        ready, asked = self.page.get_by_text("All defaults expanded"), self.page.get_by_role("button", name="Confirm")
        ready.or_(asked).first.wait_for()
        if asked.is_visible():  # what it reads from is not there yet
            asked.click()
        ready.wait_for()
        self.shot("launchpad_with_the_defaults_of_" + asset.replace("/", "_"))
        config = f"ops: {{{asset.replace('/', '__')}: {{config: {{{parameters}}}}}}}"
        self.page.locator(".CodeMirror-lines").first.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(config)

    def launched(self) -> str:
        """Click Materialize in the launchpad; the id of the run that the UI then shows."""
        self.sees("No errors")
        self.click("Materialize")
        self.page.wait_for_url("**/runs/*")
        return self.page.url.rpartition("/")[2].partition("?")[0]


@contextmanager
def browser(address: str) -> Iterator[Ui]:
    """A browser for the tests of a module.

    Raises:
        RuntimeError: there is none.
    """
    if lacking := missing():
        raise RuntimeError(lacking)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(WAIT_MS)
        yield Ui(page, address)
        chromium.close()
