"""The page in a real browser, driven as a person would: it opens without a complaint, and its switches switch.

Needs Chromium and its driver; without them these tests fail and say so, since nothing else looks at the page.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from boxlist.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

    from boxlist.tasks.datasets.catalog import Document

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
KINDS = ("truth", "hit", "miss", "false", "repeat")
EVIL = "</title></svg></script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """A headless browser that keeps what the page's console says."""
    programs = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    if not all(programs):
        pytest.fail("no Chromium with its driver: on Debian, apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.binary_location = str(programs[0])
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(str(programs[1]))) as driver:
        driver.set_window_size(1300, 1000)
        yield driver


@pytest.fixture(scope="module")
def page(fake_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "report.html"
    words = [str(fake_runs / name) for name in ("r8-raw", "base")]
    assert main(["report", *words, "--out", str(out), "--images", "6"]) == 0
    return out


@pytest.fixture
def opened(browser: webdriver.Chrome, page: Path) -> Iterator[webdriver.Chrome]:
    """The page, freshly opened; at the end its console must be empty."""
    browser.get(page.as_uri())
    yield browser
    assert console(browser) == []


def seen(driver: webdriver.Chrome, css: str) -> list[WebElement]:
    """The elements that a person sees, on the page though perhaps further down."""
    found: list[WebElement] = driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter((element) => element.getClientRects().length)", css
    )
    return found


def console(driver: webdriver.Chrome) -> list[str]:
    """What the browser complained of since this was last asked."""
    untyped: Any = driver
    return [str(line["message"]) for line in untyped.get_log("browser")]


def choose(driver: webdriver.Chrome, text: str) -> None:
    Select(driver.find_element(By.ID, "view")).select_by_visible_text(text)


def test_it_opens_with_every_figure_and_the_first_runs_answers(opened: webdriver.Chrome) -> None:
    assert opened.title == "boxlist report"
    assert len(seen(opened, "#g0 .chart svg")) >= 5
    assert {panel.get_attribute("data-view") for panel in seen(opened, ".panel")} == {"0"}
    loaded = "return [...document.images].every(i => i.loading === 'lazy' || i.naturalWidth > 0)"
    assert opened.execute_script(loaded)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_box_can_be_switched_off_and_on(opened: webdriver.Chrome, kind: str) -> None:
    before = len(seen(opened, f".stage .{kind} rect"))
    others = {other: len(seen(opened, f".stage .{other} rect")) for other in KINDS if other != kind}
    assert before
    switch = opened.find_element(By.ID, f"show-{kind}")
    switch.click()
    assert seen(opened, f".stage .{kind} rect") == []
    assert {other: len(seen(opened, f".stage .{other} rect")) for other in others} == others
    switch.click()
    assert len(seen(opened, f".stage .{kind} rect")) == before


def test_switches_are_reached_and_used_with_the_keyboard(opened: webdriver.Chrome) -> None:
    opened.execute_script("document.getElementById('view').focus()")
    for kind in KINDS:
        opened.switch_to.active_element.send_keys(Keys.TAB)
        assert opened.switch_to.active_element.get_attribute("id") == f"show-{kind}"
    opened.switch_to.active_element.send_keys(Keys.SPACE)
    assert seen(opened, ".stage .repeat rect") == []


def test_another_run_shows_its_own_answers_worst_first(opened: webdriver.Chrome) -> None:
    choose(opened, "base · boxlist_dense_bbox_shapes")
    panels = seen(opened, ".panel")
    assert {panel.get_attribute("data-view") for panel in panels} == {"1"}
    ranks = [int(panel.get_attribute("data-rank") or -1) for panel in panels]
    assert ranks == sorted(ranks)
    assert len(ranks) == 6


def test_a_probe_without_boxes_shows_none_and_offers_no_switches(opened: webdriver.Chrome) -> None:
    choose(opened, "base · boxlist_spatial_count_shapes")
    assert seen(opened, ".stage svg") == seen(opened, ".toggle") == []
    assert "count" in seen(opened, ".panel pre")[0].text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(opened: webdriver.Chrome, scheme: str) -> None:
    wanted = {"name": "prefers-color-scheme", "value": scheme}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wanted]})
    style = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    ink, ground = (sum(map(int, found[4:-1].split(","))) for found in opened.execute_script(style))
    assert (ink < ground) == (scheme == "light")
    assert abs(ink - ground) > 500


def test_a_narrow_window_has_no_sideways_scroll(opened: webdriver.Chrome) -> None:
    opened.set_window_size(500, 900)
    widths = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    content, window = opened.execute_script(widths)
    opened.set_window_size(1300, 1000)
    assert content <= window


def test_labels_cannot_run_anything(browser: webdriver.Chrome, tmp_path: Path, save_fake: Callable[..., Path]) -> None:
    def texts(_document: Document) -> str:
        return json.dumps([{"bbox_2d": [10, 10, 500, 500], "label": EVIL}] * 2)

    run, out = save_fake(tmp_path / "run", texts=texts, limit=2), tmp_path / "report.html"
    row = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**row, "name": EVIL}))
    assert main(["report", str(run), "--out", str(out)]) == 0
    browser.get(out.as_uri())
    assert browser.execute_script("return window.hacked ?? null") is None
    assert console(browser) == []
    assert seen(browser, ".records .label")[0].text.startswith(EVIL[:40])


def test_no_script_of_another_runs(browser: webdriver.Chrome, page: Path, tmp_path: Path) -> None:
    """The policy, and not only the escaping, holds: a script that gets into the file is refused."""
    text = page.read_text()
    (tmp_path / "cracked.html").write_text(text.replace("<main>", "<main><script>window.hacked=1</script>"))
    browser.get((tmp_path / "cracked.html").as_uri())
    assert browser.execute_script("return window.hacked ?? null") is None
    assert "Content Security Policy" in console(browser)[0]
