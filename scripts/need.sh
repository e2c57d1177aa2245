# shellcheck shell=bash
# Shared by the scripts beside it: what a machine must have, installed where that
# is allowed, and named where it is not, at once and once more at the end. Source
# it; it sets nothing else.

# have COMMAND-OR-PATTERN tells whether a command, or a file that fits, is there.
have() {
	command -v "$1" >/dev/null 2>&1 || compgen -G "$1" >/dev/null
}

# need COMMAND-OR-PATTERN DEBIAN-PACKAGE WHAT-FOR makes sure that a command or a
# file is there. As root on Debian it installs the package; otherwise it says what
# does not run, which is a failure in CI.
need() {
	have "$1" && return 0
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "installing $2"
		# An update is needed once on a machine that never had one.
		apt-get install -y -q "$2" >/dev/null 2>&1 ||
			{ apt-get update -q >/dev/null 2>&1 && apt-get install -y -q "$2" >/dev/null 2>&1; }
		have "$1" && return 0
	fi
	missing "$1 (Debian package $2); did not run: $3"
	[ -z "${CI:-}" ] || exit 1
	return 1
}

# missing TEXT names what a machine does not have.
missing() {
	echo "MISSING: $1" >&2
	missed+=("$1")
}

# tell_missing repeats it, for a reader who sees the end only.
tell_missing() {
	[ ${#missed[@]} = 0 ] || printf 'MISSING: %s\n' "${missed[@]}" >&2
}
missed=()
trap tell_missing EXIT

# tool MODULE@VERSION installs a Go program into .tools once per version.
tool() {
	local name stamp
	name=$(basename "${1%@*}")
	[[ $name =~ ^v[0-9]+$ ]] && name=$(basename "$(dirname "${1%@*}")")
	stamp=.tools/.$name-${1##*@}
	[ -e "$stamp" ] && [ -x ".tools/$name" ] && return 0
	mkdir -p .tools
	GOBIN=$PWD/.tools go install "$1" || return 1
	touch "$stamp"
}
