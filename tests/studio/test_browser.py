"""The studio in a real browser: from a new search over a comparison to a generation that uses the feedback."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rewardsmith.search import feedback
from rewardsmith.search.storage import Run

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver")

TINY = {
    "REWARDSMITH_SEARCH__FINAL_SEEDS": "1",
    "REWARDSMITH_SEARCH__BASELINE": "false",
    "REWARDSMITH_EVALUATION__EPISODES": "2",
    "REWARDSMITH_EVALUATION__FINAL_EPISODES": "2",
    "OMP_NUM_THREADS": "1",
}
PATIENCE_S = 120.0
BOTH_READY = (
    "const all = [...document.querySelectorAll('video')]; return all.length == 2 && all.every((v) => v.readyState > 2)"
)
SLIDE = "const s = document.querySelector('.term [type=range]'); s.value = s.max; s.dispatchEvent(new Event('input'))"
FOLLOWED = "return window.unmoved && document.querySelectorAll('.lineage .node').length > 0"
STATUS = "return document.querySelector('#state')?.dataset.status"


@dataclass
class Session:
    """A studio that runs, and a browser."""

    link: str
    runs: Path
    browser: object

    def find(self, selector: str):
        return self.browser.find_element("css selector", selector)

    def all(self, selector: str) -> list:
        return self.browser.find_elements("css selector", selector)

    def until(self, what: Callable[[], object], patience: float = PATIENCE_S) -> object:
        """Wait for something of the page, which may be replaced while it is looked at."""
        from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, TimeoutException

        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                found = what()
            except (NoSuchElementException, StaleElementReferenceException, TimeoutException):
                found = None
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{self.browser.current_url} never got there: {self.find('main').text[:800]}")

    def click(self, selector: str) -> None:
        """Click on something, again where the page replaced it in between."""

        def clicked() -> bool:
            self.find(selector).click()
            return True

        self.until(clicked)

    def press(self, key: str) -> None:
        self.find("body").send_keys(key)

    def script(self, text: str) -> object:
        return self.browser.execute_script(text)


@pytest.fixture
def session(tmp_path) -> Iterator[Session]:
    runs = tmp_path / "runs"
    runs.mkdir()
    command = [sys.executable, "-m", "rewardsmith", "studio", str(runs), "--port", "0"]
    studio = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | TINY, cwd=tmp_path)
    browser = None
    try:
        link = next(found[0] for line in studio.stdout if (found := re.search(r"http://\S+", line)))
        browser = opened()
        yield Session(link, runs, browser)
        assert [line for line in browser.get_log("browser") if "Content Security Policy" in line["message"]] == []
    finally:
        if browser is not None:
            browser.quit()
        studio.send_signal(signal.SIGTERM)
        studio.communicate(timeout=30)


def opened():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--mute-audio"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


def test_a_person_steers_a_search_from_the_first_form_to_the_next_generation(session):
    begin_a_search(session)
    run = watch_it_finish(session)
    compare_two_videos(session)
    prefer_the_first(session, run)
    speak_and_weigh(session, run)
    see_the_next_generation_carry_it(session, run)


def begin_a_search(session: Session) -> None:
    session.browser.get(session.link)
    session.until(lambda: session.find("h1").text == "Runs")
    session.press("n")
    session.until(lambda: session.find("[name=text]")).send_keys("Swing up and stay up")
    session.find("[name=env]").send_keys("Pendulum-v1")
    for name, value in (("population", "2"), ("generations", "1"), ("steps", "60000")):
        session.find(f"[name={name}]").send_keys(value)
    session.click("button.go")


def watch_it_finish(session: Session) -> Run:
    def listed() -> list:
        session.browser.refresh()
        return session.all("a.card")

    session.until(listed)[0].click()
    session.until(lambda: session.script(STATUS) == "running")
    session.script("window.unmoved = true")
    session.until(lambda: session.script(FOLLOWED))  # without a reload, which happens when the search has ended
    session.until(lambda: session.script(STATUS) == "finished")
    session.until(lambda: len(session.all(".lineage .node")) == 2)
    session.until(lambda: session.all(".chart .series path"))
    return Run.open(next(session.runs.iterdir()))


def compare_two_videos(session: Session) -> None:
    session.click(".pair")
    session.until(lambda: session.script(BOTH_READY))
    times = "return [...document.querySelectorAll('video')].map((film) => film.currentTime)"
    session.press(" ")
    session.until(lambda: min(session.script(times)) > 0.5)
    session.press(" ")
    a, b = session.script(times)
    assert abs(a - b) < 0.2, "they play the same moment"
    session.script("const s = document.querySelector('#scrub'); s.value = 500; s.dispatchEvent(new Event('input'))")
    a, b = session.script(times)
    assert abs(a - b) < 0.01
    assert a > 1.0, "one scrubber moves both"


def prefer_the_first(session: Session, run: Run) -> None:
    session.find("[name=reason]").send_keys("it stays up")
    session.find(".answer [name=by]").send_keys("Ada")
    session.find(".answer [name=by]").send_keys("\ue00c")  # Escape leaves the field
    session.press("a")
    session.until(lambda: session.find(".flash").text == "Your answer is recorded.")
    (answer,) = feedback.load_state(run).preferences
    assert (answer.answer, answer.reason, answer.by) == ("a", "it stays up", "Ada")
    assert answer.a.endswith(("/s0/0", "/s0/1")), "it names the episode that was seen"


def speak_and_weigh(session: Session, run: Run) -> None:
    session.press("u")
    session.until(lambda: session.find("[name=text]")).send_keys("Less shaking")
    session.find("[name=text]").submit()
    session.until(lambda: "Less shaking" in session.find(".said").text)
    assert session.find("[name=by]").get_attribute("value") == "Ada"
    session.click(".lineage a")
    slider = session.until(lambda: session.find(".term input[type=range]"))
    session.script(SLIDE)
    number = session.find(".term input[type=number]").get_attribute("value")
    assert float(number) == pytest.approx(float(slider.get_attribute("max")), rel=0.01)
    session.click(".weights button:not(.link)")
    session.until(lambda: "weights" in session.find(".flash").text)
    assert [said.input.kind for said in feedback.load_state(run).pending] == ["preference", "remark", "weights"]


def see_the_next_generation_carry_it(session: Session, run: Run) -> None:
    session.press("u")
    session.until(lambda: session.find("button.go").text == "Next generation")
    session.press("g")
    session.until(lambda: session.script(STATUS) == "running")
    session.until(lambda: session.all(".node.mine"))
    session.until(lambda: session.script(STATUS) == "finished")
    assert feedback.load_state(run).pending == ()
    mine = [one for one in run.read_candidates() if one.proposal.author == "user"]
    assert [(one.generation, one.status) for one in mine] == [(1, "ok")]
