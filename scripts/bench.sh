#!/usr/bin/env bash
# Measures bin/posture beside bare programs; docs/performance.md tells what and
# how. Arguments go to the program. BENCH_QUICK=1 only sees that everything runs.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(uname -s)" = Linux ] || { echo "the measurements need Linux, whose /proc they read" >&2; exit 1; }
CGO_ENABLED=0 go build -trimpath -o bin/bench ./internal/bench
exec bin/bench "$@"
