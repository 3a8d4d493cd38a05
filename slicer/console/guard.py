"""What every answer of the console says to browsers, and which requests are ours to carry out.

A request that changes something has to come from our own page: the browser says so by
Sec-Fetch-Site (Fetch Metadata), an older one by Origin; the cookie is SameSite=Strict; and the
session's own CSRF token comes in a header, which no form of another site can send.

A page of another site may have its own name resolve to this machine (DNS rebinding): to a browser
it is of one origin with us then. So requests are answered only for hosts that are ours. An address
needs no leave: nobody else's page is at ours.
"""

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicer.errors import shown

COOKIE = "slicer_console"
CSRF_HEADER = "x-csrf-token"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "X-Robots-Tag": "noindex",
}


MISDIRECTED = 421
"""RFC 9110 15.5.20."""


def guarded(app: ASGIApp, hosts: Collection[str]) -> ASGIApp:
    """The application, with HEADERS in each of its answers, for requests to *hosts* (in lower case)
    and to addresses alone."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        host = Request(scope).headers.get("host", "")
        if is_ours(host, hosts):
            await app(scope, receive, told)
            return
        allowed = "an address, localhost, or a name of console.hosts"
        reason = f"Host: got {shown(host)}; allowed: {allowed}"
        await JSONResponse({"reason": reason}, MISDIRECTED)(scope, receive, told)

    return answer


def is_ours(authority: str, hosts: Collection[str]) -> bool:
    """Whether a Host header names us: by an address, as localhost, or by one of *hosts*."""
    try:
        host = urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host in hosts:
        return True
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def from_our_page(request: Request) -> bool:
    """Whether a request that changes something was sent by a page of this origin. One without
    either header is of no browser that protects its user, and is refused."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return origin.partition("://")[2] == request.headers.get("host")
    return site is not None


def from_other_site(request: Request) -> bool:
    """Whether another site has a browser ask for this."""
    return request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
