#!/bin/sh
# Fuzz one part of the native plane: tests/fuzz/run.sh TARGET SECONDS [keep]
# New inputs go to build/fuzz/TARGET; with `keep`, what reaches new code is merged into the corpus
# that is under version control, the smallest inputs first. CLANG names another compiler.
set -eu
cd "$(dirname "$0")/../.."
target=$1 seconds=$2 keep=${3:-}
work=build/fuzz/$target corpus=tests/fuzz/corpus/$target binary=build/fuzz/$target.bin

clang=${CLANG:-}
for name in clang clang-21 clang-20 clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do
    [ -n "$clang" ] || clang=$(command -v "$name" || true)
done
[ -n "$clang" ] || { echo "no clang: install it with its libFuzzer, or name it by CLANG" >&2; exit 1; }

sources=
for source in native/*.c; do
    [ -e "${source%.c}.pyx" ] || sources="$sources $source" # what Cython wrote needs Python
done

mkdir -p "$work" "$corpus"
"$clang" -std=c11 -O1 -g -ffp-contract=off -Wall -Wextra -Inative \
    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    "tests/fuzz/$target.c" $sources -o "$binary" -ldl -lpthread -lm
"$binary" -max_total_time="$seconds" -timeout=120 -artifact_prefix="$work." -print_final_stats=1 \
    "$work" "$corpus"

if [ "$keep" = keep ]; then
    rm -rf "$work.kept" && mkdir "$work.kept"
    # By the code reached alone, not by how often: that keeps tens of inputs, not hundreds.
    "$binary" -merge=1 -use_counters=0 "$work.kept" "$corpus" "$work"
    find "$corpus" -type f -delete
    cp "$work.kept"/* "$corpus/"
    echo "kept $(ls "$corpus" | wc -l) inputs, $(cat "$corpus"/* | wc -c) bytes, in $corpus"
fi
