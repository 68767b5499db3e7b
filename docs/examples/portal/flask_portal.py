"""A Flask portal behind the gateway: `pip install cps-gateway[portal] flask`."""

from flask import Flask, g

from cps.portal.assertion import AssertionVerifier
from cps.portal.flask_app import require_assertion


def create_app(verifier: AssertionVerifier) -> Flask:
    """Return the portal; every path of it wants an assertion."""
    app = Flask(__name__)
    require_assertion(app, verifier)

    @app.get("/")
    def home() -> str:
        return f"Bonjour {g.professional.given_name}"

    return app


def main() -> None:
    """Serve it for a try; a real one runs under a WSGI server."""
    verifier = AssertionVerifier("https://portal.example", audience="https://portal.example")
    create_app(verifier).run(port=8000)


if __name__ == "__main__":
    main()
