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

mkdir -p "$work" "$corpus"
"$clang" -std=c11 -O1 -g -ffp-contract=off -Wall -Wextra -Inative \
    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    "tests/fuzz/$target.c" native/*.c -o "$binary" -ldl -lpthread -lm
"$binary" -max_total_time="$seconds" -timeout=10 -artifact_prefix="$work." -print_final_stats=1 \
    "$work" "$corpus"

if [ "$keep" = keep ]; then
    rm -rf "$work.kept" && mkdir "$work.kept"
    "$binary" -merge=1 "$work.kept" "$corpus" "$work"
    # A merge takes small inputs first, and the largest reach little: leave those out past the bounds.
    rm -f "$corpus"/*
    total=0 count=0
    for file in $(ls -Sr "$work.kept"); do
        total=$((total + $(wc -c <"$work.kept/$file"))) count=$((count + 1))
        [ "$total" -le 300000 ] && [ "$count" -le 200 ] || break
        cp "$work.kept/$file" "$corpus/"
    done
    echo "kept $(ls "$corpus" | wc -l) inputs of $(ls "$work.kept" | wc -l) in $corpus"
fi
