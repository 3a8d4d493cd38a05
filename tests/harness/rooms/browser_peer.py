"""A browser as the other end of a session that either end changes; its tracks are told apart."""

from collections.abc import Sequence
from typing import Any

from playwright.async_api import Page

_SCRIPT = """() => {
  const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const sound = new AudioContext({ sampleRate: 48000 });
  // A tone of so many hertz, or a picture that is all of one level of grey.
  function track(kind, value) {
    if (kind === "audio") {
      const oscillator = new OscillatorNode(sound, { frequency: value });
      const out = sound.createMediaStreamDestination();
      oscillator.connect(out);
      oscillator.start();
      return out.stream.getAudioTracks()[0];
    }
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
    const pen = canvas.getContext("2d");
    setInterval(() => {
      pen.fillStyle = `rgb(${value}, ${value}, ${value})`;
      pen.fillRect(0, 0, 320, 180);
    }, 50);
    return canvas.captureStream(20).getVideoTracks()[0];
  }
  const gathered = () => new Promise(done => {
    const look = () => { if (connection.iceGatheringState === "complete") done(); };
    connection.addEventListener("icegatheringstatechange", look);
    look();
  });
  window.peer = {
    async offer(added) {
      for (const [kind, value] of added)
        connection.addTransceiver(track(kind, value), { direction: "sendonly" });
      await connection.setLocalDescription();
      await gathered();
      return connection.localDescription.sdp;
    },
    accept: sdp => connection.setRemoteDescription({ type: "answer", sdp }),
    async answer(sdp, values) {
      await connection.setRemoteDescription({ type: "offer", sdp });
      for (const transceiver of connection.getTransceivers()) {
        const value = values[transceiver.mid];
        if (value === undefined || transceiver.sender.track) continue;
        await transceiver.sender.replaceTrack(track(transceiver.receiver.track.kind, value));
        transceiver.direction = "sendonly";
      }
      await connection.setLocalDescription();
      await gathered();
      return connection.localDescription.sdp;
    },
    mids: () => connection.getTransceivers().filter(t => !t.stopped).map(t => t.mid),
    stop: mid => connection.getTransceivers().find(t => t.mid === mid).stop(),
    state: () => connection.connectionState,
    close: () => { connection.close(); sound.close(); },
  };
}"""


class BrowserPeer:
    """One page's RTCPeerConnection. A track is ("audio", hertz) or ("video", level of grey)."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def open(self) -> None:
        await self._page.evaluate(_SCRIPT)

    async def offer(self, added: Sequence[tuple[str, int]] = ()) -> str:
        """Offer what there is and these tracks."""
        return str(await self._call("offer", list(added)))

    async def accept(self, answer: str) -> None:
        await self._call("accept", answer)

    async def answer(self, offer: str, values: dict[str, int]) -> str:
        """Answer; by the m-lines of these MIDs go tracks of these values."""
        return str(await self._call("answer", offer, values))

    async def mids(self) -> list[str]:
        return list(await self._call("mids"))

    async def stop(self, mid: str) -> None:
        """Stop a transceiver for good: its m-line is free for another at the next offer."""
        await self._call("stop", mid)

    async def state(self) -> str:
        return str(await self._call("state"))

    async def close(self) -> None:
        await self._call("close")

    async def _call(self, name: str, *arguments: object) -> Any:
        return await self._page.evaluate(f"a => peer.{name}(...a)", list(arguments))
