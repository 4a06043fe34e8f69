#!/usr/bin/env bash
# Checks that modules include only those that the architecture lets them see, and that every public header compiles alone.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
compiler=${CXX:-g++}

declare -A may_see=(
  [core]="core"
  [kernels]="core kernels"
  [comm]="core comm"
  [io]="core io"
  [data]="core io data"
  [fsdp]="core comm kernels fsdp"
  [model]="core comm kernels fsdp io model"
  [unlearn]="core unlearn"
  [eval]="core eval"
  [train]="core comm kernels fsdp io data model unlearn eval train"
)
failures=0
for module in "${!may_see[@]}"; do
  for file in $(find "$root/include/expunge/$module" "$root/src/$module" -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh'); do
    while read -r seen; do
      if [[ " ${may_see[$module]} " != *" $seen "* ]]; then
        echo "${file#"$root"/} includes expunge/$seen, which module $module may not see"
        failures=$((failures + 1))
      fi
    done < <(sed -nE 's|^#include "expunge/([a-z]+)/.*|\1|p' "$file" | sort -u)
  done
done
# Objectives and metrics are host arithmetic: of core they see no device and no log.
for file in $(find "$root"/{include/expunge,src}/{unlearn,eval} -name '*.h' -o -name '*.cpp'); do
  if grep -nE '#include "expunge/core/(device|log)' "$file"; then
    echo "${file#"$root"/} includes more of core than host arithmetic needs"
    failures=$((failures + 1))
  fi
done
# The regular expressions of the standard library go back and recurse: what users or files write is matched by RE2.
if grep -rnE '^#include <regex>' "$root"/{include,src}; then
  echo "these include <regex>; use RE2"
  failures=$((failures + 1))
fi
compile_alone() {
  "$1" -std=c++20 -fsyntax-only -fopenmp -I"$2/include" -I"$2/src" -x c++ - <<<"#include \"$3\"" && return
  echo "${3#"$2"/} does not compile alone"
  return 1
}
export -f compile_alone
if ! find "$root/include" -name '*.h' -print0 | xargs -0 -P "$(nproc)" -I{} bash -c 'compile_alone "$@"' _ "$compiler" "$root" {}; then
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
