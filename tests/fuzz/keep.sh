#!/bin/sh
# Makes corpus/TARGET the fewest inputs that reach what it and the given inputs reach: keep.sh FOLDER TARGET INPUTS...
# The target must have been built (run.sh). Inputs are folders in FOLDER, such as corpus-found/TARGET.
set -eu
cd "$1"
target=$2
shift 2
host=$(rustc -vV | sed -n 's/^host: //p')
kept=$(mktemp -d)
"${CARGO_TARGET_DIR:-target}/$host/release/$target" -set_cover_merge=1 "$kept" "corpus/$target" "$@"
rm -r "corpus/$target"
mv "$kept" "corpus/$target"
chmod 755 "corpus/$target"
