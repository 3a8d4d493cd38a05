#!/bin/sh
# Run the native plane's tests with its C code watched: ThreadSanitizer (races between the plane's
# thread and Python's), then AddressSanitizer with UndefinedBehaviorSanitizer (memory, arithmetic).
# `sh tests/sanitize.sh PYTHON [thread|address]…`; both where none is named.
#
# Python itself is not instrumented, so the sanitizer's library is loaded before it. The code is built
# apart, in build/sanitize: what is installed stays as it is. Where memory is watched, Python takes each
# object's from malloc, so that a read behind a datagram is seen. That costs the reference more than the
# plane: a test that runs both takes three times as long. WORKERS says how many processes share them.
# A test that fails without a report is run once more, as by `make test`; a report always fails.
set -eu
cd "$(dirname "$0")/.."
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
[ $# -gt 0 ] || set -- thread address
compiler=${CC:-cc}
workers=${WORKERS:-2}

# Built under the name it is installed by, in a copy of what building and testing needs.
build() {
    rm -rf "$folder"
    mkdir -p "$folder/slicer"
    cp -r native samples tests bench pyproject.toml README.md "$folder"
    (cd slicer && tar cf - --exclude '*.so' --exclude __pycache__ .) | (cd "$folder/slicer" && tar xf -)
    rm -f "$folder"/native/hot.c "$folder"/native/parts.c
    (
        cd "$folder"
        export CC="$compiler" CFLAGS="-fsanitize=$flags -fno-omit-frame-pointer -g1 -O1"
        export LDFLAGS="-fsanitize=$flags"
        building=
        for module in $modules; do
            "$python" native/build_parts.py "$module" &
            building="$building $!"
        done
        for each in $building; do wait "$each" || exit 1; done
    ) >"$folder/build.log" 2>&1 || { tail -n 40 "$folder/build.log" >&2; exit 1; }
    for module in $modules; do
        nm -D "$folder/slicer/_$module".*.so | grep -q "$symbol" ||
            { echo "error: _$module was built without the sanitizer" >&2; exit 1; }
    done
}

# Run tests in the copy; pytest's status.
run() {
    (
        cd "$folder"
        # Where addresses are too random for the shadow memory, `setarch -R` has them fixed.
        SLICER_NATIVE=1 PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 LD_PRELOAD="$library" \
            setarch -R "$python" -m pytest -q -o cache_dir=cache "$@"
    )
}

reports() {
    find "$folder" -maxdepth 1 -name 'report.*' | wc -l
}

# Pytest's verdict is not enough: a report without a failure is one, too.
watch() {
    library=$("$compiler" -print-file-name="$1")
    [ -e "$library" ] || { echo "error: the compiler has no $1" >&2; exit 1; }
    shift
    echo "==> $kind: $*"
    status=0
    run -n "$workers" --dist worksteal "$@" || status=$?
    if [ "$status" -eq 1 ] && [ "$(reports)" -eq 0 ]; then
        echo '==> what failed, once more'
        status=0
        run -n 0 --last-failed "$@" || status=$?
    fi
    found=$(reports)
    if [ "$status" -ne 0 ] || [ "$found" -ne 0 ]; then
        cat "$folder"/report.* 2>/dev/null | head -n 200 >&2
        echo "error: $kind: pytest ended with $status, $found reports" >&2
        exit 1
    fi
}

for kind; do
    folder=$PWD/build/sanitize/$kind
    case $kind in
    thread)
        flags=thread symbol=__tsan_ modules=hot
        export TSAN_OPTIONS="log_path=$folder/report halt_on_error=0 exitcode=66 history_size=4"
        build
        watch libtsan.so tests/webrtc/test_native_path.py
        ;;
    address)
        flags=address,undefined symbol=__asan_ modules='hot parts'
        # Python frees little at its end: leaks are found by tests that count.
        export ASAN_OPTIONS="log_path=$folder/report detect_leaks=0 abort_on_error=0"
        export UBSAN_OPTIONS="log_path=$folder/report print_stacktrace=1 halt_on_error=0"
        build
        # test_slow_clock preloads a library of its own, before which libasan.so would have to stand.
        watch libasan.so tests/webrtc/test_native_path.py tests/native tests/rtp tests/slicing \
            --ignore tests/native/test_fuzz_corpus.py --ignore tests/native/test_slow_clock.py
        ;;
    *)
        echo "error: $kind: thread or address" >&2
        exit 1
        ;;
    esac
    echo "==> $kind: no report"
done
