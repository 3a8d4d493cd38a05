#!/bin/sh
# Install what the tests need from outside PyPI: Chromium. Does nothing where it is there already.
set -eu

browser=${CHROMIUM:-chromium}
if command -v "$browser" >/dev/null 2>&1; then
    exit 0
fi
if [ -n "${CHROMIUM:-}" ]; then
    echo "error: CHROMIUM=$CHROMIUM cannot be run" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: this system has no apt-get; install Chromium, then: make test CHROMIUM=/path/to/it" >&2
    exit 1
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "error: Chromium is missing; as root: apt-get install chromium" >&2
        exit 1
    fi
    sudo=sudo
fi

echo "==> installing Chromium for the tests (apt-get, 280 MB)"
install() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium \
        </dev/null >/dev/null
}
# The package lists may be missing or old: they are fetched only where the first try fails.
if ! install 2>/dev/null; then
    $sudo apt-get update -qq </dev/null
    install
fi
if ! command -v chromium >/dev/null 2>&1; then
    echo "error: apt-get installed no command 'chromium'; make test CHROMIUM=/path/to/chrome" >&2
    exit 1
fi
