"""Who is in a room on a WHEP server: always the same, a JSON list, or the API of MediaMTX."""

import json
from typing import Any

from slicer.errors import BadInput, RoomError
from slicer.rooms.whep.address import WhepAddress
from slicer.rooms.whep.client import UNANSWERED, Client
from slicer.rooms.whip.address import check_user

PAGE = 100
"""Paths that MediaMTX is asked for at once; the most it gives."""
MAX_PAGES = 100


async def listed(address: WhepAddress, client: Client) -> tuple[str, ...]:
    """The anchors that are there now, each once. Raises RoomError."""
    if address.api_url:
        return await _mediamtx(address, client)
    if address.list_url:
        return _names(address.list_url, await _json(address.list_url, client))
    return address.anchors


def usable(anchor: str) -> bool:
    """Whether this can be an anchor's name: it becomes a part of a slice's path."""
    try:
        check_user("anchor", anchor)
    except BadInput:
        return False
    return True


async def _mediamtx(address: WhepAddress, client: Client) -> tuple[str, ...]:
    """The paths below the room that can be read, page by page."""
    prefix = f"{address.room}/"
    found: dict[str, None] = {}
    for page in range(MAX_PAGES):
        url = f"{address.api_url}/v3/paths/list?itemsPerPage={PAGE}&page={page}"
        answer = await _json(url, client)
        try:
            pages, names = _paths(answer)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise RoomError(f"{address.api_url} is not the API of MediaMTX") from None
        below = (name for name in names if name.startswith(prefix))
        found |= dict.fromkeys(name.removeprefix(prefix) for name in below)
        if page + 1 >= pages:
            return tuple(found)
    raise RoomError(f"{address.api_url} tells more than {MAX_PAGES * PAGE} paths")


def _paths(page: Any) -> tuple[int, list[str]]:
    """The number of pages, and the paths of this one that somebody publishes to."""
    # `available` since MediaMTX 1.16, `ready` before.
    ready = (one for one in page["items"] if one.get("available", one.get("ready")))
    return int(page["pageCount"]), [str(one["name"]) for one in ready]


def _names(url: str, names: object) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RoomError(f"{url} is no list of anchors: a JSON array of texts")
    return tuple(dict.fromkeys(names))


async def _json(url: str, client: Client) -> object:
    answer = await client.get(url)
    if answer.status == UNANSWERED:
        raise RoomError(answer.reason)
    if answer.status != 200:
        raise RoomError(f"{url} answers {answer.reason}")
    try:
        found: object = json.loads(answer.text)
    except (ValueError, RecursionError):
        raise RoomError(f"{url} answers no JSON") from None
    return found
