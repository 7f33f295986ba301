# ruff: noqa: E501
"""The shop in the browser: Gradio blocks, and which act changes which of them.

`python -m ui.app` listens on 127.0.0.1:7860, or SHELFWISE_UI_PORT. Everything shown comes from the
service over HTTP; nothing is loaded from anywhere else.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")

import gradio as gr
from gradio.themes import Base

from components.contracts.errors import ServiceError, ShelfwiseError
from components.contracts.messages import (
    SearchResponse,
    SuggestRequest,
    SynonymRequest,
    TurnRequest,
    TurnResponse,
)
from ui import cards, merchandising, operations, panels, searches
from ui.acts import Acts, without_spans
from ui.client import Client
from ui.panels import Said
from ui.state import Held, Tab, Tabs, Talk, guest, new_talk
from ui.words import LANGUAGES, say

HERE = Path(__file__).parent
TALK = ("question", "replenish", "chat")  # intents that the assistant answers better
SURE = 0.8  # confidence from which a search points to it
FONTS = ["system-ui", "sans-serif"]


def _script(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _wrap(inner: str) -> str:
    return f'<div class="sw">{inner}</div>'


def head(tab: Tab) -> str:
    """Return the bar: name, search, who shops, language, theme."""
    lang = tab.language
    options = [("guest", say(lang, "guest"))]
    options += [(v, say(lang, "household", id=v)) for v in tab.visitors]
    if not tab.is_guest and tab.visitor_id not in tab.visitors:
        options.append((tab.visitor_id, tab.visitor_id))
    chosen = "guest" if tab.is_guest else tab.visitor_id
    visitors = "".join(
        f'<option value="{cards.text(value)}" {"selected" if value == chosen else ""}>'
        f"{cards.text(name)}</option>"
        for value, name in options
    )
    other = LANGUAGES["en" if lang == "zh" else "zh"]
    return _wrap(
        f'<a class="sw-skip" href="#sw-shelf">{say(lang, "skip")}</a>'
        f'<header class="sw-bar" data-lang="{lang}" data-visitor="{cards.text(tab.visitor_id)}"'
        f"{' data-ready=1' if tab.has_started else ''}>"
        f'<div class="sw-mark"><h1>Shelfwise</h1><span>{say(lang, "tagline")}</span></div>'
        '<div class="sw-search" role="search"><input id="sw-query" type="text" role="combobox" '
        'autocomplete="off" spellcheck="false" aria-expanded="false" aria-controls="sw-suggest" '
        f'aria-autocomplete="list" aria-label="{say(lang, "search")}" maxlength="1000" '
        f'placeholder="{say(lang, "search_hint")}" value="{cards.text(tab.query)}">'
        f'<button type="button" class="sw-btn sw-primary" data-go>{say(lang, "search_go")}</button>'
        f'<ul id="sw-suggest" class="sw-suggest" role="listbox" aria-label="{say(lang, "search")}" '
        'hidden></ul></div><div class="sw-tools">'
        f'<a href="/operations">{say(lang, "operations")}</a>'
        f'<select class="sw-who" data-act="visitor" aria-label="{say(lang, "visitor")}">{visitors}'
        f"</select>{cards.button('language', other, kind='sw-outline')}"
        f'<button type="button" class="sw-btn sw-round" data-toggle="theme" '
        f'aria-label="{say(lang, "theme")}">◐</button></div></header>'
    )


def title(tab: Tab) -> str:
    """Return what the shelf shows, what was understood, and the offers on the home shelf."""
    lang, found = tab.language, tab.found
    parts = []
    if tab.problem:
        parts.append(
            f'<div class="sw-down" role="alert"><div><p><b>{say(lang, "down")}</b></p>'
            f'<p class="sw-soft">{cards.text(tab.problem)}</p></div>'
            f"{cards.button('retry', say(lang, 'retry'), kind='sw-outline')}</div>"
        )
    elif tab.degraded:
        parts.append(f'<p class="sw-hint">{say(lang, "degraded")}</p>')
    if found is None:
        if tab.products:
            lead = say(lang, "for_you_new" if tab.is_guest else "for_you_known")
            parts.insert(0, cards.offers(tab.offers, lang))
            parts.append(
                f'<div class="sw-title"><div><h2>{say(lang, "for_you")}</h2><p>{lead}</p></div></div>'
            )
        return _wrap("".join(parts))
    name = "result_one" if found.total == 1 else "results"
    counted = say(lang, name, n=f"{found.total:,}", q=cards.text(tab.query))
    corrected = ""
    if found.corrected_query and "query" not in found.relaxed:
        typed = cards.button("as_typed", say(lang, "as_typed"), kind="sw-quiet")
        corrected = (
            f"<p class='sw-meant'>{say(lang, 'corrected')} "
            f"<b>{cards.text(found.corrected_query)}</b> {typed}</p>"
        )
    options = "".join(
        f'<option value="{value}" {"selected" if value == tab.sort else ""}>'
        f"{say(lang, f'sort_{value}')}</option>"
        for value in ("relevance", "price", "-price", "rating", "newest")
    )
    sort = (
        f'<label>{say(lang, "sort")}<select data-act="sort" aria-label="{say(lang, "sort")}">'
        f"{options}</select></label>"
    )
    parts.append(f'<div class="sw-title"><div><h2>{counted}</h2>{corrected}</div>{sort}</div>')
    parts.append(_to_assistant(found, tab))
    parts.append(cards.chips(found, tab.filters, tab.currency, lang))
    if found.relaxed and tab.products:
        names = ", ".join(_relaxed(found, name, tab) for name in found.relaxed)
        told = "popular_instead" if found.relaxed == ("query",) else "relaxed"
        parts.append(
            f'<div class="sw-hint sw-nearest"><p>{say(lang, told, x=cards.text(names))}</p>'
            f"{cards.ways(found, tab.currency, lang)}</div>"
        )
    return _wrap("".join(parts))


def _to_assistant(found: SearchResponse, tab: Tab) -> str:
    """Return the way to the assistant, where the words surely ask for more than a shelf."""
    if found.intent not in TALK or (found.intent_confidence or 0.0) < SURE:
        return ""
    ask = cards.button("say", say(tab.language, "ask_assistant"), kind="sw-outline sw-small",
                       words=tab.query, **{"view-of": "chat"})  # fmt: skip
    return f'<p class="sw-aside"><span>{say(tab.language, f"reads_{found.intent}")}</span>{ask}</p>'


def _relaxed(found: Any, name: str, tab: Tab) -> str:
    if name == "query":
        return f"“{without_spans(tab.query, list(found.spans))}”"
    span = cards.span_of(found, name)
    if span is not None:
        return cards.span_name(span, tab.currency, tab.language)
    return name.rpartition(".")[2].replace("_", " ")


def opened(tab: Tab) -> str:
    """Return the product that is looked at, and the comparison."""
    parts = [panels.compare(tab.compared, tab.language)]
    if tab.opened is not None:
        alike = ""
        for words, products in (("goes_with", tab.goes_with), ("similar", tab.alike)):
            if products:
                made = (cards.card(p, tab.language) for p in products)
                name = say(tab.language, words)
                alike += (
                    f'<div class="sw-alike sw-{words.replace("_", "-")}"><h3>{name}</h3>'
                    f"{cards.grid(made, label=name)}</div>"
                )
        parts.append(
            cards.detail(
                tab.opened,
                tab.language,
                slate_id=tab.opened_slate,
                reasons=tab.reasons,
                alike=alike,
            )
        )
    return _wrap("".join(parts))


def narrow(tab: Tab) -> str:
    """Return the facets of a search."""
    if tab.found is None:
        return ""
    return _wrap(cards.facets(tab.found.facets, tab.filters, tab.language))


def shelf(tab: Tab) -> str:
    """Return the cards, or why there are none."""
    lang = tab.language
    if not tab.products:
        if tab.found is not None:
            return _wrap(cards.nothing(tab.found, tab.currency, lang))
        return "" if tab.problem else _wrap(cards.skeleton(lang))
    held: dict[str, int] = {}
    for item in tab.basket.items if tab.basket else ():
        held[item.product_id] = held.get(item.product_id, 0) + item.quantity
    compared = {p.product_id for p in tab.compared}
    made = (
        cards.card(p, lang, slate_id=tab.slate_id, basket=held, compared=compared)
        for p in tab.products
    )
    more = (
        f'<div class="sw-moreline">{cards.button("more", say(lang, "more"), kind="sw-outline")}</div>'
        if tab.found is not None and tab.found.cursor
        else ""
    )
    others = cards.feed(tab.feed, lang) if tab.found is None else ""
    return _wrap(cards.grid(made, label=say(lang, "shelf")) + more + others)


def _count(tab: Tab) -> str:
    count = sum(item.quantity for item in tab.basket.items) if tab.basket else 0
    return f'<span class="sw-badge">{count}</span>' if count else ""


def tabs(tab: Tab) -> str:
    """Return the side's tabs."""
    made = "".join(
        f'<button type="button" role="tab" data-view-of="{name}" data-act="look" data-at="{name}" '
        f'aria-selected="{"true" if name == "chat" else "false"}" aria-controls="sw-{name}">'
        f"{say(tab.language, words)}{_count(tab) if name == 'basket' else ''}</button>"
        for name, words in (("chat", "assistant"), ("basket", "basket"), ("memory", "memory"))
    )
    return _wrap(f'<div class="sw-tabs" role="tablist">{made}</div>')


def nav(tab: Tab) -> str:
    """Return the bar at the foot of a phone."""
    made = "".join(
        f'<button type="button" data-view-of="{name}" data-act="look" data-at="{name}" '
        f"{'aria-current=page' if name == 'shelf' else ''}>"
        f"{say(tab.language, words)}{_count(tab) if name == 'basket' else ''}</button>"
        for name, words in (
            ("shelf", "shelf"),
            ("chat", "assistant"),
            ("basket", "basket"),
            ("memory", "memory"),
        )
    )
    return _wrap(f'<nav class="sw-nav">{made}</nav>')


def say_form(tab: Tab, talk: Talk) -> str:
    """Return the constraints in force and the line to write in."""
    lang = tab.language
    return _wrap(
        panels.ledger(talk.state, tab.currency, lang)
        + f'<form class="sw-say" data-form="say"><input name="message" autocomplete="off" '
        f'maxlength="2000" aria-label="{say(lang, "say")}" placeholder="{say(lang, "say_hint")}">'
        f'<button class="sw-btn sw-primary">{say(lang, "send")}</button></form>'
    )


def basket(tab: Tab) -> str:
    """Return the basket."""
    return _wrap(panels.basket(tab.basket, tab.language))


def memory(tab: Tab) -> str:
    """Return what is kept."""
    made = panels.memory(tab.kept, tab.language, is_asking=tab.is_asking, receipt=tab.receipt)
    return _wrap(made)


def toast(tab: Tab) -> str:
    """Return the last message."""
    made = panels.toast(tab.toast, tab.language, may_undo=tab.may_undo, number=tab.toasts)
    return _wrap(made)


PARTS = {
    "head": head,
    "tabs": tabs,
    "title": title,
    "detail": opened,
    "facets": narrow,
    "grid": shelf,
    "basket": basket,
    "memory": memory,
    "toast": toast,
    "nav": nav,
}
# Which parts an act may change; the others keep their focus and their scroll.
_SHELF = ("title", "detail", "facets", "grid")
_BASKET = ("basket", "tabs", "nav", "toast", "grid")
CHANGES: dict[str, tuple[str, ...]] = {
    "start": tuple(PARTS),
    "retry": tuple(PARTS),
    "visitor": tuple(PARTS),
    "language": tuple(PARTS),
    "search": (*_SHELF, "head"),
    "as_typed": _SHELF,
    "drop_span": (*_SHELF, "head"),
    "relax": (*_SHELF, "head"),
    "clear": (*_SHELF, "head"),
    "home": (*_SHELF, "head"),
    "open": ("detail",),
    "offer": ("detail",),
    "close": ("detail",),
    "compare": ("detail", "grid"),
    "compare_clear": ("detail", "grid"),
    "add": _BASKET,
    "set": _BASKET,
    "undo": _BASKET,
    "offers_apply": _BASKET,
    "offers_drop": _BASKET,
    "memory": ("memory",),
    "preference": ("memory",),
    "forget_preference": ("memory",),
    "forget": ("memory",),
    "forget_no": ("memory",),
    "forget_yes": tuple(PARTS),
    "toast": ("toast",),
}
TALKS = ("say", "confirm", "refuse", "unledger")


def changed(name: str, before: Tab, after: Tab) -> tuple[str, ...]:
    """Return the parts to draw again after an act."""
    parts = CHANGES.get(name, _SHELF)
    if before.problem != after.problem:
        parts = tuple(dict.fromkeys((*parts, "title")))
    return parts


def words_of(name: str, data: dict[str, Any], language: str) -> tuple[str, str | None]:
    """Return what a visitor said by typing or by a button, and what he confirmed."""
    if name == "confirm":
        return ("是的" if language == "zh" else "yes"), str(data["confirmation"])
    if name == "refuse":
        return ("不用了" if language == "zh" else "no"), None
    if name == "unledger":
        value = str(data.get("value", "")).strip()
        field = str(data.get("field", "")).replace("_", " ")
        if language == "zh":
            return f"去掉{field}的限制", None
        plain = {"price max": "any price", "price min": "any price", "brand": "any brand"}
        return plain.get(field, f"forget the {value if field == 'exclude' else field} limit"), None
    return str(data.get("message") or data.get("words") or "").strip()[:2000], None


def converse(
    client: Client, tab: Tab, talk: Talk, name: str, data: dict[str, Any]
) -> Iterator[Talk]:
    """Say something to the assistant: the conversation grows as the answer comes."""
    message, confirm_id = words_of(name, data, tab.language)
    if not message:
        yield talk
        return
    said = (*talk.said, Said("visitor", message))[-60:]
    yield replace(talk, said=(*said, Said("assistant", "", is_open=True)))
    request = TurnRequest(
        session_id=talk.session_id,
        visitor_id=tab.visitor_id,
        message=message,
        confirm_id=confirm_id,
    )
    words = ""
    try:
        for piece in client.turn_stream(request):
            if isinstance(piece, TurnResponse):
                answer = Said("assistant", piece.reply, answer=piece)
                yield replace(talk, said=(*said, answer), state=dict(piece.state))
                return
            words += piece
            yield replace(talk, said=(*said, Said("assistant", words, is_open=True)))
    except ShelfwiseError as error:
        yield replace(talk, said=(*said, Said("trouble", str(error))))


def build(client: Client | None = None) -> gr.Blocks:
    """Return the shop and its operations page; the service is first asked when a page opens."""
    service = client or Client()
    acts = Acts(service)
    tabs_open = Tabs()

    def suggest(asked: dict[str, str]) -> list[dict[str, str]]:
        """Return completions as plain data; the page sets them as text."""
        prefix, visitor_id = asked.get("prefix", ""), asked.get("visitor")
        try:
            found = service.suggest(
                SuggestRequest(prefix=str(prefix)[:200], visitor_id=visitor_id or None)
            )
        except ShelfwiseError:
            return []
        return [{"text": one.text, "kind": one.kind} for one in found.suggestions]

    empty, silent = Tab(visitor_id=guest()), new_talk()
    with gr.Blocks(title="Shelfwise", fill_width=True, analytics_enabled=False) as demo:
        # `start` fills both: made by themselves, they would be asked for beside it, in any order.
        tab_state, talk_state = gr.State(None), gr.State(None)
        act = _script("act.js")

        def part(name: str, value: str, **options: Any) -> gr.HTML:
            return gr.HTML(
                value, elem_id=f"sw-{name}", js_on_load=act, apply_default_css=False, **options
            )

        blocks: dict[str, gr.HTML] = {}
        blocks["head"] = gr.HTML(
            head(empty),
            elem_id="sw-head",
            js_on_load=_script("head.js"),
            server_functions=[suggest],
            apply_default_css=False,
        )
        with gr.Row(elem_id="sw-main"):
            with gr.Column(elem_id="sw-shelf"):
                blocks["title"] = part("title", "")
                blocks["detail"] = part("detail", "")
                with gr.Row(elem_id="sw-body"):
                    blocks["facets"] = part("facets", "")
                    blocks["grid"] = part("grid", shelf(empty))
            with gr.Column(elem_id="sw-side"):
                blocks["tabs"] = part("tabs", tabs(empty))
                blocks["chat"] = part("chat", _wrap(panels.chat((), "en")))
                blocks["say"] = part("say", say_form(empty, silent))
                blocks["basket"] = part("basket", basket(empty))
                blocks["memory"] = part("memory", memory(empty))
        blocks["toast"] = part("toast", "")
        blocks["nav"] = part("nav", nav(empty))

        def drawn(tab: Tab, names: tuple[str, ...]) -> dict[Any, Any]:
            return {tab_state: tab, **{blocks[n]: PARTS[n](tab) for n in names}}

        def handle(
            tab: Tab | None, talk: Talk | None, event: gr.EventData, request: gr.Request
        ) -> Iterator[dict[Any, Any]]:
            held = tabs_open.of(request.session_hash)
            # A page that outlived a restart of the shop goes on as a new guest.
            tab = held.tab or tab or Tab(visitor_id=guest())
            talk = talk or new_talk()
            data = dict(event._data or {})
            name = str(data.pop("act", data.pop("form", "")))
            if name in TALKS:
                yield from speak(held, tab, talk, name, data)
                return
            if name == "look":
                name = "memory" if data.get("at") == "memory" else ""
            if not name:
                yield {tab_state: tab}
                return
            with held.lock:
                tab = held.tab or tab
                after = held.tab = acts.run(tab, name, data)
            updates = drawn(after, changed(name, tab, after))
            if name in ("language", "visitor", "forget_yes") and after.problem == "":
                talk = talk if name == "language" else new_talk()
                updates |= {
                    talk_state: talk,
                    blocks["chat"]: _wrap(panels.chat(talk.said, after.language)),
                    blocks["say"]: say_form(after, talk),
                }
            yield updates

        def speak(
            held: Held, tab: Tab, talk: Talk, name: str, data: dict[str, Any]
        ) -> Iterator[dict[Any, Any]]:
            last = talk
            for last in converse(service, tab, talk, name, data):
                yield {
                    talk_state: last,
                    blocks["chat"]: _wrap(panels.chat(last.said, tab.language)),
                }
            answer = last.said[-1].answer if last.said else None
            if answer is None:
                return
            updates: dict[Any, Any] = {}
            if last.state.get("constraints") != talk.state.get("constraints"):
                updates[blocks["say"]] = say_form(tab, last)
            if answer.commands:
                with held.lock:
                    tab = held.tab or tab
                    after = held.tab = acts.run(tab, "refresh_basket", {})
                if after.basket != tab.basket:
                    updates |= drawn(after, ("basket", "tabs", "nav", "grid"))
            if updates:
                yield updates

        def start(request: gr.Request) -> dict[Any, Any]:
            language = request.headers.get("accept-language", "en")[:2].lower()
            tab = Tab(visitor_id=guest(), language="zh" if language == "zh" else "en")
            after = acts.run(tab, "start", {})
            tabs_open.of(request.session_hash).tab = after
            updates = drawn(after, tuple(PARTS)) | {talk_state: new_talk()}
            if after.language != "en":
                updates |= {
                    blocks["chat"]: _wrap(panels.chat((), after.language)),
                    blocks["say"]: say_form(after, silent),
                }
            return updates

        outputs = [tab_state, talk_state, *blocks.values()]
        for block in blocks.values():
            listeners: tuple[Any, ...] = (block.click, block.submit)
            for on in listeners:
                on(
                    handle,
                    [tab_state, talk_state],
                    outputs,
                    show_progress="hidden",
                    trigger_mode="always_last",  # a message sent during an answer is not lost
                    concurrency_limit=8,
                    api_visibility="private",
                )
        demo.load(start, None, outputs, show_progress="hidden", api_visibility="private")

    with demo.route("Operations", "/operations", show_in_navbar=False):
        bar = _wrap(
            '<header class="sw-bar sw-two-ends"><div class="sw-mark"><h1>Shelfwise</h1><span>operations</span></div>'
            '<div class="sw-tools"><a class="sw-stay" href="/">Back to the shop</a><button type="button" '
            'class="sw-btn sw-round" data-toggle="theme" aria-label="Light or dark">◐</button></div>'
            "</header>"
        )
        gr.HTML(bar, elem_id="sw-head", apply_default_css=False)
        board = gr.HTML("", elem_id="sw-board", apply_default_css=False)

        said = gr.HTML(
            "", elem_id="sw-searches", js_on_load=_script("act.js"), apply_default_css=False
        )

        desk_state = gr.State(merchandising.Desk())
        trade = gr.HTML(
            "", elem_id="sw-trade", js_on_load=_script("act.js"), apply_default_css=False
        )

        def desk_page(desk: merchandising.Desk) -> str:
            try:
                return _wrap(merchandising.page(service, desk))
            except ShelfwiseError:
                return ""  # the board above says that the service does not answer

        def work(desk: merchandising.Desk, event: gr.EventData) -> tuple[merchandising.Desk, str]:
            after = merchandising.run(service, desk, dict(event._data or {}))
            return after, desk_page(after)

        def look() -> str:
            try:
                return _wrap(operations.page(service.operations(), api_url=service.url))
            except ShelfwiseError as error:
                return _wrap(operations.trouble(str(error)))

        def listen() -> str:
            try:
                return _wrap(searches.page(service.searches()))
            except ShelfwiseError:
                return ""  # the board above says that the service does not answer

        def decide(event: gr.EventData) -> str:
            data = dict(event._data or {})
            try:
                service.decide_synonym(
                    SynonymRequest(
                        term=data["term"], other=data["other"], approved=data["say"] == "yes"
                    )
                )
            except ShelfwiseError as error:
                return _wrap(operations.trouble(str(error)))
            return listen()

        demo.load(look, None, board, show_progress="hidden", api_visibility="private")
        demo.load(listen, None, said, show_progress="hidden", api_visibility="private")
        said.click(decide, None, said, show_progress="hidden", api_visibility="private")
        demo.load(desk_page, [desk_state], trade, show_progress="hidden", api_visibility="private")
        for event in (trade.click, trade.submit):
            event(
                work, [desk_state], [desk_state, trade], show_progress="hidden",
                api_visibility="private",
            )  # fmt: skip
    return demo


def launch_options() -> dict[str, Any]:
    """Return what `launch` is given: loopback, our looks, nothing from elsewhere."""
    return {
        "server_name": "127.0.0.1",
        "server_port": port(),
        "theme": Base(font=FONTS, font_mono=["ui-monospace", "monospace"]),
        "css": _script("theme.css"),
        "js": _script("shop.js"),
        "footer_links": [],
        "share": False,
        "inbrowser": False,
        "quiet": True,
        "ssr_mode": False,
    }


def port() -> int:
    """Return the port to listen on.

    Raises:
        ServiceError: SHELFWISE_UI_PORT is no port.
    """
    given = os.environ.get("SHELFWISE_UI_PORT", "7860")
    if not given.isdigit() or not 0 < int(given) < 65536:
        raise ServiceError(
            f"SHELFWISE_UI_PORT={given!r} is no port; give a number from 1 to 65535."
        )
    return int(given)


def main() -> None:
    """Serve the shop until stopped, or say in one line why not."""
    try:
        options = launch_options()
        build().queue(default_concurrency_limit=8).launch(**options)
    except ShelfwiseError as error:
        sys.stderr.write(f"shelfwise: {error}\n")
        raise SystemExit(1) from None
    except OSError:
        sys.stderr.write(
            f"shelfwise: port {port()} for the shop is in use; stop what listens there or set "
            "SHELFWISE_UI_PORT to a free port.\n"
        )
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
