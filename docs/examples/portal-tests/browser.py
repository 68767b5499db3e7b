"""As much of a browser as a login needs: cookies, redirects, the button that calls the agent."""

import html
import http.client
import re
import time
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

SECONDS = 30
AGENT_LINK = re.compile(r'href="(http://127\.0\.0\.1:\d+/v1/login\?[^"]+)"')


@dataclass(frozen=True)
class Page:
    """One answer."""

    url: str
    status: int
    text: str
    location: str | None
    """Where the answer sends the browser, if it does."""


@dataclass
class Browser:
    """A browser that knows the gateway's address and no other tab."""

    gateway: str
    cookies: dict[str, str] = field(default_factory=dict)

    def open(self, path: str, *, site: str = "none") -> Page:
        """Open a page and go where redirects lead."""
        page = self._get(urljoin(self.gateway, path), site)
        while page.location is not None:
            page = self._get(page.location, "same-origin")
        return page

    def log_in(self, path: str, agent: str) -> Page:
        """Open a page without a session, let the agent sign in, and return where that ends.

        :param agent: the agent's address; a real browser finds it on its usual port.
        """
        login = self.open(path)
        link = AGENT_LINK.search(html.unescape(login.text))
        assert link is not None, login.text
        address = link[1].replace(f"http://{urlsplit(link[1]).netloc}", agent)
        page = self._get(address, "cross-site")
        until = time.monotonic() + SECONDS
        # The agent shows how far it is, on a page that asks for itself again.
        while 'http-equiv="refresh"' in page.text and time.monotonic() < until:
            time.sleep(0.1)
            page = self._get(address, "same-origin")
        if page.location is None:
            return page
        return self.open(page.location, site="cross-site")

    def _get(self, address: str, site: str) -> Page:
        parts = urlsplit(address)
        fields = {
            "Accept": "text/html",
            "Accept-Language": "fr",
            "Sec-Fetch-Site": site,
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
        }
        at_home = address.startswith(self.gateway + "/")
        if at_home and self.cookies:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
        try:
            connection.request("GET", parts._replace(scheme="", netloc="").geturl(), headers=fields)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        if at_home:
            for line in answer.headers.get_all("Set-Cookie", []):
                self._keep(line)
        location = answer.getheader("Location")
        return Page(
            url=address,
            status=answer.status,
            text=text,
            location=None if location is None else urljoin(address, location),
        )

    def _keep(self, line: str) -> None:
        name, _, value = line.partition(";")[0].partition("=")
        if value and "max-age=0" not in line.lower():
            self.cookies[name] = value
        else:
            self.cookies.pop(name, None)
