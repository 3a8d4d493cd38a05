"""`GET /metrics` on a server of its own, which load on the API and its connections do not silence.

It asks for no signature and holds no secret and no id: its labels are words of this program.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from slicer.config import split_authority
from slicer.engine.sample import Sample
from slicer.http import HttpSettings, Server, application, cannot_listen, resource
from slicer.metrics.exposition import exposition

LIMITS = HttpSettings(connections=64, per_address=64, keep_alive=75.0, reserve=0.02)
"""Few connections, and of the process's last descriptors."""

Source = Callable[[], Awaitable[list[Sample]]]
"""Reads what there is to tell now."""


def open_metrics(
    listen: str, source: Source, texts: Mapping[str, str], field: str = "metrics.listen"
) -> Server:
    """Serve metrics alone at HOST:PORT. *texts*: what each name means. Raises BadInput that names
    *field*."""

    async def metrics(request: Request) -> Response:
        content, kind = exposition(await source(), texts, request.headers.get("accept", ""))
        return Response(content, headers={"content-type": kind})

    host, port = split_authority(field, listen)
    try:
        routes = [resource("/metrics", {"GET": metrics})]
        return Server(host, port, application(routes), settings=LIMITS)
    except OSError as error:
        raise cannot_listen(field, listen, error) from None
