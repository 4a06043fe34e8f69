#!/usr/bin/env bash
# usage: check_includes.sh [headers]: folders include only what src/arrows.txt lets them; headers: every header compiles alone, too.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
compiler=${CXX:-g++}

# allowed FOLDER: what it may include, one a line; * for all.
allowed() { sed -nE "s/^$1: *//p" "$root/src/arrows.txt" | tr ' ' '\n'; }
failures=0
while read -r file; do
  folder=${file#"$root/src/"}
  if [[ $folder == */* ]]; then folder=${folder%%/*}; else folder=main; fi
  may=" core $folder $(if [[ $folder == main ]]; then echo commands; else allowed "$folder" | tr '\n' ' '; fi) "
  if [[ $folder != main ]] && ! grep -q "^$folder:" "$root/src/arrows.txt"; then
    echo "src/$folder is not in src/arrows.txt"
    failures=$((failures + 1))
  fi
  while read -r included; do
    [[ $included =~ ^expunge/[a-z_]+\.h$ || $may == *" * "* || $may == *" ${included%%/*} "* ]] && [[ -e $root/src/$included || -e $root/include/$included ]] && continue
    echo "${file#"$root/"} includes $included, which src/arrows.txt does not let $folder include, or which is not in src"
    failures=$((failures + 1))
  done < <(sed -nE 's|^ *# *include "([^"]*)".*|\1|p' "$file")
done < <(find "$root/src" -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')
while read -r header included; do
  [[ $included == expunge/* ]] && continue
  echo "${header#"$root/"} is a seam and includes $included"
  failures=$((failures + 1))
done < <(grep -oE '^ *# *include "[^"]*"' -r "$root/include" | sed -E 's/^([^:]*):.*"([^"]*)"/\1 \2/')
# Objectives and metrics are host arithmetic: of core they see no device and no log.
for file in $(find "$root"/src/{unlearn,eval} -name '*.h' -o -name '*.cpp'); do
  if grep -nE '#include "(expunge/device|core/log)' "$file"; then
    echo "${file#"$root"/} includes more of core than host arithmetic needs"
    failures=$((failures + 1))
  fi
done
# The regular expressions of the standard library go back and recurse: what users or files write is matched by RE2.
if grep -rnE '^#include <regex>' "$root"/{include,src}; then
  echo "these include <regex>; use RE2"
  failures=$((failures + 1))
fi
libraries=$(mpicc --showme:compile 2>/dev/null || true; pkg-config --cflags hdf5-openmpi 2>/dev/null || true)
export libraries
compile_alone() {
  # shellcheck disable=SC2086  # several flags
  "$1" $libraries -std=c++20 -fsyntax-only -fopenmp -I"$2/include" -I"$2/src" -x c++ - <<<"#include \"$3\"" && return
  echo "${3#"$2"/} does not compile alone"
  return 1
}
export -f compile_alone
if [[ ${1:-} == headers ]] && ! find "$root/include" "$root/src" -name '*.h' ! -path '*/cuda/*' ! -path '*/nccl/*' ! -path '*/kernels/cpu/*' -print0 | xargs -0 -P "$(nproc)" -I{} bash -c 'compile_alone "$@"' _ "$compiler" "$root" {}; then
  failures=$((failures + 1))
fi
for file in $(find "$root"/{include,src,tests} -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh'); do
  if ! head -n 1 "$file" | grep -q '^// '; then
    echo "${file#"$root"/} does not begin with a line that says what it is for"
    failures=$((failures + 1))
  fi
done
echo "$failures failures"
[[ $failures == 0 ]]
