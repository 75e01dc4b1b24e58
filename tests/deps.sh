#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# tests/deps.sh SET…: installs the Debian packages of each set (build, test, package). Asks dpkg
# first: no network, no root and no time when everything is there. The one list of what
# the project needs; packaging/ and the documentation refer to it.
set -euo pipefail

build=(
	gcc libc6-dev cmake ninja-build pkg-config
	libevent-dev libwslay-dev libnice-dev libsrtp2-dev libssl-dev
	libopus-dev libjansson-dev libhttp-parser-dev zlib1g-dev
	libsqlite3-dev libsystemd-dev
	gzip brotli esbuild openssl
)
test=(
	libcmocka-dev clang-14 libclang-rt-14-dev clang-format-14 ccache git
	nodejs npm chromium firefox-esr pulseaudio
	iproute2 nftables procps nginx-light uacme pebble
	simple-whip-client gstreamer1.0-nice gstreamer1.0-plugins-base
	gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
	asterisk-core-sounds-en-g722 asterisk-core-sounds-fr-g722 asterisk-core-sounds-it-g722 python-matplotlib-data
)
package=(debootstrap util-linux systemd systemd-container)

# Some distributors' nodejs brings npm with it and conflicts with the package.
have() {
	[ "$1" = npm ] && command -v npm >/dev/null && return
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for set in "$@"; do
	case $set in
	build) list=("${build[@]}") ;;
	test) list=("${test[@]}") ;;
	package) list=("${package[@]}") ;;
	*) echo "deps.sh: unknown set '$set', want build, test or package" >&2; exit 2 ;;
	esac
	for package in "${list[@]}"; do
		have "$package" || missing+=("$package")
	done
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps.sh: please install as root: apt-get install ${missing[*]}" >&2
	exit 1
fi
echo "deps.sh: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
