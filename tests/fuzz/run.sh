#!/bin/sh
# Fuzzes one target: run.sh FOLDER TARGET [SECONDS], where FOLDER is such as storage/fuzz. Needs no nightly toolchain;
# `cargo +nightly fuzz run TARGET` does the same. New inputs go to corpus-found/TARGET, failures to artifacts/TARGET; both stay out of the repository.
set -eu
cd "$1"
target=$2
seconds=${3:-300}
# Each line of the file `targets`: a target, and the longest input worth trying, in bytes.
bytes_max=$(sed -n "s/^$target //p" targets)
if [ -z "$bytes_max" ]; then
    echo "targets:" $(cut -d' ' -f1 targets) >&2
    exit 2
fi

# What cargo-fuzz passes. Overflow checks and assertions are on in the profile.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg tokio_unstable --cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table"
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --target "$host" --bin "$target"

mkdir -p "corpus-found/$target" "artifacts/$target"
exec "${CARGO_TARGET_DIR:-target}/$host/release/$target" -max_total_time="$seconds" -max_len="$bytes_max" -timeout=60 \
    -artifact_prefix="artifacts/$target/" "corpus-found/$target" "corpus/$target"
