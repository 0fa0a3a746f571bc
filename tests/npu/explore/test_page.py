"""The page of a search: what is in it, and that a browser shows it on a screen and on a phone."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from npu.errors import OutputError
from npu.explore.domain import Domain
from npu.explore.figures import sensitivity
from npu.explore.finalists import finalists
from npu.explore.metrics import parse_constraints
from npu.explore.outcome import Outcome, Request, read_networks, run_search
from npu.explore.page import search_page_text, write_search_page
from npu.explore.search import Goal, Variant
from npu.explore.store import Store
from npu.explore.workers import InProcess
from rtl.config import NpuConfig
from tests.npu.small_model import classifier
from tests.support.browsers import BROWSERS, NO_BROWSER

WIDTHS = (1280, 400)


@pytest.fixture(name="outcome", scope="module")
def outcome_fixture(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("search")
    model = folder / "classifier.tflite"
    model.write_bytes(classifier())
    choices = {"pixels": (2, 4, 8), "channels": (2, 4), "bus_bytes": (4, 8, 16)}
    request = Request(
        read_networks([(model, 1.0)]),
        [Variant("as given", (0,))],
        Domain(NpuConfig(requant_lanes=8), 20, choices),
        Goal(("time", "area"), parse_constraints(["lut<=60000"])),
    )
    with Store(folder / "a.sqlite") as store:
        return run_search(request, store, InProcess([model]))


def record_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="record">(.*?)</script>', text, re.S)
    assert found is not None
    record: dict[str, Any] = json.loads(found[1])
    return record


def test_the_page_has_every_point_of_the_front(outcome: Outcome) -> None:
    text = search_page_text(outcome, {outcome.front[0].config: {"LUTeq": 12_345.0}})
    points = record_of(text)["points"]
    assert len(points) == len(outcome.front)
    assert [point["chosen"] for point in points].count(True) == 1
    for point, trial in zip(points, outcome.front, strict=True):
        assert NpuConfig.from_dict(tomllib.loads(point["toml"])) == trial.config
        assert "npu verilog --config npu.toml" in point["commands"]
        assert "npu synth --config npu.toml" in point["commands"]
        bars = point["figure"]["data"]
        assert sum(sum(bar["x"]) for bar in bars) == trial.metrics["cycles"]
    assert "12,345" in text
    assert "Horowitz, ISSCC 2014" in text


def test_sensitivity_is_a_share_of_the_variance(outcome: Outcome) -> None:
    effects = sensitivity(outcome)
    assert set(effects) == {"pixels", "channels", "bus_bytes"}
    assert list(effects.values()) == sorted(effects.values(), reverse=True)
    assert 0.8 < sum(effects.values()) < 1.05


def test_finalists_are_of_the_front(outcome: Outcome) -> None:
    some = finalists(outcome, 2)
    assert some[0] is outcome.chosen
    assert len(some) == 2
    assert all(trial in outcome.front for trial in finalists(outcome, 9))


def test_a_page_that_cannot_be_written(outcome: Outcome, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_search_page(outcome, tmp_path)


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Browser]:
    program = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if program is None:
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        # root has no sandbox of its own, and nothing foreign is opened
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_in_a_browser(browser: Browser, outcome: Outcome, tmp_path: Path, width: int) -> None:
    path = tmp_path / "page.html"
    write_search_page(outcome, path)
    page = browser.new_context(viewport={"width": width, "height": 900}, offline=True).new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-point]", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    points = record_of(path.read_text())["points"]
    chosen = next(at for at, point in enumerate(points) if point["chosen"])
    assert page.evaluate("Number(document.body.dataset.point)") == chosen
    other = (chosen + 1) % len(points)
    page.select_option("#point select", index=other)
    assert page.inner_text("#toml").strip() == points[other]["toml"].strip()
    # what a click in the figure of the front does
    page.evaluate(
        "document.getElementById('figure-front').emit("
        f"'plotly_click', {{points: [{{customdata: {chosen}}}]}})"
    )
    assert page.evaluate("Number(document.body.dataset.point)") == chosen
    assert page.locator("#figure-parallel svg, #figure-sensitivity svg").count() > 0
    assert said == []
