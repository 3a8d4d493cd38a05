"""The layers of simulcast: which of the streams that one m-line is sent in is taken (RFC 8853).

Theory of operation. A sender encodes one picture in several sizes at once. Each layer has an SSRC
of its own, and packets name their layer (RtpStreamId, RFC 8852) at least until a report has come
back; an SSRC keeps the name it had. One layer at a time is taken, so that a frame is one picture.

The description does not say which layer is the largest: browsers list them in the order in which
the page named them, and pages name them in either order. Whether a layer flows is not said either,
for a sender stops the large ones while the path is narrow. Both are measured: in each WINDOW, the
mean size of a layer's frames. Of one picture, the larger encoding takes more bytes a frame, and
that does not depend on frame rates, codecs or the payload's encryption end to end.

    larger than the one taken, PATIENCE windows in a row    ─▶ take it
    the one taken has sent nothing, FALL_BACK windows       ─▶ take the largest that flows

Where pictures need to be no higher than *height*, the smallest layer that is so high is enough, and
the largest where none is. Heights are read from the keyframes that come (VP8, VP9, H.264); of other
codecs they are not known, and the largest layer is taken.

Each fall-back doubles the patience, so a path that is just too narrow for the large layer does not
have the two take turns: each change begins an epoch. A layer that is not taken is counted, and
reported in transport-wide feedback, as the sender's congestion control needs it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slicer.rtp.codecs import VIDEO
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import REPAIRED_RID, RID, RtpParameters

WINDOW = 1.0
"""Seconds of arrivals after which the layers are compared."""
LARGER = 1.25
"""How many times as large the frames of another layer must be: less may be one busy second."""
PATIENCE = 2
MAX_PATIENCE = 32
"""Windows in a row for which another layer must be the larger one, at first and at most."""
FALL_BACK = 2
"""Windows in a row without a packet of the layer taken. A still screen may send one a second."""
MAX_SSRCS = 16
"""SSRCs whose layer is known; beyond it, the one that was named first is forgotten."""


@dataclass(slots=True)
class Meter:
    """What came of one layer in this window. *timestamp*: of its last packet; *height*: of its last
    keyframe, in pixels; 0 where it is not known."""

    frames: int = 0
    size: int = 0
    timestamp: int = -1
    height: int = 0

    def frame_size(self) -> float:
        """Bytes a frame; 0 where nothing came."""
        return self.size / (self.frames or 1)


class Layers:
    """The layers of one m-line, by their place in `RtpParameters.rids`; the last has no name.

    *height*: pixels that are enough; 0: the largest is wanted. It may be set at any time.
    """

    def __init__(self, parameters: RtpParameters, counters: Counter[str]) -> None:
        self.height = 0
        self._counters = counters
        self._codecs = parameters.codecs
        self._rtx = parameters.rtx
        self._ids = frozenset(
            number for number, uri in parameters.extensions.items() if uri in {RID, REPAIRED_RID}
        )
        self._places = {rid.encode(): place for place, rid in enumerate(parameters.rids)}
        self._nameless = len(parameters.rids)
        self._ssrcs: dict[int, int] = {}
        self._meters = [Meter() for _ in range(self._nameless + 1)]
        self._taken: int | None = None
        self._ends = 0.0
        self._candidate: int | None = None
        self._votes = 0
        self._patience = PATIENCE

    def receive(self, packet: Packet, elements: Mapping[int, bytes]) -> bool:
        """Whether this packet is of the layer that is taken; it comes as it was on the wire."""
        layer = self._layer(packet, elements)
        if packet.payload_type in self._rtx:
            taken = layer in {self._taken, self._nameless}
        else:
            self._measure(layer, packet)
            taken = layer == self._taken
        if not taken:
            self._counters["other_layer"] += 1
        return taken

    def of(self, ssrc: int) -> int:
        """The layer of an SSRC."""
        return self._ssrcs.get(ssrc, self._nameless)

    def _layer(self, packet: Packet, elements: Mapping[int, bytes]) -> int:
        """The layer of a packet, by its own name or the one that its SSRC had before."""
        rid = None
        for number, value in elements.items():
            if number in self._ids:
                rid = value
        if rid is None:
            return self.of(packet.ssrc)
        if packet.ssrc not in self._ssrcs and len(self._ssrcs) >= MAX_SSRCS:
            del self._ssrcs[next(iter(self._ssrcs))]
        self._ssrcs[packet.ssrc] = self._places.get(rid, self._nameless)
        return self._ssrcs[packet.ssrc]

    def _measure(self, layer: int, packet: Packet) -> None:
        if self._taken is None:
            self._taken, self._ends = layer, packet.arrival + WINDOW
        elif packet.arrival >= self._ends:
            self._choose(self._taken)
            self._ends = packet.arrival + WINDOW
        meter = self._meters[layer]
        meter.frames += packet.timestamp != meter.timestamp
        meter.size += len(packet.payload)
        meter.timestamp = packet.timestamp
        codec = self._codecs.get(packet.payload_type)
        if codec is not None and codec.name in VIDEO:
            meter.height = VIDEO[codec.name].height(packet.payload) or meter.height

    def _choose(self, taken: int) -> None:
        """A window is over: take another layer, or go on; then measure anew."""
        sizes = [meter.frame_size() for meter in self._meters]
        for meter in self._meters:
            meter.frames = meter.size = 0
        better = self._better(sizes, taken)
        if better is None:
            self._candidate, self._votes = None, 0
            return
        self._votes = self._votes + 1 if better == self._candidate else 1
        self._candidate = better
        gone = not sizes[taken]
        if self._votes < (FALL_BACK if gone else self._patience):
            return
        if gone:
            self._patience = min(2 * self._patience, MAX_PATIENCE)
        self._taken, self._candidate, self._votes = better, None, 0
        self._counters["layer_changed"] += 1

    def _better(self, sizes: Sequence[float], taken: int) -> int | None:
        """The layer to take in place of the one taken, by the bytes a frame of each; None: none."""
        heights = [meter.height for meter in self._meters]
        enough = [
            place for place, size in enumerate(sizes) if size and heights[place] >= self.height
        ]
        if self.height and enough:
            smallest = min(enough, key=lambda place: (heights[place], place != taken))
            return smallest if smallest != taken else None
        largest = sizes.index(max(sizes))
        return largest if sizes[largest] > sizes[taken] * LARGER else None
