# shellcheck shell=bash disable=SC2034
# Shared by the scripts beside it: where things are, and how to say that something is missing. Sourced, not run.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cargo=${CARGO:-cargo}
target=${CARGO_TARGET_DIR:-$root/target}
case $target in /*) ;; *) target=$root/$target ;; esac

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The corpora and the advisory database live outside the repository, in `shared/data` of the nearest parent directory (or in
# $POSTERN_SHARED). Prints that `data` directory; prints nothing where there is none, which is an error only for CI.
shared_data() {
  local dir=$root
  if [ -n "${POSTERN_SHARED:-}" ]; then
    for dir in "$POSTERN_SHARED/data" "$POSTERN_SHARED"; do
      if [ -d "$dir/advisory-db" ]; then say "$dir"; return; fi
    done
  else
    while [ "$dir" != / ]; do
      dir=$(dirname "$dir")
      if [ -d "$dir/shared/data" ]; then say "$dir/shared/data"; return; fi
    done
  fi
  [ "${POSTERN_REQUIRE_SHARED:-}" != 1 ] || die "no shared/data beside the repository, and POSTERN_REQUIRE_SHARED=1 asks for it"
}
