#!/bin/sh
# Makes corpus/TARGET the fewest inputs that reach what it and the given folders reach: keep.sh TARGET FOLDER...
# The target must have been built (run.sh). Folders are, for example, corpus-found/TARGET.
set -eu
cd "$(dirname "$0")"
target=$1
shift
host=$(rustc -vV | sed -n 's/^host: //p')
kept=$(mktemp -d)
"${CARGO_TARGET_DIR:-target}/$host/release/$target" -set_cover_merge=1 "$kept" "corpus/$target" "$@"
rm -r "corpus/$target"
mv "$kept" "corpus/$target"
chmod 755 "corpus/$target"
