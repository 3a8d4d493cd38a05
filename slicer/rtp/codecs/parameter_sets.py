"""The parameter sets that a stream has shown so far, in its packets and its session description."""

import base64

from slicer.rtp.codecs.nal import NalFormat

MAX_SETS = 64
MAX_SET_BYTES = 4096


class ParameterSets:
    """Parameter sets by kind and id, the last of each id; MAX_SETS of all kinds at most."""

    def __init__(self, nals: NalFormat, sprop: str = "") -> None:
        """*sprop*: as Codec.parameter_sets; what is not base64 is ignored."""
        self._nals = nals
        self._sets: dict[tuple[int, int], bytes] = {}
        for entry in sprop.split(","):
            # More padding than there must be is let pass by some versions of Python and not by all.
            if len(entry) % 4 or entry.endswith("==="):
                continue
            try:
                self.note(base64.b64decode(entry, validate=True))
            except ValueError:  # not always binascii.Error: letters beyond ASCII
                continue
        self.described = bool(self.all())
        """Whether the description has sets of all kinds, and none has come in packets."""

    def note(self, nal: bytes) -> None:
        """Remember this NAL unit if it is a parameter set of MAX_SET_BYTES at most."""
        if not nal or len(nal) > MAX_SET_BYTES or self._nals.kind(nal) not in self._nals.sets:
            return
        number = self._nals.number(nal)
        if number is None:
            return
        key = (self._nals.kind(nal), number)
        self._sets.pop(key, None)
        if len(self._sets) == MAX_SETS:
            self._sets.pop(next(iter(self._sets)))
        self._sets[key] = nal
        self.described = False

    def all(self) -> list[bytes]:
        """All sets, as they refer to each other; empty while one of the kinds is unknown."""
        if {kind for kind, _ in self._sets} != set(self._nals.sets):
            return []
        return [self._sets[key] for key in sorted(self._sets)]
