"""Pages in a real browser: no error, the JSON's figures, readable on a screen and on a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.npu.report.page.records import shipped_page
from tests.support.browsers import BROWSERS, NO_BROWSER

WIDTHS = (1280, 400)
# WCAG's contrast for text
CONTRAST = 4.5

pytestmark = pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason=NO_BROWSER)


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Browser]:
    program = next(path for path in map(shutil.which, BROWSERS) if path)
    with sync_playwright() as playwright:
        # root has no sandbox of its own, and nothing foreign is opened
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(name="run", scope="module")
def run_fixture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return shipped_page(tmp_path_factory.mktemp("run"), "run", "--backend", "cycle")


@pytest.fixture(name="speedup", scope="module")
def speedup_fixture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return shipped_page(tmp_path_factory.mktemp("speedup"), "speedup")


def open_page(browser: Browser, path: Path, width: int = 1280, scheme: Any = "light") -> Page:
    """The page, drawn; without a network, and failing on anything that the console is told."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-drawn]", timeout=60_000)
    assert said == []
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", ["run", "speedup"])
def test_pages_are_readable(
    browser: Browser, kind: str, width: int, scheme: str, request: pytest.FixtureRequest
) -> None:
    page = open_page(browser, request.getfixturevalue(kind)[0], width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(_CONTRAST) >= CONTRAST
    assert page.evaluate(_OUTSIDE) == []
    assert page.evaluate(_OVERLAPPING) == []


# the least that text of the page or of figures has with the background: (brighter + 0.05) /
# (darker + 0.05)
_CONTRAST = """() => {
  const luminance = (colour) => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const back = luminance(getComputedStyle(document.body).backgroundColor);
  const inks = ["p", "h1", "td", ".tile span"].map((name) => document.querySelector(name))
    .map((found) => getComputedStyle(found).color);
  const labels = [...document.querySelectorAll(".xtick text, .ytick text, .legendtext")];
  for (const label of labels) inks.push(getComputedStyle(label).fill);
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  return Math.min(...inks.map((ink) => contrast(luminance(ink), back)));
}"""

_LABELS = """
  const labels = (plot) => [...plot.querySelectorAll(
    ".xtick text, .ytick text, .x2tick text, .y2tick text, .legendtext, .xtitle, .ytitle, " +
    ".textpoint text")]
    .map((label) => [label.textContent, label.getBoundingClientRect()])
    .filter(([_, box]) => box.width > 0);
"""

_OUTSIDE = f"""() => {{ {_LABELS}
  const found = [];
  for (const plot of document.querySelectorAll(".figure")) {{
    const whole = plot.getBoundingClientRect();
    for (const [text, box] of labels(plot))
      if (box.left < whole.left - 1 || box.right > whole.right + 1) found.push(text);
  }}
  return found;
}}"""

# labels may touch, not cover each other
_OVERLAPPING = f"""() => {{ {_LABELS}
  const found = [];
  for (const plot of document.querySelectorAll(".figure")) {{
    const all = labels(plot);
    all.forEach(([text, a], at) => all.slice(0, at).forEach(([other, b]) => {{
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 2 && high > 4) found.push([other, text]);
    }}));
  }}
  return found;
}}"""


def test_figures_are_those_of_the_json(browser: Browser, run: tuple[Path, dict[str, Any]]) -> None:
    path, record = run
    page = open_page(browser, path)
    drawn = page.evaluate("document.getElementById('figure-cycles').data.map((t) => t.x)")
    timed = [layer["cycles"] for layer in record["layers"] if layer["cycles"]]
    assert [sum(bars) for bars in zip(*drawn, strict=True)] == timed
    names = page.evaluate("document.getElementById('figure-roofline').data.map((t) => t.text)")
    found = {name for trace in names if trace for name in trace}
    assert found == {f"{x['index']} {x['op']}" for x in record["layers"] if x["roofline"]}
    counters = page.evaluate(
        "[...document.getElementById('counters').tBodies[0].rows]"
        ".map((row) => row.cells[1].dataset.value)"
    )
    assert [int(count) for count in counters] == list(record["counters"].values())


def test_tables_sort(browser: Browser, run: tuple[Path, dict[str, Any]]) -> None:
    path, record = run
    page = open_page(browser, path)
    column = (
        "[...document.getElementById('layers').tBodies[0].rows].map((r) => r.cells[4].innerText)"
    )
    before = page.evaluate(column)
    cycles = [layer["cycles"] for layer in record["layers"] if layer["cycles"] is not None]
    heading = page.locator("#layers th button", has_text="cycles")
    heading.click()
    shown = [text for text in page.evaluate(column) if text != "-"]
    assert shown == [f"{count:,}" for count in sorted(cycles)]
    heading.click()
    shown = [text for text in page.evaluate(column) if text != "-"]
    assert shown == [f"{count:,}" for count in sorted(cycles, reverse=True)]
    page.locator("#layers th button").first.click()
    assert page.evaluate(column) == before


def test_figures_follow_when_the_scheme_changes(
    browser: Browser, run: tuple[Path, dict[str, Any]]
) -> None:
    page = open_page(browser, run[0])
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "document.getElementById('figure-cycles').layout.font.color"
        " === getComputedStyle(document.body).color"
    )
    assert page.evaluate(_CONTRAST) >= CONTRAST
