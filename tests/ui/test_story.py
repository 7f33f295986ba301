# ruff: noqa: E501
"""One shopper's whole story in a browser, in two languages and at two widths, checked by axe.

Search, refine in the chat, compare, basket, an offer, undo, confirm, forget. A folder named by
SHELFWISE_SCREENSHOTS keeps a picture of each station.
"""

import os
from pathlib import Path

import pytest

from tests.ui.axe import violations
from tests.ui.test_shop import READY, look

pytestmark = pytest.mark.browser
WORDS = {
    "en-US": {
        "search": "milk", "ask": "milk", "refine": "under $8", "compare": "compare the first two",
        "add": "add the second one", "undo": "undo", "offer": "apply my coupon", "empty": "empty",
    },
    "zh-CN": {
        "search": "牛奶", "ask": "牛奶", "refine": "8美元以内", "compare": "比较第一个和第二个",
        "add": "加第二个", "undo": "撤销", "offer": "用我的优惠券", "empty": "空",
    },
}  # fmt: skip


class Story:
    """A page, its words, and what axe said of it at each station."""

    def __init__(self, page, width, locale):
        self.page, self.width, self.locale, self.words = page, width, locale, WORDS[locale]
        self.wrong = []

    def station(self, name):
        self.wrong += [f"{name}: {v}" for v in violations(self.page)]
        overflow = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if overflow > 0:
            self.wrong.append(f"{name}: {overflow} px too wide")
        if folder := os.environ.get("SHELFWISE_SCREENSHOTS"):
            path = Path(folder) / f"{self.locale}-{self.width}-{name}.png"
            self.page.screenshot(path=str(path))

    def say(self, name):
        """Say something and wait for the whole answer."""
        look(self.page, "chat", self.width)
        self.page.fill("#sw-say input", self.words[name])
        heard = self.page.locator(".sw-said.sw-visitor").count()
        self.page.press("#sw-say input", "Enter")
        self.answered(heard)

    def answered(self, heard):
        """Wait until the bubble after the visitor's newest words is no longer growing."""
        self.page.wait_for_function(
            """(n) => { const said = [...document.querySelectorAll('.sw-said')];
                const last = said.at(-1);
                return document.querySelectorAll('.sw-said.sw-visitor').length > n
                  && last && last.classList.contains('sw-assistant') && last.querySelector('details'); }""",
            arg=heard,
        )

    def count(self, selector, n):
        self.page.wait_for_function(
            f"document.querySelectorAll({selector!r}).length === {n}",
        )


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_whole_story(visit, width, locale):
    page = visit(width, locale=locale)
    page.set_default_timeout(60_000)
    page.wait_for_selector(READY)
    page.select_option(".sw-who", "guest")  # somebody new, so that no offer was used before
    page.wait_for_selector("[data-visitor^=guest-]")
    story = Story(page, width, locale)
    page.fill("#sw-query", story.words["search"])
    page.press("#sw-query", "Enter")
    page.wait_for_selector(".sw-title select")
    page.wait_for_selector(f"{READY} [data-act=add][data-product=p00]")
    for number in (0, 1):
        page.locator(f"{READY} input[data-act=compare]").nth(number).check()
        story.count(".sw-comparison thead th", number + 1)
    story.station("shelf")
    page.click("[data-act=compare_clear]")
    page.locator(f"{READY} [data-act=add][data-product=p00]").first.click()
    page.wait_for_selector(".sw-toast")

    story.say("ask")
    story.say("refine")
    page.wait_for_selector("#sw-say .sw-chip")
    story.say("compare")
    assert page.locator(".sw-said").last.locator(".sw-rows li").count() == 2
    story.station("chat")
    story.say("add")
    look(page, "basket", width)
    story.count(".sw-lines li", 2)
    story.say("undo")
    look(page, "basket", width)
    story.count(".sw-lines li", 1)

    page.wait_for_selector(".sw-usable")
    before = page.inner_text(".sw-total dd")
    page.click("[data-act=offers_apply]")
    page.wait_for_selector(".sw-off")
    assert page.inner_text(".sw-total dd") != before
    story.station("basket")
    page.click(".sw-toast [data-act=undo]")
    page.wait_for_selector(".sw-off", state="detached")
    assert page.inner_text(".sw-total dd") == before
    story.say("offer")
    look(page, "basket", width)
    page.wait_for_selector(".sw-off")
    total = page.inner_text(".sw-total dd")
    page.click(".sw-order")
    page.wait_for_selector(".sw-confirm [data-act=confirm]")
    assert total in page.inner_text(".sw-confirm b")
    story.station("confirm")
    heard = page.locator(".sw-said.sw-visitor").count()
    page.click(".sw-confirm [data-act=confirm]")
    story.answered(heard)
    look(page, "basket", width)
    story.count(".sw-lines li", 0)

    look(page, "memory", width)
    page.click("[data-act=forget]")
    page.click("[data-act=forget_yes]")
    page.wait_for_selector(".sw-note")
    story.station("forgotten")
    assert story.wrong == []
