#!/bin/sh
# Fuzzes one target: run.sh TARGET [SECONDS]. Needs no nightly toolchain; `cargo +nightly fuzz run TARGET` does the same.
# New inputs go to corpus-found/TARGET, failures to artifacts/TARGET; both stay out of the repository.
set -eu
cd "$(dirname "$0")"
target=$1
seconds=${2:-300}
case $target in
    parser) bytes_max=2048 ;;
    datum_order) bytes_max=600 ;;
    keys) bytes_max=900 ;;
    evaluator) bytes_max=700 ;;
    *) echo "targets: parser datum_order keys evaluator" >&2; exit 2 ;;
esac

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
