"""The report in a browser: it draws without complaint, and everything follows the controls."""

import time

import numpy as np
import pytest

from rims_rl.comparison.report import write_report
from tests.comparison.browser import CHROMIUM, Browser
from tests.comparison.synthetic import CORES, GAMES, HOSTILE, STEPS, hostile_summary, summary

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
PANELS = "document.querySelectorAll('#curves figure').length"
ROWS = "[...document.querySelectorAll('#scores tbody tr')].filter(row => !row.hidden)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def report(folder):
    file = folder / "report.html"
    write_report(summary(), file, "Three cores", "compare runs")
    return file


@pytest.fixture(scope="module")
def browser(folder):
    started = Browser(folder / "profile")
    yield started
    started.close()


@pytest.fixture
def page(browser, report):
    browser.messages.clear()
    browser.requests.clear()
    browser.media(prefers_color_scheme="light")
    browser.width(1300)
    browser.open(report)
    yield browser
    assert browser.messages == []


def click(page, selector, index=0):
    page.run(f"document.querySelectorAll({selector!r})[{index}].click()")
    page.settle()


def text(page, selector):
    return page.run(f"document.querySelector({selector!r}).innerText")


def test_everything_is_drawn_and_nothing_fetched(page, report):
    assert page.run(PANELS) == len(GAMES)
    assert page.run("document.querySelectorAll('#together figure').length") == 7
    assert page.run("document.querySelectorAll('#improvement figure').length") == len(CORES) - 1
    assert page.run("document.querySelectorAll('figure svg .trace').length") > 20
    assert page.run(f"{ROWS}.length") == 8
    assert page.requests == [report.as_uri()]


def test_what_it_says_first(page):
    headline = text(page, "#headline")
    assert "rim-k6-4 ends above lstm in 3 of 3 games" in headline
    assert "1.00 [1.00, 1.00] over the 2 games that all cores have" in headline
    assert f"gru has no runs in {GAMES[-1]}" in text(page, "#problems")
    assert "a human" not in text(page, "#counted")
    assert "Pong" in text(page, "#paper")


def test_an_interval_around_a_half_settles_nothing(page):
    assert "not settled" in page.run("howSure([0.4, 0.8])")
    assert "better" in page.run("howSure([0.51, 0.8])")
    assert "worse" in page.run("howSure([0.2, 0.49])")
    assert "nothing tells" in page.run("howSure(null)")


def test_a_game_with_one_seed_leaves_no_interval(page):
    several = "[[1, 2, 3], [2, 3, 4]]"
    assert page.run(f"bootstrap(interquartile, [{several}], generator(1))".replace(
        "interquartile", "(games) => [mean(games.flat())]"))  # fmt: skip
    single = "[[1, 2, 3], [2]]"
    assert page.run(f"bootstrap((games) => [mean(games.flat())], [{single}], generator(1))") is None


def test_seeds_of_what_is_counted_are_the_few(page):
    assert page.run("fewestSeeds('rim-k6-4')") == 3
    page.run("arms.get(key(data.together.envs[0], 'rim-k6-4')).seeds.pop()")
    assert page.run("fewestSeeds('rim-k6-4')") == 2
    assert page.run("fewestSeeds('gru')") == 3


def test_unticked_games_and_cores_go_everywhere(page):
    click(page, "#env-boxes input", 0)
    assert page.run(PANELS) == len(GAMES) - 1
    assert page.run(f"{ROWS}.length") == 5
    assert "1 game that" in text(page, "#counted")
    click(page, "#core-boxes input", 1)  # the core that lacks a game
    assert page.run(f"{ROWS}.length") == 4
    assert "2 games that" in text(page, "#counted")
    assert page.run("document.querySelectorAll('#improvement figure').length") == 1
    click(page, "[data-none]")
    assert page.run(PANELS) == 0
    assert page.run("document.querySelectorAll('#together figure').length") == 0
    click(page, "[data-all]")
    assert page.run(PANELS) == len(GAMES)


def test_the_keyboard_reaches_the_controls(page):
    page.run("document.querySelector('#core-boxes input').focus()")
    page.press_space()
    page.settle()
    assert page.run("[...shown.cores].join()") == "gru,rim-k6-4"


def test_axes(page):
    axis = "document.querySelector('#curves .chart')._fullLayout.xaxis"
    assert page.run(f"{axis}.range[1]") == pytest.approx(4000, rel=0.1)
    click(page, "[value=frames]")
    of_pong = f"document.querySelectorAll('#curves .chart')[{sorted(GAMES).index(GAMES[0])}]"
    assert page.run(f"{of_pong}._fullLayout.xaxis.range[1]") == pytest.approx(16000, rel=0.1)
    click(page, "[value=hours]")
    assert page.run(f"{axis}.range[1]") == pytest.approx(2, rel=0.1)
    assert "no hours known of lstm and rim-k6-4" in text(page, "#curves figcaption")
    click(page, "[name=logX]")
    assert page.run(f"{axis}.type") == "log"
    click(page, "[value=steps]")
    traces = page.run("document.querySelector('#curves .chart').data.length")
    click(page, "[name=seeds]")
    assert page.run("document.querySelector('#curves .chart').data.length") == traces + 9


def test_all_games_together_follow_the_axis_where_games_agree(page):
    axis = "document.querySelector('#together .chart')._fullLayout.xaxis"
    assert page.run(f"{axis}.range[1]") == pytest.approx(STEPS, rel=0.1)
    click(page, "[value=frames]")  # four a step in Pong, one in MinAtar
    assert page.run(f"{axis}.title.text") == "share of training"
    assert "frames differ" in text(page, "#together figcaption")
    click(page, "#env-boxes input", 0)
    click(page, "#env-boxes input", 2)
    assert page.run(f"{axis}.range[1]") == pytest.approx(4 * STEPS, rel=0.1)
    click(page, "[value=hours]")
    assert "hours differ from game to game or are not known" in text(page, "#together figcaption")


def test_a_click_on_a_head_sorts(page):
    column = f"{ROWS}.map(row => row.values[5])"
    click(page, "#scores th button", 5)
    descending = page.run(column)
    assert descending == sorted(descending, reverse=True)
    click(page, "#scores th button", 5)
    assert page.run(column) == sorted(descending)
    heads = page.run(
        "[...document.querySelectorAll('#scores th')].map(h => h.getAttribute('aria-sort'))"
    )
    assert [head for head in heads if head] == ["ascending"]


def test_the_page_computes_what_the_summary_has(page):
    stored = summary()["together"]
    assert page.run("countedEnvs()") == stored["envs"]
    for core, expected in stored["cores"].items():
        here = page.run(f"ofCore({core!r}, countedEnvs())")
        for name in ("IQM", "median", "mean", "optimality gap"):
            assert_same_estimate(here[name], expected[name], 0.02)
        # Of 18 pairs of runs: one more or less is within the noise of the resamples.
        probability = "probability of improvement"
        assert_same_estimate(here[probability], expected[probability], 1.01 / 18)
        assert here["profile"]["share"] == pytest.approx(expected["profile"]["share"])
        assert here["profile"]["levels"] == pytest.approx(expected["profile"]["levels"])
        assert here["curve"]["center"] == pytest.approx(expected["curve"]["center"], abs=1e-4)
        for name in ("low", "high"):
            # Resamples differ by chance in single windows, and not on average over them.
            differences = np.subtract(here["curve"][name], expected["curve"][name])
            assert np.abs(differences).max() < 0.05
            assert abs(differences.mean()) < 0.004


def assert_same_estimate(here, expected, tolerance):
    if expected is None:
        assert here is None
        return
    assert here["value"] == pytest.approx(expected["value"])
    assert here["interval"] == pytest.approx(expected["interval"], abs=tolerance)


def test_light_and_dark(page):
    colours = (
        "[getComputedStyle(document.body).backgroundColor,"
        "document.querySelector('#curves .chart')._fullLayout.font.color,"
        "document.querySelector('#curves .chart').data[1].line.color]"
    )
    light = page.run(colours)
    page.media(prefers_color_scheme="dark")
    deadline = time.monotonic() + 20
    while page.run(colours)[1] == light[1] and time.monotonic() < deadline:
        time.sleep(0.05)
    page.settle()
    assert all(a != b for a, b in zip(light, page.run(colours), strict=True))


def test_a_phone_scrolls_down_alone(page):
    page.width(390, 844)
    page.run("new Promise(done => setTimeout(done, 500))")
    page.run("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    assert page.run("innerWidth") == 390
    assert page.run("document.documentElement.scrollWidth") == 390
    assert (
        page.run(
            "Math.max(...[...document.querySelectorAll('.chart svg')].map(s => s.clientWidth))"
        )
        < 390
    )
    assert page.run("getComputedStyle(document.querySelector('.box')).overflowX") == "auto"


def test_it_prints(page, folder):
    page.media(prefers_color_scheme="dark")
    page.pdf(folder / "report.pdf")
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    page.settle()


def test_names_stay_names(browser, folder):
    file = folder / "hostile.html"
    write_report(hostile_summary(), file, HOSTILE, HOSTILE)
    browser.messages.clear()
    browser.requests.clear()
    browser.width(390)
    browser.open(file)
    click(browser, "#core-boxes input", 1)
    click(browser, "[name=seeds]")
    assert browser.run("document.title") == HOSTILE
    assert browser.run("document.querySelectorAll('img, figure b').length") == 0
    assert HOSTILE in browser.run("document.querySelector('#curves').textContent")
    assert HOSTILE in browser.run("document.querySelector('#headline').textContent")
    assert browser.run("document.documentElement.scrollWidth") == 390
    assert browser.requests == [file.as_uri()]
    assert browser.messages == []


@pytest.mark.parametrize("missing", ["baseline", "runs"])
def test_a_summary_that_lacks_something(browser, folder, missing):
    content = summary()
    if missing == "baseline":
        content = {**content, "baseline": None, "improvement": {}, "problems": []}
    else:
        content = {**content, "envs": [], "cores": [], "arms": [], "together": None,
                   "improvement": {}, "paper": {}, "anchors": {}, "baseline": None}  # fmt: skip
    file = folder / f"{missing}.html"
    write_report(content, file, missing, "")
    browser.messages.clear()
    browser.open(file)
    assert browser.messages == []
