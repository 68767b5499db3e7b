"""How long each view of the control plane takes."""

from time import perf_counter
from typing import Protocol

from flask import Flask, Response, g, request


class Counts(Protocol):
    """Where answers are counted; :class:`gateway.metrics.model.Metrics`."""

    def answered(self, view: str, status: int, seconds: float) -> None:
        """Count one answer."""


def measure(app: Flask, counts: Counts) -> None:
    """Have *app* count every answer: registered first, it times all the others do."""

    @app.before_request
    def _begin() -> None:
        g.began = perf_counter()

    @app.after_request
    def _end(response: Response) -> Response:
        # What fits no view is counted under one name, or anybody could make names.
        view = request.endpoint or "none"
        counts.answered(view, response.status_code, perf_counter() - g.began)
        return response
