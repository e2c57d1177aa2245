#!/usr/bin/env bash
# Fuzzes every parser of outside data, each for the time given (20s).
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-20s}
git grep -l --untracked '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u | while read -r folder; do
	grep -ho '^func Fuzz[A-Za-z0-9_]*' "$folder"/*_test.go | sed 's/^func //' | while read -r name; do
		echo "== $folder $name"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "./$folder"
	done
done
