"""The parameter sets an H.264 stream has shown so far, from its packets and its fmtp line."""

import base64

SPS = 7
PPS = 8
_MAX_SETS = 64
_MAX_SET_BYTES = 4096


class ParameterSets:
    """Sequence and picture parameter sets by id, the last of each id; at most 64 of both."""

    def __init__(self, sprop: str = "") -> None:
        """*sprop*: `sprop-parameter-sets` (RFC 6184 8.1); what is not base64 is ignored."""
        self._sets: dict[tuple[int, int], bytes] = {}
        for entry in sprop.split(","):
            # More padding than there must be is let pass by some versions of Python and not by all.
            if len(entry) % 4 or entry.endswith("==="):
                continue
            try:
                self.note(base64.b64decode(entry, validate=True))
            except ValueError:  # not always binascii.Error: letters beyond ASCII
                continue

    def note(self, nal: bytes) -> None:
        """Remember this NAL unit if it is a parameter set."""
        kind = nal[0] & 0x1F if nal else 0
        if kind not in (SPS, PPS) or len(nal) > _MAX_SET_BYTES:
            return
        # An SPS has profile, constraints and level ahead of its id (ITU-T H.264 7.3.2.1.1).
        number = _exp_golomb(nal[4:] if kind == SPS else nal[1:])
        if number is None:
            return
        key = (kind, number)
        self._sets.pop(key, None)
        if len(self._sets) == _MAX_SETS:
            self._sets.pop(next(iter(self._sets)))
        self._sets[key] = nal

    def both(self) -> list[bytes]:
        """All sets, SPS first, as they refer to each other; empty while either kind is unknown."""
        kinds = {kind for kind, _ in self._sets}
        if kinds != {SPS, PPS}:
            return []
        return [self._sets[key] for key in sorted(self._sets)]


def _exp_golomb(data: bytes) -> int | None:
    """The ue(v) at the head of *data* (ITU-T H.264 9.1); None where it is cut off or absurd."""
    bits = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
    zeros = 32 - bits.bit_length()
    end = 2 * zeros + 1
    if end > 8 * min(len(data), 4):
        return None
    return (bits >> 32 - end) - 1
