"""A tiny browser: cookies as browsers keep them, and one step at a time for tests to meddle."""

import html
import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode

SECONDS = 10
_AGENT_LINK = re.compile(r'href="(http://127\.0\.0\.1:\d+/v1/login\?[^"]+)"')
_RID = re.compile(r"[?&]r=([A-Za-z0-9_-]{22})(?:&|\Z)")
_CODE = re.compile(r"[?&]code=([A-Za-z0-9_-]{43})\Z")
_AGENT_CODE = re.compile(r"(?:Code pour le support\s:|Code for the support:) ([a-z_]+)<")
_INCIDENT = re.compile(r"\b([0-9a-f]{4}-[0-9a-f]{4})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer, and the address that it came from."""

    url: str
    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, with what HTML escapes restored."""
        return html.unescape(self.body.decode("utf-8"))

    @property
    def json(self) -> dict[str, object]:
        """The body, a JSON object."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def error(self) -> str:
        """The code that a program reads in a refusal."""
        assert self.status >= 400, self
        return str(self.json["error"])

    @property
    def location(self) -> str:
        """Where a redirect leads."""
        assert self.status == 303, (self.status, self.text)
        return urljoin(self.url, self.one("Location") or "")

    @property
    def refreshes(self) -> bool:
        """Whether the page tells browsers to ask for it again."""
        return b'http-equiv="refresh"' in self.body

    @property
    def agent_link(self) -> str:
        """The first of a login page's links to the agent."""
        found = _AGENT_LINK.search(self.text)
        assert found is not None, (self.status, self.text)
        return found[1]

    @property
    def rid(self) -> str:
        """The request id in a login page."""
        return _only(_RID, self.agent_link)

    @property
    def code(self) -> str:
        """The one-time code with which the agent sends the browser back."""
        return _only(_CODE, self.location)

    @property
    def incident(self) -> str:
        """The incident number that the page shows."""
        return _only(_INCIDENT, self.text)

    @property
    def agent_error(self) -> str:
        """The code for the support that a page of the agent shows."""
        return _only(_AGENT_CODE, self.text)

    @property
    def received(self) -> dict[str, str]:
        """The header fields that the echoing portal got, names in lower case; none came twice."""
        assert self.status == 200, (self.status, self.text)
        fields = self.json["fields"]
        assert isinstance(fields, list)
        names = [name.lower() for name, _ in fields]
        assert len(names) == len(set(names)), names
        return dict(zip(names, (value for _, value in fields), strict=True))

    def one(self, name: str) -> str | None:
        """Return the value of the one field *name*."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Return the values of every field *name*."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def require_failed(self, code: ErrorCode, language: str = "fr") -> None:
        """Check that the agent says for which cause its sign-in failed, and what to do."""
        assert self.status == 200, (self.status, self.text)
        assert self.agent_error == code
        self.require_clear(code, language)

    def require_clear(self, code: ErrorCode, language: str) -> None:
        """Check that a person reads what happened and what to do, and nothing of our insides."""
        self.require_says(f"error_title.{code}", f"error.{code}", language)

    def require_says(self, title: str, sentence: str, language: str) -> None:
        """Check that the page shows two texts of the catalogue and nothing of our insides."""
        assert (self.one("Content-Type") or "").startswith("text/html")
        assert f'<html lang="{language}"' in self.text
        assert text(title, language) in self.text
        assert text(sentence, language) in self.text
        self.require_no_insides()

    def require_no_insides(self) -> None:
        """Check that no trace of a program is in the answer."""
        for word in ("Traceback", "Error(", ".py", "site-packages", "<module>", "object at 0x"):
            assert word not in self.text, word


class Browser:
    """A browser with its own cookies.

    :param language: what it prefers, ``fr`` or ``en``.
    :param keeps_cookies: false for one that forgets them all.
    """

    def __init__(
        self, origin: str, *, tls: ssl.SSLContext, language: str = "fr", keeps_cookies: bool = True
    ) -> None:
        self.origin = origin
        self.language = language
        self.history: list[Page] = []
        self.cookies: dict[str, str] = {}
        """Those of the portal's host."""
        self.all_values: set[str] = set()
        """Every value that any cookie ever had."""
        self._tls = tls
        self._keeps_cookies = keeps_cookies

    def open(self, address: str, *, fields: Mapping[str, str] | None = None) -> Page:
        """Open an address as a person does: typed, or of a link."""
        return self._navigate("GET", urljoin(self.origin, address), "none", fields)

    def follow(self, page: Page) -> Page:
        """Take the one step to which a redirect leads."""
        return self._navigate("GET", page.location, _site(page.url, page.location), None)

    def submit(
        self, address: str, *, cross_site: bool = False, form: Mapping[str, str] | None = None
    ) -> Page:
        """Send a form, without fields where none are named, from a page of the portal or of
        another site."""
        site = "cross-site" if cross_site else "same-origin"
        fields, body = {"Origin": "null"}, None
        if form is not None:
            fields["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode("ascii")
        return self._navigate("POST", urljoin(self.origin, address), site, fields, body)

    def fetch(self, address: str) -> Page:
        """Ask as a script of the portal's own page does."""
        fields = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
        fields |= {"Sec-Fetch-Dest": "empty", "Accept": "application/json"}
        return self._send("GET", urljoin(self.origin, address), fields)

    def to_agent(self, login: Page, port: int) -> Page:
        """Click the button of a login page and return how it ends.

        Pages that refresh themselves are asked for again, without the second in between.

        :param port: where the agent listens, instead of the usual port.
        """
        address = re.sub(r":\d+/", f":{port}/", login.agent_link, count=1)
        page = self.click(address)
        while page.refreshes:
            page = self._navigate("GET", address, "same-origin", None)
        return page

    def click(self, address: str) -> Page:
        """Follow a link to another site."""
        return self._navigate("GET", address, "cross-site", {"Sec-Fetch-User": "?1"})

    def _navigate(
        self,
        method: str,
        address: str,
        site: str,
        more: Mapping[str, str] | None,
        body: bytes | None = None,
    ) -> Page:
        fields = {
            "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
            "Sec-Fetch-Site": site,
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            **(more or {}),
        }
        return self._send(method, address, fields, body)

    def _send(
        self, method: str, address: str, fields: Mapping[str, str], body: bytes | None = None
    ) -> Page:
        sent = {"Accept-Language": f"{self.language},*;q=0.5", **fields}
        is_home = _site(self.origin, address) == "same-origin"
        # SameSite=Lax: another site's forms and scripts do not bring our cookies along.
        is_lax = fields["Sec-Fetch-Site"] == "cross-site" and method != "GET"
        if is_home and self.cookies and not is_lax:
            pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            sent["Cookie"] = "; ".join(filter(None, (sent.get("Cookie"), pairs)))
        page = exchange(method, address, sent, body, tls=self._tls)
        if is_home:
            for line in page.all("Set-Cookie"):
                self._keep_cookie(line)
        self.history.append(page)
        return page

    def _keep_cookie(self, line: str) -> None:
        """Keep or forget one cookie, with the demands that its prefix makes on browsers.

        Source: RFC 6265bis §4.1.3.2.
        """
        pair, *rest = (part.strip() for part in line.split(";"))
        attributes = {part.partition("=")[0].lower(): part.partition("=")[2] for part in rest}
        name, _, value = pair.partition("=")
        if name.startswith("__Host-"):
            assert "secure" in attributes, line
            assert attributes.get("path") == "/", line
            assert "domain" not in attributes, line
        if attributes.get("max-age") == "0":
            self.cookies.pop(name, None)
        elif self._keeps_cookies:
            self.cookies[name] = value
        if value:
            self.all_values.add(value)


def exchange(
    method: str,
    address: str,
    fields: Mapping[str, str],
    body: bytes | None = None,
    *,
    tls: ssl.SSLContext,
) -> Page:
    """Send one request on a connection of its own and return the answer; nothing is followed."""
    parts = urlsplit(address)
    host = parts.netloc
    connection = (
        http.client.HTTPSConnection(host, timeout=SECONDS, context=tls)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, timeout=SECONDS)
    )
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, dict(fields))
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    return Page(
        url=address, status=response.status, fields=tuple(response.getheaders()), body=content
    )


def _site(here: str, there: str) -> str:
    return "same-origin" if urlsplit(here)[:2] == urlsplit(there)[:2] else "cross-site"


def _only(pattern: re.Pattern[str], where: str) -> str:
    found = pattern.search(where)
    assert found is not None, where
    return found[1]
