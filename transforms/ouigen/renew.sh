#!/bin/sh
# Renews the table of hardware address prefixes from two packages: Debian's
# ieee-data (the individual address blocks, a registry that is closed) and npm's
# oui-data (all others, of this month). Usage: renew.sh [VERSION OF OUI-DATA]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
apt-get download -q ieee-data
dpkg-deb -x ieee-data_*.deb debian
npm pack --silent "oui-data@${1:-latest}"
tar -xzf oui-data-*.tgz
cd "$here/../.."
go run ./transforms/ouigen transforms/ouidata/prefixes.txt.gz \
	"$work/debian/usr/share/ieee-data/iab.csv" "$work/package/index.json"
