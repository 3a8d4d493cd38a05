"""Publishes by GStreamer's webrtcbin: gstreamer_process.py URL FILE [PARAMETERS OF X265].

FILE is sent in real time: y4m, encoded by x265, or WAV, encoded as Opus. It runs in the system's
Python, which has the bindings of GStreamer, and so imports nothing of ours. Says `publishing` once
it is connected.
"""

import sys
import urllib.request
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

AUDIO = (
    "filesrc location={file} ! wavparse ! audioconvert ! audioresample ! identity sync=true"
    " ! opusenc ! rtpopuspay ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111"
    " ! webrtcbin name=peer bundle-policy=max-bundle"
)
VIDEO = (
    "filesrc location={file} ! y4mdec ! identity sync=true"
    " ! x265enc tune=zerolatency speed-preset=ultrafast bitrate=1500 key-int-max=600"
    " option-string=log-level=error{parameters}"
    " ! h265parse config-interval=-1 ! rtph265pay aggregate-mode=zero-latency mtu=1200"
    " ! application/x-rtp,media=video,encoding-name=H265,payload=96"
    " ! webrtcbin name=peer bundle-policy=max-bundle"
)


class Publisher:
    """One peer connection, its offer posted when all candidates are in it."""

    def __init__(self, url: str, file: str, parameters: str) -> None:
        self.url = url
        pipeline = AUDIO if file.endswith(".wav") else VIDEO
        self.pipeline = Gst.parse_launch(pipeline.format(file=file, parameters=parameters))
        self.peer = self.pipeline.get_by_name("peer")
        # By itself it leaves the loopback interface out. The agent has to be kept: its reference
        # is floating, and goes with Python's.
        self.ice = self.peer.get_property("ice-agent")
        self.ice.emit("add-local-ip-address", "127.0.0.1")
        self.peer.connect("on-negotiation-needed", self.negotiate)
        self.peer.connect("notify::ice-gathering-state", self.gathered)
        self.peer.connect("notify::connection-state", self.connected)

    def negotiate(self, peer: object) -> None:
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
        transceiver = self.peer.emit("get-transceiver", 0)
        transceiver.set_property("direction", direction)
        transceiver.set_property("do-nack", True)  # what was lost is sent again, by RTX
        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self.offered))

    def offered(self, promise: Any) -> None:
        reply = promise.get_reply()  # kept: the offer lies in it
        offer = reply.get_value("offer")
        self.peer.emit("set-local-description", offer, Gst.Promise.new())

    def gathered(self, *_: object) -> None:
        state = self.peer.get_property("ice-gathering-state")
        if state == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            GLib.idle_add(self.post)

    def post(self) -> bool:
        offer = self.peer.get_property("local-description").sdp.as_text()
        headers = {"Content-Type": "application/sdp"}
        request = urllib.request.Request(self.url, offer.encode(), headers)
        with urllib.request.urlopen(request) as response:
            text = response.read()
        _, sdp = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(text, sdp)
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        answer = GstWebRTC.WebRTCSessionDescription.new(kind, sdp)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())
        return False

    def connected(self, *_: object) -> None:
        state = self.peer.get_property("connection-state")
        if state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            print("publishing", flush=True)


def main(url: str, file: str, parameters: str = "") -> None:
    Gst.init(None)
    publisher = Publisher(url, file, parameters)
    publisher.pipeline.set_state(Gst.State.PLAYING)
    bus = publisher.pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message::error", lambda _, message: sys.exit(str(message.parse_error())))
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
