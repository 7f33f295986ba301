"""The HTTP face of the shop: paths, keys, problem details, the OpenAPI document.

One FastAPI app. Endpoints that compute are plain functions, so they run in threads and the event
loop stays free. Bodies are the messages of `components.contracts.messages`, flat.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from bentos import problems
from bentos.auth import authenticate, require
from bentos.journal import new_id
from bentos.merchandise_api import add_merchandising
from bentos.operations import operations, report_path
from bentos.pages import docs_page, index_page
from bentos.problems import RefusalError, problem
from bentos.searches import decide_synonym, search_analytics
from bentos.shop import Shop
from components.contracts.messages import (
    BasketOffersRequest,
    BasketResponse,
    BasketSetRequest,
    EventsRequest,
    EventsResponse,
    ExplainRequest,
    ExplainResponse,
    ForgetResponse,
    Message,
    OperationsResponse,
    PreferenceRequest,
    Problem,
    ProductsRequest,
    ProductsResponse,
    PromotionsResponse,
    RatingRequest,
    RatingResponse,
    RecommendRequest,
    RecommendResponse,
    SearchAnalyticsResponse,
    SearchRequest,
    SearchResponse,
    SimilarRequest,
    SuggestRequest,
    SuggestResponse,
    SynonymRequest,
    SynonymsResponse,
    ToolDescription,
    ToolRequest,
    ToolsResponse,
    TurnRequest,
    TurnResponse,
    VisitorResponse,
    VisitorsResponse,
)
from components.contracts.records import Id, Product
from components.state.keys import Key

MAX_BODY_BYTES = 8 * 1024 * 1024
_PROBLEM = {
    "model": Problem,
    "description": "A problem (RFC 9457)",
    "content": {problems.MEDIA_TYPE: {}},
}
_PROBLEMS: dict[int | str, dict[str, Any]] = dict.fromkeys(
    (400, 401, 403, 404, 413, 422, 500, 503), _PROBLEM
)
_TYPES = {".html": "text/html", ".json": "application/json", ".svg": "image/svg+xml"}
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


def _shop(request: Request) -> Shop:
    shop = getattr(request.app.state, "shop", None)
    if shop is None:
        raise RefusalError(503, "the service is starting.")
    return shop


def _key(request: Request) -> Key:
    return authenticate(request, _shop(request).store)


TheShop = Annotated[Shop, Depends(_shop)]
TheKey = Annotated[Key, Depends(_key)]


def _json(message: Message) -> Response:
    return Response(message.model_dump_json(), media_type="application/json")


def create_app(shop: Shop | None = None, *, observe: Any = None) -> FastAPI:
    """Return the app; the served process sets `app.state.shop` when its engines are loaded.

    Args:
        shop: what answers; may be set later.
        observe: called with (endpoint, status, seconds, response body message or none) per answer.
    """
    app = FastAPI(
        title="Shelfwise",
        version="1",
        description="Search, recommendations and an assistant over a shop's own data.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=_PROBLEMS,
        separate_input_output_schemas=False,
    )
    app.state.shop = shop
    app.state.observe = observe
    problems.install(app)
    _add_middleware(app)
    _add_lists(app)
    _add_products(app)
    _add_assistant(app)
    _add_visitors(app)
    _add_operations(app)
    add_merchandising(app)
    _add_pages(app)
    return app


def _add_middleware(app: FastAPI) -> None:
    @app.middleware("http")
    async def about_request(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        request.state.request_id = new_id("q")
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return problem(request, 413, f"a body may have at most {MAX_BODY_BYTES} bytes.")
        started = time.perf_counter()
        response = await call_next(request)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
        if app.state.observe is not None:
            route = request.scope.get("route")
            endpoint = getattr(route, "path", "other")
            app.state.observe(endpoint, response.status_code, time.perf_counter() - started)
        return response


def _add_lists(app: FastAPI) -> None:
    @app.post("/v1/search", response_model=SearchResponse, tags=["lists"])
    def search(body: SearchRequest, shop: TheShop, key: TheKey) -> Response:
        """Find products by words and filters; says what was understood and what was relaxed."""
        require(key, "read", body.visitor_id)
        return _json(shop.search(body))

    @app.post("/v1/suggest", response_model=SuggestResponse, tags=["lists"])
    def suggest(body: SuggestRequest, shop: TheShop, key: TheKey) -> Response:
        """Complete what is being typed."""
        require(key, "read", body.visitor_id)
        return _json(shop.suggest(body))

    @app.post("/v1/recommend", response_model=RecommendResponse, tags=["lists"])
    def recommend(body: RecommendRequest, shop: TheShop, key: TheKey) -> Response:
        """Return a slate for a visitor; an event posted a moment ago counts."""
        require(key, "read", body.visitor_id)
        return _json(shop.recommend(body))

    @app.post("/v1/similar", response_model=RecommendResponse, tags=["lists"])
    def similar(body: SimilarRequest, shop: TheShop, key: TheKey) -> Response:
        """Return products like a given one."""
        require(key, "read", body.visitor_id)
        return _json(shop.similar(body))

    @app.post("/v1/explain", response_model=ExplainResponse, tags=["lists"])
    def explain(body: ExplainRequest, shop: TheShop, key: TheKey) -> Response:
        """Say why a product stands where it stands for a visitor."""
        require(key, "read", body.visitor_id)
        return _json(shop.explain(body))

    @app.post("/v1/ratings/predict", response_model=RatingResponse, tags=["lists"])
    def rating(body: RatingRequest, shop: TheShop, key: TheKey) -> Response:
        """Foretell the stars a visitor would give, or read them from a review's text."""
        require(key, "read", body.visitor_id)
        return _json(shop.rating(body))

    @app.post("/v1/events", response_model=EventsResponse, tags=["events"])
    def events(body: EventsRequest, shop: TheShop, key: TheKey) -> Response:
        """Take events, each once by its event_id. Accepted means durable."""
        require(key, "events", key.visitor_id)
        if any(raw.get("kind") == "product_changed" for raw in body.events):
            require(key, "products", key.visitor_id)
        return _json(shop.events(body, only_visitor=key.visitor_id))


def _add_products(app: FastAPI) -> None:
    @app.post("/v1/products", response_model=ProductsResponse, tags=["products"])
    def put_products(body: ProductsRequest, shop: TheShop, key: TheKey) -> Response:
        """Take new or changed products; searchable and rankable when this returns."""
        require(key, "products", key.visitor_id)
        if key.visitor_id is not None:
            raise RefusalError(403, "a visitor's key cannot change products.")
        return _json(shop.upsert(body))

    @app.get("/v1/products/{product_id}", response_model=Product, tags=["products"])
    def get_product(product_id: Id, shop: TheShop, key: TheKey) -> Response:
        """Return one product with its variants."""
        require(key, "read", key.visitor_id)
        product = shop.product(product_id)
        return Response(product.model_dump_json(), media_type="application/json")

    @app.get("/v1/promotions", response_model=PromotionsResponse, tags=["products"])
    def promotions(
        shop: TheShop,
        key: TheKey,
        visitor_id: Annotated[Id | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Response:
        """Return the offers a visitor may use now, best first."""
        require(key, "read", visitor_id)
        return _json(shop.promotions(visitor_id, limit))


def _add_assistant(app: FastAPI) -> None:
    @app.post("/v1/assistant/turn", response_model=TurnResponse, tags=["assistant"])
    def turn(body: TurnRequest, shop: TheShop, key: TheKey) -> Response:
        """Answer one turn; a repeated request_id is answered again, not applied again."""
        require(key, "assistant", body.visitor_id)
        return _json(shop.turn(body))

    @app.get("/v1/assistant/tools", response_model=ToolsResponse, tags=["assistant"])
    def tools(key: TheKey) -> Response:
        """List what the assistant can do, with the schema of each tool's arguments."""
        from components.assistant.tools import registry

        require(key, "assistant", key.visitor_id)
        found = (
            ToolDescription(
                name=tool.name,
                description=tool.description,
                mutates=tool.mutates,
                arguments=tool.schema,
            )
            for tool in registry().values()
        )
        return _json(ToolsResponse(tools=tuple(found)))

    @app.post("/v1/assistant/tools/{name}", response_model=TurnResponse, tags=["assistant"])
    def call_tool(name: str, body: ToolRequest, shop: TheShop, key: TheKey) -> Response:
        """Run one tool; a checkout still needs a confirmation of an earlier turn."""
        require(key, "assistant", body.visitor_id)
        return _json(shop.call(name, body))

    @app.post(
        "/v1/assistant/turn/stream",
        tags=["assistant"],
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Server-sent events: `start`, `words` (a piece of the reply), "
                "`turn` (the whole answer), or `problem`.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    def stream(body: TurnRequest, shop: TheShop, key: TheKey) -> StreamingResponse:
        """Answer one turn as a stream of server-sent events."""
        require(key, "assistant", body.visitor_id)
        return StreamingResponse(
            _turn_events(shop, body),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )


def _turn_events(shop: Shop, body: TurnRequest) -> Iterator[str]:
    from components.contracts.errors import ShelfwiseError

    yield _sse("start", {"session_id": body.session_id, "request_id": body.request_id})
    said: SimpleQueue[str] = SimpleQueue()
    with ThreadPoolExecutor(max_workers=1) as beside:  # words go out while the rest is written down
        turn = beside.submit(shop.turn, body, say=said.put)
        turn.add_done_callback(lambda _: said.put(""))
        reply = said.get()
        for piece in pieces(reply):
            yield _sse("words", {"text": piece})
        try:
            answer = turn.result()
        except ShelfwiseError as error:
            problem = {"title": "Service Unavailable", "status": 503, "detail": str(error)}
            yield _sse("problem", problem)
            return
    if not reply:  # the answer of an earlier request, given again
        for piece in pieces(answer.reply):
            yield _sse("words", {"text": piece})
    yield _sse("turn", answer.model_dump(mode="json"))


def _sse(kind: str, data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def pieces(text: str, *, size: int = 24) -> Iterator[str]:
    """Cut a reply into short pieces that join to it again, at spaces where there are any.

    >>> list(pieces("two apples and one pear", size=10))
    ['two ', 'apples ', 'and one ', 'pear']
    """
    piece = ""
    for word in text.split(" "):
        spaced = word + " "
        if piece and len(piece) + len(spaced) > size:
            yield piece
            piece = ""
        piece += spaced
        while len(piece) > 2 * size:
            yield piece[:size]
            piece = piece[size:]
    if piece[:-1]:
        yield piece[:-1]


def _add_visitors(app: FastAPI) -> None:
    at = "/v1/visitors/{visitor_id}"

    @app.get("/v1/visitors", response_model=VisitorsResponse, tags=["visitors"])
    def get_visitors(
        shop: TheShop, key: TheKey, limit: Annotated[int, Query(ge=1, le=100)] = 10
    ) -> Response:
        """Return some visitors whom the release knows."""
        require(key, "ops", key.visitor_id)
        if key.visitor_id is not None:
            raise RefusalError(403, "a visitor's key sees one visitor only.")
        found = VisitorsResponse(request_id=new_id("r"), visitors=tuple(shop.visitors(limit)))
        return _json(found)

    @app.get(at, response_model=VisitorResponse, tags=["visitors"])
    def get_visitor(visitor_id: Id, shop: TheShop, key: TheKey) -> Response:
        """Return everything the service keeps about a visitor."""
        require(key, "visitors", visitor_id)
        return _json(shop.visitor(visitor_id))

    @app.delete(at, response_model=ForgetResponse, tags=["visitors"])
    def forget(visitor_id: Id, shop: TheShop, key: TheKey) -> Response:
        """Forget a visitor; the answer is the receipt."""
        require(key, "visitors", visitor_id)
        return _json(shop.forget(visitor_id, by=key.name))

    @app.get(f"{at}/basket", response_model=BasketResponse, tags=["visitors"])
    def get_basket(visitor_id: Id, shop: TheShop, key: TheKey) -> Response:
        """Return a visitor's basket with today's prices."""
        require(key, "visitors", visitor_id)
        return _json(shop.basket(visitor_id))

    @app.put(f"{at}/basket", response_model=BasketResponse, tags=["visitors"])
    def put_basket(visitor_id: Id, body: BasketSetRequest, shop: TheShop, key: TheKey) -> Response:
        """Make the basket hold exactly so many of a product; 0 removes it."""
        require(key, "visitors", visitor_id)
        return _json(shop.basket_set(visitor_id, body))

    @app.put(f"{at}/basket/offers", response_model=BasketResponse, tags=["visitors"])
    def put_basket_offers(
        visitor_id: Id, body: BasketOffersRequest, shop: TheShop, key: TheKey
    ) -> Response:
        """Put exactly these offers on the basket; the best choice of all where none is named."""
        require(key, "visitors", visitor_id)
        return _json(shop.basket_offers(visitor_id, body))

    @app.delete(f"{at}/basket", response_model=BasketResponse, tags=["visitors"])
    def clear_basket(visitor_id: Id, shop: TheShop, key: TheKey) -> Response:
        """Empty the basket."""
        require(key, "visitors", visitor_id)
        return _json(shop.basket_clear(visitor_id))

    @app.put(f"{at}/preferences", response_model=dict[str, str], tags=["visitors"])
    def put_preference(
        visitor_id: Id, body: PreferenceRequest, shop: TheShop, key: TheKey
    ) -> Response:
        """Remember, correct or drop a preference; answers with all of them."""
        require(key, "visitors", visitor_id)
        shop.store.preference_set(visitor_id, body.name, body.value)
        return JSONResponse(shop.store.preferences(visitor_id))


def _add_operations(app: FastAPI) -> None:
    @app.get("/v1/operations", response_model=OperationsResponse, tags=["operations"])
    def get_operations(shop: TheShop, key: TheKey) -> Response:
        """One glance at the shop's health: runs, data, drift, releases, figures."""
        require(key, "ops", key.visitor_id)
        return _json(operations(shop))

    searches = "/v1/operations/searches"

    @app.get(searches, response_model=SearchAnalyticsResponse, tags=["operations"])
    def get_searches(
        shop: TheShop, key: TheKey, limit: Annotated[int, Query(ge=1, le=200)] = 20
    ) -> Response:
        """Return top and empty queries, clicks by rank, rewordings and proposed synonyms."""
        require(key, "ops", key.visitor_id)
        return _json(search_analytics(shop, limit=limit))

    @app.put("/v1/operations/synonyms", response_model=SynonymsResponse, tags=["operations"])
    def put_synonym(body: SynonymRequest, shop: TheShop, key: TheKey) -> Response:
        """Approve, decline or withdraw a synonym; searches follow when this returns."""
        require(key, "ops", key.visitor_id)
        if key.visitor_id is not None:
            raise RefusalError(403, "a visitor's key cannot decide on synonyms.")
        return _json(decide_synonym(shop, body, by=key.name))

    @app.get("/v1/operations/reports/{name}", tags=["operations"], response_class=Response)
    def get_report(name: str, shop: TheShop, key: TheKey) -> Response:
        """Return a report's file; pages may load nothing from elsewhere."""
        require(key, "ops", key.visitor_id)
        path = report_path(shop, name)
        if path is None:
            raise RefusalError(404, f"no report {name!r}.")
        return Response(
            path.read_bytes(),
            media_type=_TYPES[path.suffix],
            headers={"Content-Security-Policy": _PAGE_POLICY},
        )


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def index(request: Request) -> Response:
        shop = getattr(request.app.state, "shop", None)
        version = shop.current.champion.release_id if shop is not None else "starting"
        return HTMLResponse(index_page(version), headers={"Content-Security-Policy": _PAGE_POLICY})

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return HTMLResponse(
            docs_page(app.openapi()), headers={"Content-Security-Policy": _PAGE_POLICY}
        )

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    @app.api_route("/{path:path}", methods=methods, include_in_schema=False)
    def nowhere(path: str, request: Request) -> Response:
        allowed = sorted(
            method
            for route in app.routes
            if isinstance(route, Route) and route.path != "/{path:path}"
            if route.matches(request.scope)[0] == Match.PARTIAL
            for method in cast(set[str], route.methods)
        )
        if allowed:
            names = ", ".join(allowed)
            raise HTTPException(405, f"allowed here: {names}.", {"Allow": names})
        raise HTTPException(404, "no such path; /openapi.json lists them all.")
