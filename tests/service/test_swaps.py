"""A rebuilt index takes over while searches go on: none fails, none mixes two releases."""

import threading
import time

from components.contracts.messages import SearchRequest, SuggestRequest
from components.registry.store import Registry

EXTRA = (0, 7)  # what each release adds to every price: an answer's prices name its release


def test_searches_go_on_while_rebuilt_indexes_take_over(releases, shop):
    layout, first, second = releases
    registry = Registry(layout.registry)
    extra_of = dict(zip((first, second), EXTRA, strict=True))
    answers, problems, stop = [], [], threading.Event()
    asked = (
        SearchRequest(query="green tea", limit=20),
        SearchRequest(query="cereal under $5", limit=3),
        SearchRequest(query="", limit=40),
    )

    def ask(request: SearchRequest) -> None:
        while not stop.is_set():
            try:
                page = shop.search(request)
                answers.append(page)
                if page.cursor:  # the next page may come from the other release, yet whole
                    answers.append(shop.search(request.model_copy(update={"cursor": page.cursor})))
                shop.suggest(SuggestRequest(prefix="gre"))
            except Exception as error:  # noqa: BLE001 (whatever it is, a shopper would see it)
                problems.append(error)

    threads = [threading.Thread(target=ask, args=(request,)) for request in asked]
    for thread in threads:
        thread.start()
    try:
        for release in (second, first):
            registry.promote(release, reason="rebuilt", by="test")
            assert shop.current.follow()
            known = len(answers)
            deadline = time.monotonic() + 30
            while len(answers) < known + 12 and time.monotonic() < deadline:
                time.sleep(0.01)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not problems
    assert {a.model_version for a in answers} == {first, second}
    assert any(answer.products for answer in answers)
    for answer in answers:
        extra = extra_of[answer.model_version]
        # What other tests posted has its own price, in both releases.
        built = [shown for shown in answer.products if shown.product_id[1:].isdigit()]
        for shown in built:
            assert shown.price_minor == 100 + 25 * int(shown.product_id[1:]) + extra
            if answer.query.endswith("under $5") and not answer.relaxed:
                assert shown.price_minor < 500
