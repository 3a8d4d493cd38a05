"""Where a packet begins and ends within a TCP connection: three ways that media is framed there.

    RTSP      '$', a channel, a length, the packet; messages between (RFC 2326 10.12, RFC 7826 14)
    RFC 4571  a length, the packet: SDP's TCP/RTP/AVP, and ICE over TCP with its STUN and DTLS
    TURN      STUN messages and ChannelData, each with its own length (RFC 8656 12.5)

Nothing says which one a connection uses, and a capture may begin in the middle of it. So a framing
is believed where the packets that it finds prove themselves, which bytes at random do not: RTCP or
STUN of the very length that the packet itself tells, or two RTP packets of one source that follow
each other.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

LEAST = 8
"""Bytes of the shortest packet that is looked at."""
COOKIE = bytes.fromhex("2112a442")
"""Of STUN (RFC 8489 5)."""
_STUN_HEADER = 20
_CHANNELS = 32  # of RTSP; interleaved=0-1, 2-3, …


class Frame(NamedTuple):
    """A packet's place in a buffer: [*start*, *end*); what follows begins at *next*."""

    start: int
    end: int
    next: int


class Framing(Enum):
    """The value is for people to read."""

    RTSP = "RTSP"
    LENGTH = "RFC 4571"
    TURN = "TURN"

    @property
    def needed(self) -> int:
        """Bytes by which a frame is known; no packet's frame is shorter."""
        return {Framing.RTSP: 4, Framing.LENGTH: 2, Framing.TURN: 4}[self] + LEAST

    def frame(self, buffer: bytes, at: int) -> Frame | None:
        """The frame that begins at *at*, and may end behind the buffer; None where there is none.
        The buffer holds the bytes that are needed."""
        return _FRAMES[self](buffer, at)

    def starts(self, buffer: bytes) -> Iterator[int]:
        """Where frames may begin."""
        return (found.start() for found in _STARTS[self].finditer(buffer))

    def chain(self, buffer: bytes, at: int) -> tuple[list[Frame], int]:
        """The whole frames from *at* on, each behind the other, and where the next one would be.

        With RTSP, messages may stand between them.
        """
        frames = list[Frame]()
        while len(buffer) - at >= self.needed:
            frame = self.frame(buffer, at)
            if frame is not None:
                if frame.next > len(buffer):
                    break
                frames.append(frame)
                at = frame.next
            elif self is Framing.RTSP:
                following = buffer.find(b"$", at + 1)
                at = following if following >= 0 else len(buffer)
            else:
                break
        return frames, at

    def ends(self, buffer: bytes, at: int) -> bool:
        """Whether what begins at *at* is no frame, however it goes on."""
        known = self is not Framing.RTSP and len(buffer) - at >= self.needed
        return known and self.frame(buffer, at) is None


def proven(packets: list[bytes]) -> bool:
    """Whether these are packets indeed."""
    heard = dict[bytes, int]()
    for packet in packets:
        if _tells_its_length(packet):
            return True
        at = 4 if packet[:1] and packet[0] >> 6 == 1 else 0  # behind the header of ChannelData
        if _is_rtp(packet[at:]):
            sequence, source = int.from_bytes(packet[at + 2 : at + 4]), packet[at + 8 : at + 12]
            if heard.get(source) == (sequence - 1) & 0xFFFF:
                return True
            heard[source] = sequence
    return False


def _tells_its_length(packet: bytes) -> bool:
    if packet[4:8] == COOKIE and packet[0] < 4:
        return len(packet) == _STUN_HEADER + int.from_bytes(packet[2:4])
    if not _is_rtcp(packet):
        return False
    at = 0
    while at + 4 <= len(packet) and packet[at] >> 6 == 2:
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4])
    return at == len(packet)


def _is_rtcp(packet: bytes) -> bool:
    """A compound begins with a report (RFC 3550 6.1), or with what RFC 5506 sends alone."""
    return len(packet) >= LEAST and packet[0] >> 6 == 2 and 200 <= packet[1] <= 207


def _is_rtp(packet: bytes) -> bool:
    return len(packet) >= 12 and packet[0] >> 6 == 2 and not 192 <= packet[1] <= 223


def _within_rtsp(buffer: bytes, at: int) -> Frame | None:
    mark, channel, length = struct.unpack_from("!BBH", buffer, at)
    start = at + 4
    if mark != 0x24 or channel >= _CHANNELS or length < LEAST or buffer[start] >> 6 != 2:
        return None
    return Frame(start, start + length, start + length)


def _behind_a_length(buffer: bytes, at: int) -> Frame | None:
    length, start = int.from_bytes(buffer[at : at + 2]), at + 2
    if length and (length < LEAST or not _is_media(buffer, start)):
        return None
    return Frame(start, start + length, start + length)  # empty: RFC 4571 2 has it keep alive


def _of_turn(buffer: bytes, at: int) -> Frame | None:
    kind, length = struct.unpack_from("!HH", buffer, at)
    if 0x4000 <= kind <= 0x4FFF and _is_media(buffer, at + 4):
        end = at + 4 + length
        return Frame(at, end, end + -length % 4)  # over TCP, ChannelData is padded
    if kind < 0x400 and buffer[at + 4 : at + 8] == COOKIE:
        end = at + _STUN_HEADER + length
        return Frame(at, end, end)
    return None


def _is_media(buffer: bytes, at: int) -> bool:
    """RTP and RTCP, DTLS or STUN, by the first bytes (RFC 7983 7)."""
    first = buffer[at]
    if first < 4:
        return buffer[at + 4 : at + 8] == COOKIE
    return first >> 6 == 2 or (20 <= first <= 63 and buffer[at + 1] == 0xFE)


_FRAMES: Mapping[Framing, Callable[[bytes, int], Frame | None]] = {
    Framing.RTSP: _within_rtsp,
    Framing.LENGTH: _behind_a_length,
    Framing.TURN: _of_turn,
}
# Of RFC 4571, frames of 4096 bytes or more are not where one is found; only what follows is.
_STARTS: Mapping[Framing, re.Pattern[bytes]] = {
    Framing.RTSP: re.compile(rb"\$(?=[\x00-\x1f]..[\x80-\xbf])", re.DOTALL),
    Framing.LENGTH: re.compile(
        rb"[\x00-\x0f](?=.(?:[\x80-\xbf]|[\x14-\x3f]\xfe|[\x00-\x03]...\x21\x12\xa4\x42))",
        re.DOTALL,
    ),
    Framing.TURN: re.compile(
        rb"[\x40-\x4f](?=.[\x00-\x0f].[\x80-\xbf])|[\x00-\x03](?=...\x21\x12\xa4\x42)", re.DOTALL
    ),
}
