"""The demo portal: third-party payment as the attacked portals offered it, behind the gateway.

Run as ``python -m cps.demo.portal``; it listens on loopback and believes only signed assertions.
"""

import argparse
import logging
import re
from pathlib import Path

from flask import Flask, Response, render_template, request
from werkzeug.serving import make_server

from cps.demo import people
from cps.portal.assertion import AssertionVerifier
from cps.portal.flask_app import require_assertion

SAMPLES = 3


def create_portal(*, database: Path, verifier: AssertionVerifier) -> Flask:
    """Return the portal.

    :param database: file of :func:`cps.demo.people.create_database`.
    :param verifier: decides who is there.
    """
    app = Flask(__name__)
    samples = [person.nir for person in people.made_up_people(SAMPLES)]

    require_assertion(app, verifier, refused=lambda _: (render_template("refused.html"), 403))

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'"
        )
        return response

    @app.get("/")
    def search() -> str:
        number = re.sub(r"\s", "", request.args.get("numero", ""))[:15]
        person, problem = None, None
        if number:
            person, problem = _look_up(database, number)
        return render_template(
            "search.html", number=number, person=person, problem=problem, samples=samples
        )

    return app


def _look_up(database: Path, number: str) -> tuple[people.Insured | None, str | None]:
    nir, key = number[: people.NIR_DIGITS], number[people.NIR_DIGITS :]
    if not re.fullmatch(r"[0-9]{13}([0-9]{2})?", number, re.ASCII):
        return None, "Le numéro d’assuré compte 13 chiffres, suivis ou non de la clé à 2 chiffres."
    if key and int(key) != people.check_key(nir):
        return None, "La clé ne correspond pas au numéro : vérifiez la saisie."
    person = people.find(database, nir)
    if person is None:
        return None, "Aucun assuré ne porte ce numéro."
    return person, None


def main() -> None:
    """Serve the portal until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m cps.demo.portal", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--gateway", required=True, help="origin of the gateway in front")
    parser.add_argument("--database", type=Path, required=True, help="file of insured persons")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = create_portal(
        database=options.database,
        verifier=AssertionVerifier(options.gateway, options.gateway),
    )
    server = make_server("127.0.0.1", options.port, app, threaded=True)
    print(f"ready http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
