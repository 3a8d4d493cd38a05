"""Looks a capture through: what is in it, whose it is, and what of it cannot be played."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from slicer.errors import RoomError, counted
from slicer.rooms.replay.anchors import Heard, grouped
from slicer.rooms.replay.capture import Capture, Captured, Elapsed
from slicer.rooms.replay.decryption import Decryption, Stream
from slicer.rooms.replay.encryption import Sample
from slicer.rooms.replay.keys import Keys
from slicer.rooms.replay.network import Endpoints
from slicer.rooms.replay.source import Source
from slicer.rtp import packet, rtcp
from slicer.rtp.parameters import Codec, Kind, RtpParameters
from slicer.rtp.rtcp import SourceDescription

MAX_STREAMS = 1_000
"""SSRCs of one capture that can be anchors'; the packets of further ones are counted."""
# Fewer packets than this that look like RTP of a known payload type are somebody else's.
LEAST_PACKETS = 2
ENCRYPTED = "encrypted (SRTP), and no key opens it"


@dataclass(frozen=True, slots=True)
class Recording:
    """A capture that was looked through once.

    *began*: UTC seconds, 0 where the file does not say; *seconds*: how long it plays; *kinds*: of
    each payload type that is played; *anchors*: whose packets an SSRC of a flow sends; *flows*:
    whose a flow is, where all of it is one anchor's; *refused*: what is encrypted, by anchor;
    *encrypted*, *opened*: the streams that no key and that a key opens.
    """

    source: Source
    began: float
    seconds: float
    streams: tuple[RtpParameters, ...]
    kinds: Mapping[int, Kind]
    anchors: Mapping[Stream, str]
    flows: Mapping[Endpoints, str]
    refused: tuple[tuple[str, Kind], ...]
    encrypted: set[Stream]
    opened: set[Stream]
    keys: Keys

    @classmethod
    def survey(cls, source: Source, account: Counter[str]) -> Self:
        """Read the whole file to find its anchors; *account* gets what it holds, by name.

        Raises BadInput, and RoomError where there is nobody.
        """
        survey = _Survey(source, account)
        survey.read()
        encrypted = survey.encrypted()
        streams = [one for one in survey.heard.values() if one.packets >= LEAST_PACKETS]
        account["stray"] = sum(
            one.packets for one in survey.heard.values() if one.packets < LEAST_PACKETS
        )
        account["encrypted"] += sum(
            one.packets for one in streams if (one.flow, one.ssrc) in encrypted
        )
        if all((one.flow, one.ssrc) in encrypted for one in streams):
            raise RoomError(_nobody(source, survey))
        groups = grouped(streams, together=bool(source.anchor))
        anchors: dict[Stream, str] = {}
        refused = []
        for name, group in zip(_names(source, len(groups)), groups, strict=True):
            plain = [one for one in group if (one.flow, one.ssrc) not in encrypted]
            anchors.update({(one.flow, one.ssrc): name for one in plain})
            lost = {one.kind for one in group if one not in plain}
            refused += [(name, kind) for kind in Kind if kind in lost]
        account["media"] = sum(one.packets for one in streams if (one.flow, one.ssrc) in anchors)
        return cls(
            source,
            survey.began,
            survey.seconds,
            tuple(survey.streams),
            survey.kinds,
            anchors,
            _whole_flows(anchors),
            tuple(refused),
            encrypted,
            survey.opened,
            survey.keys,
        )

    def is_encrypted(self, captured: Captured) -> bool:
        """Whether a packet is of a stream that no key opens."""
        return (captured.flow, int.from_bytes(captured.data[8:12])) in self.encrypted

    def owner(self, captured: Captured, *, control: bool) -> str | None:
        """Whose a packet is; RTCP may come one port above its RTP."""
        flow, data = captured.flow, captured.data
        ssrc = int.from_bytes(data[4:8] if control else data[8:12])
        name = self.anchors.get((flow, ssrc))
        if name is not None or not control:
            return name
        companion = _one_below(flow)
        return (
            self.anchors.get((companion, ssrc)) or self.flows.get(flow) or self.flows.get(companion)
        )


@dataclass(slots=True)
class _Survey:
    """One pass over a file."""

    source: Source
    account: Counter[str]
    began: float = 0.0
    seconds: float = 0.0
    keys: Keys = field(default_factory=Keys)
    streams: list[RtpParameters] = field(default_factory=list)
    kinds: dict[int, Kind] = field(default_factory=dict)
    heard: dict[Stream, Heard] = field(default_factory=dict)
    opened: set[Stream] = field(default_factory=set)
    unknown: Counter[int] = field(default_factory=Counter)
    protected: set[Endpoints] = field(default_factory=set)
    """Flows whose surroundings say SRTP: a handshake, or RTCP that cannot be read."""
    _readable: set[Endpoints] = field(default_factory=set)
    _samples: dict[Stream, Sample] = field(default_factory=dict)
    _codecs: dict[int, Codec] = field(default_factory=dict)
    _cnames: dict[tuple[str, int], str] = field(default_factory=dict)

    def read(self) -> None:
        """Take all packets of the file."""
        self.keys, elapsed = self.source.read_keys(), Elapsed()
        with self.source.open() as file:
            decryption = Decryption(self.keys, self.opened)
            capture = Capture(file, decryption.on_dtls, decryption.add_log)
            self.began = capture.began
            self._prepare(capture.streams)
            for captured in decryption.opened(capture):
                self.seconds = elapsed.reach(captured.seconds)
                if rtcp.is_rtcp(captured.data):
                    self.account["rtcp"] += 1
                    self._take_control(captured)
                else:
                    self.account["rtp"] += 1
                    self._take_media(captured)
        self.account["records"] += capture.records
        self.account.update(capture.counters + decryption.counters)
        self.protected = (self.protected | decryption.handshakes) - self._readable
        described = self.source.cnames()
        for heard in self.heard.values():
            name = self._cnames.get((_address(heard.flow.source), heard.ssrc))
            heard.cname = name or described.get(heard.ssrc, "")

    def encrypted(self) -> set[Stream]:
        """The streams that are ciphertext."""
        found = set()
        for stream, heard in self.heard.items():
            known = self._samples[stream].encrypted()
            around = {heard.flow, _one_above(heard.flow)} & self.protected
            if stream not in self.opened and (bool(around) if known is None else known):
                found.add(stream)
        return found

    def _prepare(self, described: tuple[RtpParameters, ...]) -> None:
        self.streams = self.source.streams(described)
        for stream in self.streams:
            numbers = (*stream.codecs, *stream.rtx, *stream.red)
            self.kinds |= dict.fromkeys(numbers, stream.kind)
            self._codecs |= stream.codecs
            self._codecs |= {number: stream.codecs[of] for number, of in stream.red.items()}

    def _take_media(self, captured: Captured) -> None:
        number = captured.data[1] & 0x7F
        kind = self.kinds.get(number)
        if kind is None:
            self.unknown[number] += 1
            self.account["unknown payload type"] += 1
            return
        stream = captured.flow, int.from_bytes(captured.data[8:12])
        heard = self.heard.get(stream)
        if heard is None:
            if len(self.heard) == MAX_STREAMS:
                self.account["too many streams"] += 1
                return
            heard = Heard(*stream, kind, self.seconds, self.seconds, 0, repairs=True)
            self.heard[stream], self._samples[stream] = heard, Sample()
        heard.last = self.seconds
        heard.packets += 1
        if codec := self._codecs.get(number):
            heard.kind, heard.repairs = kind, False
            try:
                self._samples[stream].take(packet.parse(captured.data), codec)
            except ValueError as reason:
                self.account[f"rtp {reason}"] += 1

    def _take_control(self, captured: Captured) -> None:
        try:
            compound = rtcp.parse(captured.data)
        except ValueError:
            self.protected.add(captured.flow)
            return
        self._readable.add(captured.flow)
        for part in compound:
            if isinstance(part, SourceDescription) and len(self._cnames) < MAX_STREAMS:
                address = _address(captured.flow.source)
                self._cnames |= {(address, ssrc): cname for ssrc, cname in part.cnames}


def payload_type(captured: Captured) -> int:
    """The payload type of an RTP packet."""
    return captured.data[1] & 0x7F


def _whole_flows(anchors: Mapping[Stream, str]) -> dict[Endpoints, str]:
    """The flows that are one anchor's."""
    owners: dict[Endpoints, set[str]] = {}
    for (flow, _), name in anchors.items():
        owners.setdefault(flow, set()).add(name)
    return {flow: names.pop() for flow, names in owners.items() if len(names) == 1}


def _names(source: Source, count: int) -> list[str]:
    """The anchors' names: the one given, or the file's stem; numbered if there are several."""
    stem = re.sub(r"[^A-Za-z0-9_.@-]+", "-", source.path.stem)[:56].lstrip(".") or "anchor"
    name = source.anchor or stem
    return [name] if count == 1 else [f"{name[:59]}-{number}" for number in range(1, count + 1)]


def _address(end: str) -> str:
    return end.rpartition(":")[0]


def _one_below(flow: Endpoints) -> Endpoints:
    """The flow whose RTCP this may be: RFC 3550 11 gives RTCP the next higher port."""
    return _shifted(flow, -1)


def _one_above(flow: Endpoints) -> Endpoints:
    return _shifted(flow, 1)


def _shifted(flow: Endpoints, by: int) -> Endpoints:
    ends = []
    for end in flow:
        address, _, port = end.rpartition(":")
        ends.append(f"{address}:{int(port or 0) + by}")
    return Endpoints(*ends)


def _nobody(source: Source, survey: _Survey) -> str:
    """Why nothing of a capture can be played, and what to do about it."""
    name, account = source.path.name, survey.account
    if account["encrypted"] or (survey.unknown and survey.protected and not survey.opened):
        count = account["encrypted"] or survey.unknown.total()
        advice = "no key of --keys opens it" if source.keys else "open it with --keys FILE"
        return (
            f"{name} is encrypted (SRTP): {counted(count, 'packet')}; {advice} "
            "(SDES lines, or a key log of the DTLS handshake in the capture)"
        )
    if survey.unknown:
        numbers = sorted(survey.unknown.items())[:8]
        seen = ", ".join(f"{number} ({counted(count, 'packet')})" for number, count in numbers)
        return (
            f"{name} holds only payload types without a codec: {seen}; say what they are by "
            "--audio-type 111:opus or --video-type 96:vp8 (of a room's URL: ?audio=111:opus"
            f"&video=96:vp8), or in {source.description.name} beside it"
        )
    if account["incomplete"]:
        cut_off = counted(account["incomplete"], "packet")
        return f"{name} has {cut_off} that the capture cut off: capture whole ones (tcpdump -s 0)"
    seen = ", ".join(f"{count} {what}" for what, count in sorted(account.items()) if count)
    return f"{name} holds no RTP" + (f": {seen}" if seen else "")
