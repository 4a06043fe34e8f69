#!/usr/bin/env bash
# usage: instructions.sh PROGRAM: instructions beyond the least x86-64 stand in the CPU kernels alone. Of equal inline functions
# the linker keeps one for the whole program, so none that others could be linked to may have them.
set -euo pipefail
program=$1
if [[ $(uname -m) != x86_64 ]]; then
  echo "skipped: only x86-64 has kernels to choose from"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Functions that sources share: inline ones and templates of all, and the project's own.
nm --defined-only "$program" | awk '$2 ~ /^[Wu]$/ || ($2 == "T" && $3 ~ /7expunge/) { print $3 }' | sort -u >"$work/shared"
# AVX and AVX-512 alone have names with v; BMI2 and MOVBE came with AVX2.
objdump -d --no-show-raw-insn "$program" | awk '
  /^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3); next }
  $2 ~ /^(v[a-z]|shlx|sarx|shrx|rorx|mulx|pdep|pext|andn$|movbe)/ { print name }' | sort -u >"$work/wide"
failures=0
while read -r name; do
  echo "$(c++filt "$name") has instructions of x86-64-v3 or later, and other code may be linked to it"
  failures=$((failures + 1))
done < <(comm -12 "$work/shared" "$work/wide")
# The kernels are there, and found: else nothing was looked at.
for level in 4avx2 6avx512; do
  grep -q "^_Z.*7expunge3cpu$level" "$work/wide" || { echo "no kernels of namespace ${level:1} were found"; failures=$((failures + 1)); }
done
echo "$(wc -l <"$work/shared") shared functions, $(wc -l <"$work/wide") with instructions of x86-64-v3 or later, $failures failures"
[[ $failures == 0 ]]
