"""Resources and all their methods: what they answer to OPTIONS, to HEAD and to every other one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ExceptionHandler, Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]


def resource(
    path: str, handlers: Mapping[str, Handler], about: Mapping[str, str] | None = None
) -> Route:
    """The route of a resource, with a handler for each method that it has.

    GET answers HEAD as well (RFC 9110 9.3.2: the server leaves the content out), OPTIONS is
    answered with `Allow` and the headers *about* the resource, and any other method with 405 and
    the same complete `Allow`, which routes of one method each cannot give (15.5.6).
    """
    return Route(path, _Resource(handlers, about or {}))


def application(
    routes: Sequence[BaseRoute],
    middleware: Sequence[Middleware] = (),
    exception_handlers: Mapping[Any, ExceptionHandler] | None = None,
) -> Starlette:
    """An app of these routes, to which a slash too many is 404: Starlette would redirect it, to the
    host that the request names and without the prefix of a proxy."""
    app = Starlette(False, routes, middleware, exception_handlers)
    app.router.redirect_slashes = False
    return app


class _Resource:
    """An ASGI application, so that Starlette leaves the methods to it."""

    def __init__(self, handlers: Mapping[str, Handler], about: Mapping[str, str]) -> None:
        self._handlers = dict(handlers)
        if "GET" in handlers:
            self._handlers["HEAD"] = handlers["GET"]
        self._about = {"Allow": ", ".join(sorted({*self._handlers, "OPTIONS"})), **about}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, request = scope["method"], Request(scope, receive, send)
        if method in self._handlers:
            response = await self._handlers[method](request)
        elif method == "OPTIONS":
            response = Response(status_code=204, headers=self._about)
        else:
            allow = self._about["Allow"]
            raise HTTPException(405, f"{method}: allowed: {allow}", {"Allow": allow})
        await response(scope, receive, send)
