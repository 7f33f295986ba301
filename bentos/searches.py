"""What a shop's team learns from searches, and its say on synonyms: endpoints without HTTP.

Texts are shown only when enough visitors typed them (`index.min_visitors`), for whoever asks.
"""

from bentos.journal import new_id
from bentos.problems import RefusalError
from bentos.shop import Shop
from components.contracts.messages import (
    Proposed,
    SearchAnalyticsResponse,
    SynonymRequest,
    SynonymsResponse,
)
from components.contracts.params import IndexParams, load_params
from components.data.words import stems
from components.search.analytics import SearchRecord, report


def min_visitors(shop: Shop) -> int:
    """Return how many visitors must have typed a text before anyone sees it."""
    path = shop.layout.params_file
    params = load_params(path).index if path.is_file() else IndexParams()
    return params.min_visitors


def search_analytics(shop: Shop, *, limit: int) -> SearchAnalyticsResponse:
    """Summarise the newest searches."""
    state, k = shop.searches, min_visitors(shop)
    records = [
        SearchRecord(
            visitor_id=past["visitor_id"],
            at=past["at"],
            text=past["text"],
            hits=past["total"],
            clicked_ranks=past["ranks"],
            shown=past["shown"],
        )
        for past in state.past()
    ]
    found = report(records, k=k, limit=limit)
    approved, declined = state.synonyms(), state.declined()
    texts = list(dict.fromkeys(text for text, _ in (*found.top, *found.empty)))
    return SearchAnalyticsResponse(
        request_id=new_id("r"),
        min_visitors=k,
        searches=found.searches,
        visitors=found.visitors,
        hidden_queries=found.hidden_queries,
        null_result_rate=found.null_result_rate,
        click_through_rate=found.click_through_rate,
        top=found.top,
        empty=found.empty,
        clicks_by_rank=found.clicks_by_rank,
        rewordings=found.rewordings,
        purchase_intent=shop.current.champion.search.purchase_intent(texts),
        proposals=tuple(
            Proposed(term=p.term, other=p.other, visitors=p.visitors)
            for p in found.proposals
            if (p.term, p.other) not in declined and p.other not in approved.get(p.term, ())
        ),
        synonyms=approved,
    )


def decide_synonym(shop: Shop, request: SynonymRequest, *, by: str) -> SynonymsResponse:
    """Approve, decline or withdraw a synonym; searches follow when this returns.

    Raises:
        RefusalError: 422 when one of the two has no word, or both are the same.
    """
    term, other = (" ".join(stems(text)) for text in (request.term, request.other))
    if not term or not other or term == other:
        raise RefusalError(422, "a synonym needs two different phrases of letters or digits.")
    with shop.current.lock:
        shop.searches.decide(term, other, is_approved=request.approved, by=by)
        approved = shop.searches.synonyms()
        for engines in shop.current.all():
            engines.search.set_synonyms(approved)
    return SynonymsResponse(request_id=new_id("r"), synonyms=approved)
