#!/usr/bin/env bash
# Runs every test, with the race detector where a C compiler is, and prints the
# coverage. Arguments go to go test instead of ./... .
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/need.sh

need shellcheck shellcheck "the check of the Mac scripts" || export POSTURE_TEST_SKIP_SHELLCHECK=1
if ! need python3 python3 "the plugin in Python"; then
	export POSTURE_TEST_SKIP_PYTHON=1
elif ! internal/acceptance/testdata/pyplugin/setup.sh; then
	missing "a Python environment with grpcio; did not run: the plugin in Python"
	[ -z "${CI:-}" ] || exit 1
	export POSTURE_TEST_SKIP_PYTHON=1
fi

need '/usr/lib/postgresql/*/bin/initdb' postgresql "the store on PostgreSQL" || export POSTURE_TEST_WITHOUT_POSTGRES=1
if ! need javac default-jdk-headless "the sinks against Elasticsearch" || ! need mvn maven "the sinks against Elasticsearch"; then
	export POSTURE_TEST_WITHOUT_ELASTICSEARCH=1
fi

race=(-race)
if ! need gcc gcc "the race detector (tests run without it)"; then
	race=()
fi
go test "${race[@]}" -timeout 20m -coverprofile coverage.out -coverpkg ./... "${@:-./...}"
go tool cover -func coverage.out | tail -n 1
