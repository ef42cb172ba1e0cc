# Sourced by the scripts beside it: where things are, and how to say so.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${RETORT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retort}
export RETORT_CACHE=$cache

say() { printf '%s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
