"""Draws the pictures of web_page.md: `kinetics-i3d demo --weights rgb_figures` must run.

    python docs/draw_web_page.py http://127.0.0.1:7860

It needs Playwright, a Chromium and Pillow, as `make page` does. The pictures show examples of this
project alone.
"""

import argparse
import io
import pathlib
import shutil

from PIL import Image
from playwright.sync_api import sync_playwright

FOLDER = pathlib.Path(__file__).parent / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP = {"viewport": {"width": 1180, "height": 800}}
PICTURES = {
    "web_page": DESKTOP,
    "web_page_dark": DESKTOP | {"color_scheme": "dark"},
    "web_page_phone": {"viewport": {"width": 375, "height": 800}},
}


def draw(browser, address, name, options):
    """Writes one picture."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(180_000)
    page.goto(address)
    page.get_by_role("button", name="all four").click()
    page.get_by_text("Where it looked").wait_for()
    page.wait_for_timeout(2000)  # for the end of animations
    image = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    image.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("address")
    address = parser.parse_args().address
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, options in PICTURES.items():
            draw(browser, address, name, options)
        browser.close()
