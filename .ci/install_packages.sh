#!/usr/bin/env bash
# Installs the packages that are missing: those named, or else all that building, testing and the demo need.
set -euo pipefail

packages=("$@")
if [ ${#packages[@]} -eq 0 ]; then
  packages=(
    g++ cmake make ninja-build pkg-config
    libopenmpi-dev openmpi-bin libhdf5-openmpi-dev hdf5-tools libsentencepiece-dev libdnnl-dev
    libboost-program-options-dev nlohmann-json3-dev libspdlog-dev libfmt-dev zlib1g-dev libssl-dev libre2-dev
    libprotobuf-dev           # Ubuntu 24.04's sentencepiece.pc requires protobuf-lite without depending on it
    libgtest-dev libgmock-dev # tests
    sentencepiece jq          # demo
    gnuplot-nox               # plots of the report
  )
fi

fail() {
  printf '%s: %s\n' "$0" "$1" >&2
  exit 1
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "this system has no apt-get; on Debian or Ubuntu the packages would be: ${packages[*]}"
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null ||
    fail "packages are missing and this needs root, but there is no sudo. Run as root: apt-get install --no-install-recommends ${missing[*]}"
  root=(sudo)
fi
echo "Installing with ${root[*]:+${root[*]} }apt-get: ${missing[*]}"
apt_get=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -qq)
"${apt_get[@]}" update || echo "$0: the package lists could not all be refreshed; trying with what is there" >&2
"${apt_get[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null ||
  fail "apt-get could not install: ${missing[*]}"
