"""A BentoML service whose only endpoint does nothing: what the framework itself costs."""

import bentoml
from fastapi import FastAPI
from fastapi.responses import Response

from components.contracts.messages import SearchRequest

app = FastAPI()


@app.post("/empty")
def empty(body: SearchRequest) -> Response:
    """Read a request as the real endpoints do, and answer nothing."""
    return Response(b"{}", media_type="application/json")


@bentoml.service(name="empty")
@bentoml.asgi_app(app, path="/")
class Empty:
    """The empty endpoint."""
