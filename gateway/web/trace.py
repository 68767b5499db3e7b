"""A span for each request to the control plane."""

from flask import Flask, Response, g, request

from gateway.tracing import Tracing


def trace(app: Flask, tracing: Tracing) -> None:
    """Have *app* trace every request: registered first, its spans last as long as all the others.

    What a browser sends about traces is not read: every request begins a trace of its own.
    """

    @app.before_request
    def _begin() -> None:
        rule = request.url_rule
        g.traced = tracing.control_request(request.method, None if rule is None else rule.rule)

    @app.after_request
    def _end(response: Response) -> Response:
        g.traced.answered(response.status_code, g.get("error_code"))
        return response
