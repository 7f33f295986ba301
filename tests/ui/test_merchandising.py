# ruff: noqa: E501
"""The commercial side in a browser: offers and paid places on cards, the team's page of operations."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from components.contracts.merchandise import Campaign
from tests.service.conftest import END
from ui.client import Client

pytestmark = pytest.mark.browser
READY = ".sw-card:not(.sw-blank)"


@pytest.fixture
def service(shop_service):
    """A client of the service behind the page; what a test kept is taken away."""
    client = Client(shop_service)
    yield client
    for one in client.campaigns().campaigns:
        client.campaign_remove(one.campaign.campaign_id)
    for rule in client.rules().rules:
        client.rule_remove(rule.rule_id)
    for launch in client.launches().launches:
        client.launch_stop(launch.plan.plan_id)
    client.close()


def search(page, words):
    page.fill("#sw-query", words)
    page.press("#sw-query", "Enter")
    page.wait_for_selector(".sw-title select")


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_paid_place_says_so_on_its_card(visit, service, locale):
    service.campaign_put(
        Campaign(
            campaign_id="spring", name="Spring", product_ids=("p35",), bid_minor=30, budget_minor=5000,
            daily_budget_minor=5000, starts_at=END - timedelta(days=1), ends_at=END + timedelta(days=300),
        )
    )  # fmt: skip
    page = visit(locale=locale)
    page.wait_for_selector(READY)
    search(page, "cereal")
    tag = page.wait_for_selector(".sw-card .sw-sponsored")
    assert tag.inner_text() == ("Sponsored" if locale == "en-US" else "赞助")
    assert page.locator(".sw-sponsored").count() == 1
    service.campaign_remove("spring")
    search(page, "cereal under $20")
    page.wait_for_function("document.querySelectorAll('.sw-card .sw-sponsored').length === 0")


def test_offers_are_chips_on_cards_and_told_by_the_assistant(visit):
    page = visit()
    page.wait_for_selector(READY)
    search(page, "milk")
    assert page.wait_for_selector(".sw-card .sw-offer").inner_text() == "Milk for all"


def test_the_assistant_says_which_of_its_places_is_paid_for(visit, service):
    service.campaign_put(
        Campaign(
            campaign_id="chat", name="Chat", product_ids=("p34", "p26", "p18"), bid_minor=30,
            budget_minor=5000, daily_budget_minor=5000, surfaces=("assistant",),
            starts_at=END - timedelta(days=1), ends_at=END + timedelta(days=300),
        )
    )  # fmt: skip
    page = visit()
    page.wait_for_selector(READY)
    page.fill("#sw-say input", "show me cereal")
    page.press("#sw-say input", "Enter")
    row = page.wait_for_selector(".sw-rows li:has(.sw-sponsored)")
    assert "Sponsored" in row.inner_text()
    assert page.locator(".sw-rows .sw-sponsored").count() == 1
    assert "(sponsored)" in page.inner_text(".sw-log")


def test_what_goes_with_a_product_and_what_others_say(visit):
    page = visit()
    page.wait_for_selector(READY)
    feed = page.wait_for_selector(".sw-feed")
    assert "Far too sweet for us." in feed.inner_text()
    assert "order ten" not in feed.inner_text()
    assert page.evaluate("window.pwned") is None
    page.click(".sw-feedcard[data-review=r0] [data-act=open]")
    page.wait_for_selector(".sw-detail")
    search(page, "milk")
    page.click(".sw-card[data-product-id=p00] [data-act=open]")
    goes = page.wait_for_selector(".sw-goes-with")
    assert "Ground coffee" in goes.inner_text()
    assert page.locator(".sw-feed").count() == 0  # the feed is the home page's


def fill(page, form, **values):
    for name, value in values.items():
        if name == "kind":
            page.select_option(f"form[data-form={form}] select[name=kind]", value)
        else:
            page.fill(f"form[data-form={form}] input[name={name}]", value)
    page.click(f"form[data-form={form}] button[type=submit]")


@pytest.mark.parametrize("width", [1440, 390])
def test_a_launch_is_planned_started_and_stopped(visit, service, width):
    page = visit(width, path="/operations")
    page.wait_for_selector("form[data-form=launch_plan]")
    fill(page, "launch_plan", product="p36", weeks="4")
    plan = page.wait_for_selector("#sw-plan")
    assert "demand in 4 weeks" in plan.inner_text()
    assert "never more than" in plan.inner_text()
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    page.click("#sw-plan [data-act=launch_start]")
    page.wait_for_selector("[data-act=launch_stop]")
    assert service.launches().launches[0].state == "running"
    page.click("[data-act=launch_stop]")
    page.wait_for_function("document.querySelectorAll('[data-act=launch_stop]').length === 0")
    assert service.launches().launches[0].state == "stopped"


def test_a_campaign_is_run_and_ended(visit, service):
    page = visit(path="/operations")
    page.wait_for_selector("form[data-form=campaign_keep]")
    fill(page, "campaign_keep", name="Spring", products="p34 p35", bid="0.30", budget="50")
    page.wait_for_selector("[data-act=campaign_remove]")
    kept = service.campaigns().campaigns[0].campaign
    assert (kept.name, kept.product_ids, kept.bid_minor) == ("Spring", ("p34", "p35"), 30)
    assert timedelta(0) <= kept.starts_at - END < timedelta(days=1)  # by the shop's clock
    page.click("[data-act=campaign_remove]")
    page.wait_for_function("!document.querySelector('[data-act=campaign_remove]')")
    assert service.campaigns().campaigns == ()


def test_a_rule_is_previewed_before_it_is_kept(visit, service):
    page = visit(path="/operations")
    page.wait_for_selector("form[data-form=rule_preview]")
    fill(page, "rule_preview", kind="exclude", products="p02", queries="cereal")
    preview = page.wait_for_selector("#sw-preview")
    assert "1 left" in preview.inner_text()
    assert service.rules().rules == ()
    page.click("#sw-preview [data-act=rule_keep]")
    page.wait_for_selector("[data-act=rule_remove]")
    assert service.rules().rules[0].product_ids == ("p02",)
    answer = httpx.post(
        f"{service.url}/v1/search", json={"query": "cereal"}, trust_env=False
    ).json()
    assert "p02" not in [p["product_id"] for p in answer["products"]]


def test_segments_are_read_and_a_mistake_is_a_sentence(visit):
    page = visit(path="/operations")
    board = page.wait_for_selector("#sw-ops-merchandising")
    assert "Tea and coffee" in board.inner_text()
    page.click("[data-act=segment_export][data-segment='1']")
    link = page.wait_for_selector("#sw-export a")
    assert link.get_attribute("download") == "segment-1.csv"
    with page.expect_download() as saved:
        link.click()
    assert Path(saved.value.path()).read_text().splitlines() == ["visitor_id,segment", "bob,1"]
    fill(page, "offers_allot", budget="50")
    said = page.wait_for_selector("#sw-ops-merchandising [role=status]")
    assert "no model of redemptions" in said.inner_text()
    fill(page, "launch_plan", product="nowhere")
    page.wait_for_function(
        "document.querySelector('#sw-ops-merchandising [role=status]').textContent.includes('nowhere')"
    )
    assert "nowhere" in page.wait_for_selector("#sw-ops-merchandising [role=status]").inner_text()
