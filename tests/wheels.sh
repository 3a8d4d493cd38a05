#!/bin/sh
# Build the source archive, and with each Python there is a wheel from it; have auditwheel say for which
# Linux it is good; install it into a fresh environment, see that the native plane is in it, run the demo
# from it, and without its plane have `slicer doctor` say so.
# `sh tests/wheels.sh PYTHON`: with what the archive is built (needs the extra `dev`).
set -eu
cd "$(dirname "$0")/.."
builder=$1 root=$PWD work=build/wheels
wanted='3.11 3.12 3.13'
rm -rf "$work"
mkdir -p "$work"

# A name on PATH proves nothing (version managers leave shims behind): each candidate is asked.
python_of() {
    for candidate in "python$1" $(pyenv versions --bare 2>/dev/null | grep "^$1\." | sort -rV |
        while read -r version; do echo "$(pyenv prefix "$version")/bin/python"; done); do
        if "$candidate" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

# What the wheel of one Python must do, in an empty folder, where only the wheel can be imported.
try_wheel() {
    version=$1 python=$2 folder=$root/$work/$version
    "$python" -m venv "$folder"
    pip="$folder/bin/python -m pip --disable-pip-version-check --quiet"
    # Without its C a wheel would be made all the same, for the reference: SLICER_NATIVE asks for it.
    $pip wheel --no-deps --wheel-dir "$folder/built" "$root/$work"/rtc_slicer-*.tar.gz
    # Of libraries it has libc and libm alone: libcrypto is the machine's own, loaded at run time, and
    # must not be bundled: its flaws are mended by the machine's updates.
    PATH="$root/$(dirname "$builder"):$PATH" "$root/$(dirname "$builder")/auditwheel" repair \
        --wheel-dir "$folder/wheel" "$folder"/built/rtc_slicer-*.whl 2>"$folder/auditwheel.log"
    case $("$python" -m zipfile -l "$folder"/wheel/*.whl) in
        *.libs/*) echo 'error: a library is bundled' >&2; exit 1 ;;
    esac
    $pip install "$folder"/wheel/rtc_slicer-*.whl
    mkdir "$folder/empty"
    cd "$folder/empty"
    export SLICER_NATIVE=1
    "$folder/bin/python" -c "
import slicer
from slicer.hot import IMPLEMENTATION
assert IMPLEMENTATION == 'native', IMPLEMENTATION
assert slicer.__file__.startswith('$folder/'), slicer.__file__"
    "$folder/bin/slicer" demo --to slices --seconds 6 >demo.log
    grep -q 'slices landed' demo.log
    for ending in ogg jpg; do
        [ -n "$(find slices -name "*.$ending" -size +0)" ] || { echo "no .$ending" >&2; exit 1; }
    done
    rm "$("$folder/bin/python" -c 'import slicer._hot; print(slicer._hot.__file__)')"
    SLICER_NATIVE='' "$folder/bin/python" -m slicer doctor >doctor.log || true
    grep -q 'native plane.*not in this build' doctor.log || { cat doctor.log >&2; exit 1; }
    echo "==> Python $version ($("$python" --version)): $(basename "$folder"/wheel/*.whl), native;" \
        "the demo's $(find slices -name '*.ogg' | wc -l) audio slices and" \
        "$(find slices -name '*.jpg' | wc -l) pictures landed"
}

"$builder" -m build --sdist --outdir "$work" . >"$work/sdist.log" || { cat "$work/sdist.log"; exit 1; }
echo "==> source archive: $(cd "$work" && ls rtc_slicer-*.tar.gz)"
tried=0
for version in $wanted; do
    python=$(python_of "$version")
    if [ -z "$python" ]; then
        echo "==> Python $version: not on this machine, left out"
        continue
    fi
    # Not behind `||`: there a shell does not stop at what fails within.
    set +e
    (set -e; try_wheel "$version" "$python")
    failed=$?
    set -e
    [ "$failed" -eq 0 ] || { echo "error: the wheel of Python $version fails" >&2; exit 1; }
    tried=$((tried + 1))
done
[ "$tried" -gt 0 ] || { echo 'error: no Python to try a wheel with' >&2; exit 1; }
