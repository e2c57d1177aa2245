#!/bin/sh
# Prepares what the Python plugin needs: an environment with the packages of
# requirements.txt, and the modules generated from Posture's protocol.
#
#   setup.sh [CACHE_FOLDER]
#
# Prints the environment's folder; the generated modules are in its folder
# "generated". What is there already and still fits is kept, so that only the
# first call needs a package index. PYTHON names another interpreter.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/posture-test/pyplugin}
python=${PYTHON:-python3}
proto=$root/plugins/sdk/proto

# The folder is named after everything that decides what is in it.
key=$( { "$python" --version; cat "$here/requirements.txt" "$0"; find "$proto" -name '*.proto' -exec cat {} +; } | cksum | tr ' ' '-')
venv=$cache/$key
mkdir -p "$cache"
if command -v flock >/dev/null 2>&1; then
	exec 9>"$cache/lock" # tests may run side by side
	flock 9
fi
if [ ! -e "$venv/complete" ]; then
	rm -rf "$venv"
	"$python" -m venv "$venv" >&2
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
	mkdir "$venv/generated"
	"$venv/bin/python" -m grpc_tools.protoc --proto_path="$proto" --python_out="$venv/generated" \
		--grpc_python_out="$venv/generated" "$proto/posture/plugin/v1/plugin.proto" >&2
	touch "$venv/complete"
fi
printf '%s\n' "$venv"
