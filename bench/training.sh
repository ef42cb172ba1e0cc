#!/usr/bin/env bash
# The joint step of DMTL beside PyTorch and oneDNN alone, in alternation: ROUNDS (5) rounds of one
# run each, medians over the rounds with the lowest and highest, and the ratios that count. Needs
# build/release; the peer runs where /usr/bin/python3 has torch.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
rounds=${ROUNDS:-5}
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# take NAME THREADS COMMAND...: appends "NAME THREADS VALUE" (rows or GFLOP/s a second).
take() {
  local name=$1 threads=$2 line
  shift 2
  line=$("$@" --threads "$threads")
  echo "$name $threads $(sed -n 's/.*samples_per_s=\([0-9.]*\).*/\1/p' <<<"$line")" \
    "$(sed -n 's/.*dense_gflops=\([0-9.]*\).*/\1/p' <<<"$line")" >>"$results"
}

peer=()
if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
  peer=(/usr/bin/python3 "$root/bench/peers/dmtl_torch.py" --steps 8)
else
  echo "PyTorch is not installed (python3-torch): no peer" >&2
fi
bin=$root/build/release/bin
for ((round = 1; round <= rounds; ++round)); do
  for threads in $(seq 1 "$(nproc)"); do
    take roofline "$threads" "$bin/bench_roofline"
    take retort "$threads" "$bin/bench_training"
    take retort-grouped "$threads" "$bin/bench_training" --grouped
    take retort-fp32 "$threads" "$bin/bench_training" --precision fp32 --steps 5
    if ((${#peer[@]})); then
      take torch-fp32 "$threads" "${peer[@]}" --precision fp32
      take torch-bf16 "$threads" "${peer[@]}" --precision bf16
    fi
  done
done

awk '
  function median(key, field,   n, i, j, v, t) {
    n = count[key]
    for (i = 1; i <= n; ++i) v[i] = value[key, i, field]
    for (i = 2; i <= n; ++i) for (j = i; j > 1 && v[j] < v[j - 1]; --j) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    low = v[1]; high = v[n]
    return v[int((n + 1) / 2)]
  }
  function best(name, field,   key, top, m) {
    top = 0
    for (key in count) if (split(key, part, " ") && part[1] == name) { m = median(key, field); if (m > top) top = m }
    return top
  }
  { key = $1 " " $2; if (!(key in count)) order[++keys] = key; i = ++count[key]
    value[key, i, 1] = $1 == "roofline" ? 0 : $3; value[key, i, 2] = $1 == "roofline" ? $3 : $4 }
  END {
    print "| what | threads | rows/s (lowest to highest) | dense GFLOP/s |"
    print "|---|---:|---:|---:|"
    for (k = 1; k <= keys; ++k) {
      split(order[k], part, " "); rows = median(order[k], 1); l = low; h = high; flops = median(order[k], 2)
      printf "| %s | %s | %s | %.0f |\n", part[1], part[2], rows ? sprintf("%.0f (%.0f to %.0f)", rows, l, h) : "", flops
    }
    print ""
    print "| ratio, each at its best thread count | |"
    print "|---|---:|"
    if (best("torch-fp32", 1)) printf "| retort to PyTorch in fp32 | %.2f |\n", best("retort", 1) / best("torch-fp32", 1)
    if (best("torch-bf16", 1)) printf "| retort to PyTorch in bf16 autocast | %.2f |\n", best("retort", 1) / best("torch-bf16", 1)
    printf "| dense GFLOP/s of the whole step to oneDNN alone | %.2f |\n", best("retort", 2) / best("roofline", 2)
    printf "| rows grouped 1 + 4 to independent rows | %.2f |\n", best("retort-grouped", 1) / best("retort", 1)
  }' "$results"
