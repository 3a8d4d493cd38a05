"""Which packets of VP9 with several spatial layers (SVC) an SFU sends on to one subscriber.

The rule is LiveKit's: who gets a layer gets all below it. A higher one begins where a picture of it
is predicted from no earlier one, a lower one after the end of any layer; and the last packet of the
highest one that is sent has the marker. Numbers have no gaps where packets were left out.
"""


class SpatialLayers:
    """*target*: the highest layer that is wanted. *sent*: those that were sent."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.sent: set[int] = set()
        self._current: int | None = None

    def forward(self, payload: bytes, marker: bool) -> bool | None:
        """The marker of a packet that is sent on; None: it is left out."""
        begins, ends, predicted = payload[0] & 0x08, payload[0] & 0x04, payload[0] & 0x40
        spatial = _spatial(payload)
        if self._current is None:
            if predicted or spatial:
                return None
            self._current = 0
        elif self._current < spatial <= self.target and begins and not predicted:
            self._current = spatial
        current = self._current
        if current > self.target and ends:
            self._current = self.target
        if spatial > current:
            return None
        self.sent.add(spatial)
        last = ends and spatial == current and (predicted or self.target <= current)
        return marker or bool(last)


def _spatial(payload: bytes) -> int:
    """The layer that a payload descriptor tells (RFC 9628 4.2)."""
    at = 1
    if payload[0] & 0x80:
        at += 2 if payload[1] & 0x80 else 1
    return payload[at] >> 1 & 7 if payload[0] & 0x20 else 0
