from flask import Flask, Response, abort

from gateway.web.measure import measure


class Counted:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, int]] = []

    def answered(self, view: str, status: int, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.answers.append((view, status))


def app(counted: Counted) -> Flask:
    made = Flask(__name__)
    measure(made, counted)

    @made.before_request
    def _refuse() -> None:
        abort(429)

    @made.get("/x/<name>")
    def x(name: str) -> Response:
        return Response(name)

    return made


def test_an_answer_is_counted_under_its_view_even_where_it_is_refused_before() -> None:
    counted = Counted()
    app(counted).test_client().get("/x/secret")
    assert counted.answers == [("x", 429)]


def test_paths_that_nobody_answers_share_one_name() -> None:
    counted = Counted()
    app(counted).test_client().get("/made-up")
    assert counted.answers == [("none", 429)]
