"""The shop in Chromium over a real service with a small release that holds a hostile text."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from components.contracts.artefacts import Layout
from tests.service.commerce import write_commerce
from tests.service.conftest import HOSTILE, ROOT, Served, free_port, write_release

# Chromium talks to nobody by itself, so that any request outside is the page's own.
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
]

SERVICES: dict[str, str] = {}  # a shop's address to its service's


@pytest.fixture(scope="session")
def shop_service(shop_url):
    """Address of the service behind the shop."""
    return SERVICES[shop_url]


@pytest.fixture(scope="session")
def shop_url(tmp_path_factory, chromium):
    """Address of a shop with its service."""
    layout = Layout(tmp_path_factory.mktemp("checkout"))
    write_release(layout.artefacts, title=HOSTILE)
    write_commerce(layout)
    state = tmp_path_factory.mktemp("state")
    running = Served(layout, state)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = (state / "shop.log").open("wb")
    page = None
    try:
        running.wait()
        page = subprocess.Popen(
            [sys.executable, "-m", "ui.app"],
            cwd=ROOT,
            env={
                **os.environ,
                "SHELFWISE_API_PORT": str(running.port),
                "SHELFWISE_UI_PORT": str(port),
            },
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + 300
        while True:
            assert page.poll() is None, Path(log.name).read_text()[-2000:]
            assert time.monotonic() < deadline
            try:
                if httpx.get(url, trust_env=False, timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.3)
        SERVICES[url] = running.url
        yield url
    finally:
        if page is not None:
            page.terminate()
            page.wait(timeout=20)
        running.stop()
        log.close()


@pytest.fixture(scope="package")  # its event loop must not outlive the browser tests
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, shop_url):
    """Open the shop; afterwards there was no error in the console and no request outside."""
    contexts, wrong = [], []

    def open_page(width=1440, *, locale="en-US", path="/", dark=False):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            locale=locale,
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)  # a page's first answer on busy cores takes its time
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.on(
            "request",
            lambda r: (
                None
                if r.url.startswith(("http://127.0.0.1", "data:", "blob:"))
                else wrong.append(r.url)
            ),
        )
        page.goto(shop_url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
