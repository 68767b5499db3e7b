"""A small portal behind the gateway; replace it by yours."""

import os

from flask import Flask, abort, g

from cps.portal.assertion import AssertionVerifier
from cps.portal.flask_app import require_assertion

PHYSICIAN = 10


def create_app(gateway: str) -> Flask:
    """Return the portal, which believes what *gateway* signs and nobody else."""
    app = Flask(__name__)
    require_assertion(app, AssertionVerifier(gateway, audience=gateway))

    @app.get("/")
    def home() -> str:
        return f"Bonjour {g.professional.given_name} {g.professional.family_name}"

    @app.get("/prescription")
    def prescription() -> str:
        if g.professional.profession != PHYSICIAN:
            abort(403)
        return f"Prescription de {g.professional.national_id}"

    return app


if __name__ == "__main__":
    create_app(os.environ["GATEWAY"]).run(port=int(os.environ["PORT"]))
