#!/usr/bin/env bash
# What the server does under load: bench/serving.sh BUNDLE (a version's folder). Rate and latency by
# wrk -t1 -c16, k = 100; the processor's time a request beside tower and search; SWAPS (100) swaps
# under that load; memory; the time from start to first answer; SIGTERM under load. Needs
# build/release and wrk.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bundle=$(realpath "${1:?usage: bench/serving.sh BUNDLE}")
swaps=${SWAPS:-100}
seconds=${SECONDS_A_RUN:-10}
work=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
port=${PORT:-8181}
url=http://127.0.0.1:$port

cat >"$work/load.lua" <<'EOF'
local keys = {}
for line in io.lines(os.getenv("KEYS")) do keys[#keys + 1] = line end
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "/v1/retrieve", nil,
                    string.format('{"user":"%s","k":100}', keys[(n * 7919) % #keys + 1]))
end
done = function(summary, latency)
  local e = summary.errors
  print(string.format("RESULT %.0f %.3f %.3f %d", summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        e.connect + e.read + e.write + e.status + e.timeout))
end
EOF
# The keys themselves, cut out of their column by its offsets.
export KEYS=$work/keys
od -An -v -t d8 -w8 "$bundle/users.key.offsets.i64" |
  awk 'NR == FNR { bytes = $0; next } FNR > 1 { print substr(bytes, last + 1, $1 - last) }
       { last = $1 }' "$bundle/users.key.bytes.u8" - >"$KEYS"

mkdir "$work/m"
cp -al "$bundle" "$work/m/1" 2>/dev/null || cp -r "$bundle" "$work/m/1"
begin=$(date +%s%N)
"${RETORT_BIN:-$root/build/release/bin}/retortd" m="$work/m" --port "$port" --poll 0.1 \
  2>"$work/log" &
server=$!
until curl -sf -o /dev/null -d "{\"user\":\"$(head -1 "$KEYS")\"}" "$url/v1/retrieve"; do
  sleep 0.005
  kill -0 "$server" || { cat "$work/log"; exit 1; }
done
echo "first answer after $((($(date +%s%N) - begin) / 1000000)) ms"

anonymous() { awk '/^Anonymous/ { print int($2 / 1024) }' "/proc/$server/smaps_rollup"; }
load() { wrk -t1 -c"$1" -d"$2" -s "$work/load.lua" "$url" | grep RESULT; }
stages() { curl -s "$url/metrics" | awk '/^retort_(tower|search)_seconds_sum/ { s += $2 } END { print s }'; }
ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }
echo "anonymous memory at the start: $(anonymous) MiB"

load 16 3 >/dev/null
read -r _ rate p50 p99 failed < <(load 16 "$seconds")
echo "16 connections: $rate requests/s, p50 $p50 ms, p99 $p99 ms, $failed failed"
before=$(stages) ticks=$(ticks)
read -r _ one _ _ _ < <(load 1 "$seconds")
awk -v stages="$(stages)" -v before="$before" -v ticks="$(($(ticks) - ticks))" -v rate="$one" \
  -v hz="$(getconf CLK_TCK)" 'BEGIN {
    printf "one connection: %d requests/s; beside tower and search: %.0f%% of the processor time\n",
           rate, 100 * (1 - (stages - before) / (ticks / hz)) }'

# swap FROM TO: new versions, each once the one before serves.
swap() {
  local version
  for ((version = $1; version <= $2; ++version)); do
    cp -al "$bundle" "$work/m/.$version" 2>/dev/null || cp -r "$bundle" "$work/m/.$version"
    mv "$work/m/.$version" "$work/m/$version"
    until nice -n 19 curl -s "$url/v1/models" | grep -q "\"version\":$version,"; do sleep 0.25; done
    rm -rf "$work/m/$((version - 1))"
  done
}
swap 2 2
sleep 1
first=$(anonymous)
swap 3 $((swaps + 1)) &
swapping=$!
: >"$work/swapped"
while kill -0 "$swapping" 2>/dev/null; do load 16 "$seconds" >>"$work/swapped"; done
sleep 1
awk -v calm="$p99" '{ n += $2; p = $4 > p ? $4 : p; sum += $4; f += $5 }
  END { printf "swaps under load: %.0f requests/s, p99 %.3f ms (worst run %.3f): %.2f x the calm one, %d failed\n",
               n / NR, sum / NR, p, sum / NR / calm, f }' "$work/swapped"
echo "swaps done: $(curl -s "$url/metrics" | awk '/^retort_model_swaps_total/ { print $2 }')"
echo "anonymous memory after the first swap: $first MiB, after the last: $(anonymous) MiB"

load 16 4 >"$work/end" &
sleep 2
begin=$(date +%s%N)
kill -TERM "$server"
wait "$server"
echo "SIGTERM under load: ended after $((($(date +%s%N) - begin) / 1000000)) ms with code $?"
