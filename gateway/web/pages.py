"""What all pages share: their language, their texts, the portal's name and the banners."""

from functools import partial

from flask import Flask, Response, request
from markupsafe import Markup

from cps.authtoken.catalogue import best_language, text
from cps.authtoken.look import base_style, mark
from gateway.web.parts import Parts


def language() -> str:
    """Return the language of the person: French, or English where the browser prefers it."""
    return best_language(request.headers.get("Accept-Language"))


def teach_templates(app: Flask, parts: Parts) -> None:
    """Give every template of *app* what all pages show; ``t`` looks a text up by its key."""
    portal = parts.settings.portal

    @app.get("/_cps/base.css")
    def base_style_sheet() -> Response:
        """Return the style that all pages share; browsers ask each time whether it is newer."""
        response = Response(base_style(), mimetype="text/css")
        response.headers["Cache-Control"] = "no-cache"
        response.add_etag()
        response.make_conditional(request)
        return response

    @app.context_processor
    def _common() -> dict[str, object]:
        chosen = language()
        return {
            "language": chosen,
            "t": partial(_sentence, chosen),
            "label": portal.label,
            "mark": Markup(mark()),  # noqa: S704 - a file of ours
            "portal_url": f"{portal.origin}/",
            "is_test": parts.settings.environment == "test",
            "is_plain_http": portal.origin.startswith("http:"),
        }


def _sentence(chosen: str, key: str, **values: object) -> str:
    return text(key, chosen, **values)
