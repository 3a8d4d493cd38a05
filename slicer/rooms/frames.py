"""Encoded frames wrapped into RTP, for rooms that give frames and no packets.

    EncodedFrame → payloads → RTP packets, a sender report each second → the bundle, unchanged

Theory of operation. What cuts and grabs reads RTP, so a room that gets whole frames becomes the
sender of a connection that never leaves the process. Nothing is lost on it: sequence numbers have
no holes, and no packet is repeated. The frames' own timestamps are the RTP timestamps.

Audio and video of an anchor are on one clock there, as containers have them. Sender reports say so:
they tie both tracks' timestamps to one NTP clock, and it is the mapper that finds, from arrivals,
where that clock lies on ours. Where a room's two clocks have nothing to do with each other, it
leaves the reports out, and each track is placed by its own arrivals.

A keyframe cannot be asked for here, and the sections name no feedback. So a picture is the frame
that is due, decoded from the keyframe before it. What the receiver answers goes nowhere.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from struct import Struct
from typing import NamedTuple

from slicer.clock import Clock
from slicer.hot import Bundle
from slicer.rooms import packetizer
from slicer.rtp import rtcp
from slicer.rtp.parameters import Codec, Kind, Role, RtpParameters, Slot
from slicer.rtp.rtcp.reports import SenderReport
from slicer.slicing.outputs import Subscribe, TrackKey, TrackOutput
from slicer.webrtc.counts import PACKETS
from slicer.webrtc.driver import BundleDriver

REPORT_INTERVAL = 1.0
"""Seconds of media between two sender reports of a track."""
MAX_BATCH = 512
"""Datagrams given to the bundle at once; it holds 2048 of a stream before they are in order."""

_HEADER = Struct("!BBHII")
_MARKER = 0x80
# One for each slot: by them the bundle tells an anchor's tracks apart.
_PAYLOAD_TYPES: Mapping[Slot, int] = {
    (kind, role): 96 + number for number, (role, kind) in enumerate(product(Role, Kind))
}
# Media time 0 as NTP: far enough from both ends of its 64 bits for any media time of 32.
_NTP_ZERO = 1 << 31


class EncodedFrame(NamedTuple):
    """One audio packet or one access unit. *timestamp*: ticks of the codec's clock, unwrapped; that
    of the picture, so it steps back where B-frames are sent."""

    kind: Kind
    timestamp: int
    data: bytes
    role: Role = Role.MAIN


class FrameTrack:
    """The sender of one track."""

    def __init__(self, slot: Slot, codec: Codec, *, reports: bool = True) -> None:
        kind, role = slot
        known = packetizer.AUDIO_CODECS if kind is Kind.AUDIO else packetizer.VIDEO_CODECS
        if codec.name not in known:
            raise ValueError(f"{kind} codec {codec.name}; allowed: {', '.join(sorted(known))}")
        self._payloads = packetizer.audio if kind is Kind.AUDIO else packetizer.video
        self._type = _PAYLOAD_TYPES[slot]
        self.parameters = RtpParameters(kind, {self._type: codec}, role=role)
        self.codec = codec
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._reports = reports
        self._reported: int | None = None
        self._packets = self._octets = 0

    def packets(self, frame: EncodedFrame) -> list[bytes]:
        """Its datagrams, and a report where one is due. Raises ValueError for what can be no frame
        of the codec."""
        payloads = self._payloads(self.codec.name, frame.data)
        video = self.parameters.kind is Kind.VIDEO
        datagrams = []
        for payload in payloads:
            self._sequence = self._sequence + 1 & 0xFFFF
            last = video and payload is payloads[-1]
            second = self._type | (_MARKER if last else 0)
            timestamp = frame.timestamp & 0xFFFFFFFF
            head = _HEADER.pack(0x80, second, self._sequence, timestamp, self._ssrc)
            datagrams.append(head + payload)
            self._packets += 1
            self._octets += len(payload)
        return [*datagrams, *self._report(frame.timestamp)]

    def _report(self, timestamp: int) -> list[bytes]:
        rate = self.codec.clock_rate
        since = None if self._reported is None else timestamp - self._reported
        # A clock that was set back is reported at once, as one that leapt is.
        if not self._reports or (since is not None and -rate < since < REPORT_INTERVAL * rate):
            return []
        self._reported = timestamp
        ntp = (_NTP_ZERO << 32) + (timestamp << 32) // rate
        report = SenderReport(
            self._ssrc,
            ntp & (1 << 64) - 1,
            timestamp & 0xFFFFFFFF,
            self._packets & 0xFFFFFFFF,
            self._octets & 0xFFFFFFFF,
        )
        return [rtcp.build([report])]


class FrameMedia:
    """One anchor's frames, and its tracks cut for those who attach. For the loop's thread."""

    def __init__(
        self,
        anchor: str,
        codecs: Mapping[Slot, Codec],
        clock: Clock,
        deliver: Callable[[TrackOutput], None],
        *,
        reports: bool = True,
    ) -> None:
        """*reports*: whether audio and video are on one clock. Raises ValueError for a codec that
        cannot be wrapped."""
        self._anchor, self._reports = anchor, reports
        self._tracks: dict[Slot, FrameTrack] = {}
        self._counters: Counter[str] = Counter()
        self._driver: BundleDriver | None = BundleDriver(
            Bundle(secrets.randbits(32)), clock, _nowhere, deliver
        )
        self._ended: Counter[str] = Counter()
        self.set_codecs(codecs)

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason; and frames by fate (PACKETS)."""
        media = self._ended if self._driver is None else self._driver.counters
        return self._counters + media

    def receive(self, frames: Sequence[EncodedFrame]) -> None:
        """Take frames as they came. One that can be none of its codec is dropped, and counted as
        `malformed_frame`; so is one of a track that is not there, as `unknown_track`."""
        datagrams: list[bytes] = []
        taken = 0
        for frame in frames:
            track = self._tracks.get((frame.kind, frame.role))
            if track is None:
                self._counters["unknown_track"] += 1
                continue
            try:
                datagrams += track.packets(frame)
                taken += 1
            except ValueError:
                self._counters["malformed_frame"] += 1
            if len(datagrams) >= MAX_BATCH:
                self._give(datagrams)
                datagrams = []
        self._give(datagrams)
        self._counters[f"{PACKETS}media"] += taken
        self._counters[f"{PACKETS}refused"] += len(frames) - taken

    def set_codecs(self, codecs: Mapping[Slot, Codec]) -> None:
        """Replace what the anchor sends. A track whose codec stays goes on; one that is sent no
        longer gives its last cuts. Raises ValueError for a codec that cannot be wrapped."""
        before, self._tracks = self._tracks, {}
        for slot, codec in codecs.items():
            track = before.get(slot)
            stays = track is not None and track.codec == codec
            fresh = FrameTrack(slot, codec, reports=self._reports)
            self._tracks[slot] = track if track is not None and stays else fresh
        if self._driver is not None:
            parameters = [track.parameters for track in self._tracks.values()]
            self._driver.set_sections(self._anchor, parameters)

    def attach(self, subscribe: Subscribe) -> None:
        """Cut this track from the next frame on. After `close` it is ignored."""
        if self._driver is not None:
            self._driver.attach(subscribe)

    def detach(self, track: TrackKey) -> None:
        """Deliver the track's last cut and release it."""
        if self._driver is not None:
            self._driver.detach(track)

    def close(self) -> None:
        """The frames are over: deliver the last cuts. May be called twice."""
        if self._driver is not None:
            driver, self._driver = self._driver, None
            driver.close()
            self._ended = driver.counters

    def _give(self, datagrams: Sequence[bytes]) -> None:
        """A frame of many packets may be more than a batch: it is given in several."""
        for start in range(0, len(datagrams), MAX_BATCH):
            if self._driver is not None:
                self._driver.receive(datagrams[start : start + MAX_BATCH])


def _nowhere(_compound: bytes) -> None:
    """Nobody reads what the receiver writes to its sender."""
