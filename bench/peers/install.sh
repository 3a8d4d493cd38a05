#!/bin/sh
# Installs the peers that `python -m bench.peers` measures beside rtc-slicer (Debian, Ubuntu; root).
# Who is missing is left out of the comparison; nothing else of the project needs them.
set -eu
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	gcc libc6-dev ffmpeg gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
	gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
