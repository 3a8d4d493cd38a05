"""Watches what FFmpeg is given to decode."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import av
import pytest

from slicer.media import decoder

Watch = Callable[["av.Packet[Any] | None"], object]


class _Watched:
    """A decoder's context; *watch* is told of each packet, None for the flush, once it is done."""

    context: av.VideoCodecContext
    watch: Watch

    def __init__(self, context: object, watch: Watch) -> None:
        self.__dict__.update(context=context, watch=watch)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.context, name, value)

    def decode(self, packet: "av.Packet[Any] | None") -> list[av.VideoFrame]:
        frames = self.context.decode(packet)
        self.watch(packet)
        return frames


def watch_decoders(monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    """Tell of all that decoders of pictures which are made from now on decode."""

    def create(name: str, mode: str) -> _Watched:
        return _Watched(av.CodecContext.create(name, mode), watch)  # type: ignore[call-overload]

    watched = vars(av) | {"CodecContext": SimpleNamespace(create=create)}
    monkeypatch.setattr(decoder, "av", SimpleNamespace(**watched))
