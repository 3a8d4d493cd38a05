#!/bin/sh
# Install what the tests need from outside PyPI: Chromium; and what they can do without: GStreamer,
# the publisher of H.265, tshark, which reads captures beside us, valgrind, for `make instructions`,
# coturn, Janus, FFmpeg, servers of RTMP and RTSP, and Prometheus' promtool. Does nothing where they are there already.
set -eu

browser=${CHROMIUM:-chromium}
promtool=$(cd "$(dirname "$0")/.." && pwd)/build/promtool
libwebrtc=$(cd "$(dirname "$0")/.." && pwd)/build/libwebrtc
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo

has() {
    command -v "$1" >/dev/null 2>&1
}

can_install() {
    has apt-get && { [ -z "$sudo" ] || has sudo; }
}

try() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" \
        </dev/null >/dev/null
}

# The package lists may be missing or old: they are fetched only where the first try fails.
install() {
    try "$@" 2>/dev/null || { $sudo apt-get update -qq </dev/null && try "$@"; }
}

install_chromium() {
    if [ -n "${CHROMIUM:-}" ]; then
        echo "error: CHROMIUM=$CHROMIUM cannot be run" >&2
        exit 1
    fi
    if ! has apt-get; then
        echo "error: this system has no apt-get; install Chromium, then: make test CHROMIUM=/path/to/it" >&2
        exit 1
    fi
    if ! can_install; then
        echo "error: Chromium is missing; as root: apt-get install chromium" >&2
        exit 1
    fi
    echo "==> installing Chromium for the tests (apt-get, 280 MB)"
    install chromium
    if ! has chromium; then
        echo "error: apt-get installed no command 'chromium'; make test CHROMIUM=/path/to/chrome" >&2
        exit 1
    fi
}

install_valgrind() {
    if can_install; then
        echo "==> installing valgrind, to count instructions (apt-get, 90 MB)"
        install valgrind 2>/dev/null || true
    fi
    has valgrind || echo "note: no valgrind; 'make instructions' will say so" >&2
}

install_tshark() {
    if can_install; then
        echo "==> installing tshark, to compare readings of captures (apt-get, 21 MB; 127 MB on the disk)"
        install tshark 2>/dev/null || true
    fi
    has tshark || echo "note: no tshark; its test is skipped" >&2
}

install_janus() {
    if can_install; then
        echo "==> installing Janus, whose rooms are sliced (apt-get, 20 MB)"
        install janus iproute2 2>/dev/null || true
        # The tests start their own; the package's would stay behind.
        has systemctl && $sudo systemctl disable --now janus >/dev/null 2>&1 || true
    fi
    has janus || echo "note: no Janus; its tests are skipped" >&2
}

has_gstreamer() {
    /usr/bin/python3 -c '
import gi
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstWebRTC
Gst.init(None)
assert all(map(Gst.ElementFactory.find, ("webrtcbin", "nicesrc", "x265enc", "rtph265pay")))
' 2>/dev/null
}

has_libwebrtc() {
    has node && node -e "require('node:module').createRequire('$libwebrtc/')('@roamhq/wrtc')" 2>/dev/null
}

install_libwebrtc() {
    if has npm; then
        echo "==> installing libwebrtc for Node.js (npm, 26 MB) into build/"
        npm install --silent --no-audit --no-fund --no-save --prefix "$libwebrtc" @roamhq/wrtc@0.10.0 || true
    fi
    has_libwebrtc || echo "note: no libwebrtc for Node.js; its test is skipped" >&2
}

install_gstreamer() {
    if can_install; then
        echo "==> installing GStreamer, which publishes H.265 (apt-get, 180 MB)"
        install python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice gstreamer1.0-plugins-good \
            gstreamer1.0-plugins-bad 2>/dev/null || true
    fi
    has_gstreamer || echo "note: no GStreamer; its tests are skipped" >&2
}

has_rtmp() {
    [ -x /usr/sbin/nginx ] && [ -f /usr/lib/nginx/modules/ngx_rtmp_module.so ]
}

has_rtsp() {
    /usr/bin/python3 -c '
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GstRtspServer
' 2>/dev/null
}

has_streams() {
    has ffmpeg && has_rtmp && has_rtsp
}

install_streams() {
    if can_install; then
        echo "==> installing FFmpeg, nginx with RTMP, GStreamer's RTSP server (apt-get, 20 MB)"
        install ffmpeg nginx-light libnginx-mod-rtmp gir1.2-gst-rtsp-server-1.0 2>/dev/null || true
    fi
    has_streams || echo "note: no ffmpeg, RTMP or RTSP server; their tests are skipped" >&2
}

install_turn() {
    if can_install; then
        echo "==> installing coturn (apt-get, 2 MB)"
        install coturn 2>/dev/null || true
    fi
    has turnserver || echo "note: no coturn; its tests are skipped" >&2
}

has_promtool() {
    has promtool || [ -x "$promtool/usr/bin/promtool" ]
}

# Its command alone, taken out of the package: installed, that would run a Prometheus.
install_promtool() {
    if has apt-get && has dpkg-deb; then
        echo "==> fetching promtool, which checks metrics and alerts (apt-get, 19 MB; 48 MB) into build/"
        mkdir -p "$promtool" && (
            cd "$promtool" && apt-get download -qq prometheus &&
                dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
            rm -f prometheus_*.deb
        ) >/dev/null 2>&1 || true
    fi
    has_promtool || echo "note: no promtool; its tests are skipped" >&2
}

has "$browser" || install_chromium
has valgrind || install_valgrind
has tshark || install_tshark
has_gstreamer || install_gstreamer
has_streams || install_streams
has turnserver || install_turn
has_libwebrtc || install_libwebrtc
has janus || install_janus
has_promtool || install_promtool
