"""Publishes a media file into a room by WHIP, as a browser would: for demos and tests.

`python -m slicer.demo.publisher URL FILE [BEARER]` does it until it is interrupted.
"""

import asyncio
import json
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin, urlsplit

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.contrib.media import MediaPlayer

from slicer.errors import BadInput, RoomError, SlicerError
from slicer.webrtc.transport import gather, host_addresses

CONNECT_TIMEOUT = 20.0
"""Seconds until media flows."""
HTTP_TIMEOUT = 10.0
REDIRECTS = 5
"""How often a request is led elsewhere."""
LOOPS = 10_000
"""How often a looped file is played."""

LOOPBACKS = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::1": "::1"}
"""Where to send from, to who is on this machine; to all others from every address of IPv4."""

VideoCodec = Literal["VP8", "H264"]


class Publication:
    """A file being published; decoded and encoded anew, so that keyframes come on demand."""

    def __init__(
        self, peer: RTCPeerConnection, player: MediaPlayer, session: str, bearer: str | None
    ) -> None:
        self.session = session
        self._peer = peer
        self._player = player
        self._bearer = bearer

    @property
    def connected(self) -> bool:
        """Whether media can flow at this moment."""
        return bool(self._peer.connectionState == "connected")

    async def close(self) -> None:
        """Tell the server, and end. A server that is gone already is no error."""
        for track in (self._player.audio, self._player.video):
            if track is not None:
                track.stop()
        try:
            await asyncio.to_thread(_request, "DELETE", self.session, self._bearer)
        except RoomError:
            return
        finally:
            await self._peer.close()


async def publish(
    whip_url: str,
    media_file: str | Path,
    *,
    video_codec: VideoCodec | None = None,
    bearer: str | None = None,
    loop: bool = True,
) -> Publication:
    """Publish a file's audio and video until `close`.

    *whip_url* names room and user: `http://HOST:PORT/whip/ROOM/USER`. Raises BadInput for a URL or
    a file that cannot work, and RoomError where the server refuses or cannot be reached.
    """
    url = urlsplit(whip_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise BadInput("whip_url", whip_url, "http:// or https:// and a host")
    player = await asyncio.to_thread(_open, Path(media_file), loop)
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    peer = RTCPeerConnection(configuration)
    publication = None
    try:
        _add_tracks(peer, player, video_codec)
        gatherer = peer.getSenders()[0].transport.transport.iceGatherer
        await gather(gatherer, host_addresses(LOOPBACKS.get(url.hostname, "0.0.0.0")))  # noqa: S104
        await peer.setLocalDescription(await peer.createOffer())
        offer = peer.localDescription.sdp.encode()
        answer, headers, at = await asyncio.to_thread(_request, "POST", whip_url, bearer, offer)
        session = urljoin(at, headers.get("location", ""))
        publication = Publication(peer, player, session, bearer)
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await _connected(peer)
    except BaseException:
        await (peer.close() if publication is None else publication.close())
        raise
    return publication


def _open(media_file: Path, loop: bool) -> MediaPlayer:
    """A player of this file, again and again where wanted.

    The player's own loop lets the video's timestamps start over, which stalls every receiver;
    FFmpeg's list of files, the same one each time, goes on counting.
    """
    if not media_file.is_file():
        raise BadInput("media_file", str(media_file), "a file that can be read")
    try:
        if not loop:
            return MediaPlayer(str(media_file))
        quoted = str(media_file.resolve()).replace("'", r"'\''")
        with tempfile.NamedTemporaryFile("w", suffix=".ffconcat") as playlist:
            playlist.write("ffconcat version 1.0\n" + f"file '{quoted}'\n" * LOOPS)
            playlist.flush()
            return MediaPlayer(playlist.name, format="concat", options={"safe": "0"})
    except (OSError, ValueError) as error:
        raise BadInput("media_file", str(media_file), f"a media file ({error})") from None


def _add_tracks(
    peer: RTCPeerConnection, player: MediaPlayer, video_codec: VideoCodec | None
) -> None:
    for track in (player.audio, player.video):
        if track is not None:
            peer.addTrack(track)
    if not peer.getSenders():
        raise BadInput("media_file", "neither audio nor video", "audio, video or both")
    for transceiver in peer.getTransceivers():
        transceiver.direction = "sendonly"
        if transceiver.kind == "video" and video_codec is not None:
            wanted = {f"video/{video_codec}", "video/rtx"}
            codecs = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences([one for one in codecs if one.mimeType in wanted])


async def _connected(peer: RTCPeerConnection) -> None:
    settled = asyncio.Event()

    def changed() -> None:
        if peer.connectionState in {"connected", "failed", "closed"}:
            settled.set()

    peer.on("connectionstatechange", changed)
    changed()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await settled.wait()
    except TimeoutError:
        raise RoomError(f"no connection within {CONNECT_TIMEOUT:g} s") from None
    if peer.connectionState != "connected":
        raise RoomError("ICE or DTLS failed")


def _request(
    method: str, url: str, bearer: str | None, body: bytes | None = None, redirects: int = REDIRECTS
) -> tuple[str, Mapping[str, str], str]:
    """The text and the lower-case headers of an answer, and the URL that gave it. Raises RoomError
    for anything but 2xx; 307 and 308 are followed (RFC 9725 4.5), with the same body."""
    headers = {} if body is None else {"Content-Type": "application/sdp"}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 (checked)
    # A proxy of the environment is not for what runs beside us.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=HTTP_TIMEOUT) as response:
            answered = {name.lower(): value for name, value in response.headers.items()}
            return response.read().decode(), answered, url
    except urllib.error.HTTPError as error:
        if error.code in {307, 308} and redirects and error.headers.get("Location"):
            further = urljoin(url, error.headers["Location"])
            if urlsplit(further).scheme in {"http", "https"}:
                return _request(method, further, bearer, body, redirects - 1)
        raise RoomError(f"{method} {url}: {error.code} {_detail(error.read())}") from None
    except OSError as error:
        raise RoomError(f"{method} {url}: {error}") from None


def _detail(body: bytes) -> str:
    """What problem details say, or the beginning of whatever came."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, LookupError, TypeError):
        return body[:200].decode(errors="replace")


async def _publish_for_ever(url: str, file: str, bearer: str | None) -> None:
    publication = await publish(url, file, bearer=bearer)
    try:
        await asyncio.Event().wait()
    finally:
        await publication.close()


def main(arguments: Sequence[str]) -> int:
    """Publish until interrupted. Gives the exit code."""
    if not 2 <= len(arguments) <= 3:
        sys.stderr.write("usage: python -m slicer.demo.publisher URL FILE [BEARER]\n")
        return 2
    url, file, *bearer = arguments
    try:
        asyncio.run(_publish_for_ever(url, file, bearer[0] if bearer else None))
    except SlicerError as error:
        sys.stderr.write(f"publisher: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
