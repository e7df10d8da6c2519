"""The page as people meet it, in a headless Chromium."""

import pytest

pytestmark = pytest.mark.slow  # serves a page
WAIT = 300_000  # milliseconds: a loaded machine takes long
PHONE = {"viewport": {"width": 375, "height": 720}, "is_mobile": True, "has_touch": True}


@pytest.fixture
def visit(browser, server):
    """(expected=(), **options of a context) -> a page of a new person; nothing may go wrong on it.

    `expected` are beginnings of what its console may report all the same.
    """
    contexts, problems, excused = [], [], []

    def watch(page):
        page.on(
            "console", lambda message: message.type == "error" and problems.append(message.text)
        )
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((server.address, "data:", "blob:"))
                or problems.append(request.url)
            ),
        )

    def open_page(*, expected=(), **options):
        excused.extend(expected)
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT)
        watch(page)
        page.goto(server.address)
        page.get_by_role("button", name="Name the action").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in problems if not text.startswith((*excused, "\0"))] == []


def upload(page, path):
    """Uploads to the visible tab, and waits until its video or file is there."""
    panel = page.get_by_role("tabpanel").filter(visible=True)
    panel.locator("input[type=file]").first.set_input_files(str(path))
    panel.get_by_label("Clear").or_(panel.get_by_label("Remove this file")).first.wait_for()


def headline(page, text):
    page.locator(".ki h2", has_text=text).filter(visible=True).first.wait_for()


def choose(page, label, name):
    page.get_by_label(label).filter(visible=True).click()
    page.get_by_role("option", name=name).click()


def test_upload_answer_and_another_network(visit, examples):
    page = visit()
    upload(page, examples["wave"])
    page.get_by_role("button", name="Name the action").click()
    headline(page, "wave")
    page.get_by_text("Where it looked").wait_for()
    assert page.locator(".ki-strip img").count() == 16
    choose(page, "Network", "other.h5")
    page.get_by_role("button", name="Name the action").click()
    page.get_by_text("other.h5: 3 actions").wait_for()


def test_an_example_is_classified_over_time(visit):
    page = visit()
    page.get_by_role("button", name="all four").click()
    headline(page, "kick, sit down, stand up, wave")
    assert page.locator(".ki-timeline svg").count() == 4


def test_a_text_file_is_one_line_and_the_page_goes_on(visit, examples, tmp_path):
    page = visit()
    bad = tmp_path / "text.mp4"
    bad.write_text("no video\n" * 99)
    upload(page, bad)
    page.get_by_role("button", name="Name the action").click()
    alert = page.locator(".ki-problem")
    alert.wait_for()
    assert alert.inner_text().startswith("text.mp4: not a video in a supported format")
    page.get_by_role("button", name="wave").click()
    headline(page, "wave")
    assert alert.count() == 0


def test_a_file_of_four_gigabytes_is_refused_before_it_is_sent(visit, tmp_path):
    # Gradio asks for the progress of the upload that it does not begin, and logs the refusal.
    page = visit(
        expected=("Failed to load resource: the server responded with a status of 404", "Response")
    )
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(4 * 2**30)  # takes no space
    sent = []
    page.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    page.locator("input[type=file]").first.set_input_files(str(large))
    page.get_by_text("exceed the maximum allowed size").first.wait_for()
    assert not [address for address in sent if "/upload" in address]


def test_two_people_at_once_see_their_own_answers(visit):
    one, other = visit(), visit()
    one.get_by_role("button", name="kick").click()
    other.get_by_role("button", name="sit down").click()
    headline(other, "sit down")
    headline(one, "kick")
    assert "sit down" not in one.locator(".ki h2").first.inner_text()


def test_networks_are_compared(visit, examples):
    page = visit()
    page.get_by_role("tab", name="Compare").click()
    upload(page, examples["wave"])
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("other.h5: 3 actions").wait_for()
    assert page.locator(".ki-card").count() == 2
    headline(page, "wave")


def test_the_doctor_checks_a_file(visit, examples):
    page = visit()
    page.get_by_role("tab", name="Doctor").click()
    upload(page, examples["wave"])
    page.get_by_role("button", name="Check").click()
    page.locator(".ki-findings li").first.wait_for()
    assert page.locator(".ki-findings li").count() >= 8


def test_a_phone_needs_no_sideways_scrolling(visit, examples):
    page = visit(**PHONE)
    page.get_by_role("button", name="all four").click()
    page.get_by_text("Where it looked").wait_for()
    for tab in ("Compare", "Doctor", "Classify"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, tab


def test_colors_follow_the_system(visit):
    def brightness(scheme):
        page = visit(color_scheme=scheme)
        page.get_by_role("button", name="wave").click()
        headline(page, "wave")
        color = "getComputedStyle(document.querySelector('{}')).{}".format
        paper, ink = (
            sum(map(float, page.evaluate(script).split("(")[1].rstrip(")").split(",")[:3]))
            for script in (color("body", "backgroundColor"), color(".ki h2", "color"))
        )
        return paper, ink

    paper, ink = brightness("light")
    assert paper > 700 and ink < 200
    paper, ink = brightness("dark")
    assert paper < 200 and ink > 600
