#!/usr/bin/env bash
# Runs every linter. What cannot run is named, and fails in CI.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh
export PATH=$PWD/.tools:$PATH
failed=0
step() { echo "== $*"; }

step formatting
tool mvdan.cc/gofumpt@v0.12.0
unformatted=$(git ls-files --cached --others --exclude-standard '*.go' | grep -v '\.pb\.go$' | xargs gofumpt -l)
[ -z "$unformatted" ] || { echo "gofumpt would change:" "$unformatted"; failed=1; }

step go vet
go vet ./... || failed=1

step golangci-lint
tool github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
golangci-lint run ./... || failed=1

step shellcheck
need shellcheck shellcheck "the check of the shell scripts" &&
	{ git ls-files --cached --others --exclude-standard '*.sh' .ci/run | xargs shellcheck -x || failed=1; }

step buf lint
tool github.com/bufbuild/buf/cmd/buf@v1.66.0
(cd plugins/sdk/proto && buf lint) || failed=1

step generated code
tool google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
tool google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"; tell_missing' EXIT
(cd plugins/sdk/proto && buf generate --output "$fresh/proto")
diff -r "$fresh/pluginv1" plugins/sdk/pluginv1 || { echo "run make proto"; failed=1; }

step go.mod
go mod tidy -diff >/dev/null || { echo "run go mod tidy"; failed=1; }
go mod verify >/dev/null || failed=1

step govulncheck
if tool golang.org/x/vuln/cmd/govulncheck@v1.1.4 && curl -fsS -m 10 -o /dev/null https://vuln.go.dev/index/db.json 2>/dev/null; then
	govulncheck ./... || failed=1
else
	echo "SKIPPED: govulncheck: its database cannot be reached from here" >&2
fi

exit "$failed"
