"""Run by the system's Python: `rtpbin_process.py PIPELINE PORT` plays until it is killed."""

import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gio, GLib, Gst  # noqa: E402


def main() -> None:
    """Play; says `playing` once it does. `reports` and `answers` share a socket on PORT, so that
    RTCP is symmetric (RFC 4961)."""
    Gst.init(None)
    pipeline = Gst.parse_launch(sys.argv[1])
    sock = Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.DATAGRAM, Gio.SocketProtocol.UDP)
    sock.bind(Gio.InetSocketAddress.new_from_string("127.0.0.1", int(sys.argv[2])), False)
    for name in ("reports", "answers"):
        element = pipeline.get_by_name(name)
        element.set_property("close-socket", False)
        element.set_property("socket", sock)
    pipeline.set_state(Gst.State.PLAYING)
    print("playing", flush=True)
    GLib.MainLoop().run()


main()
