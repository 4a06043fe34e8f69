#!/usr/bin/env bash
# Builds the fuzz targets in a folder and runs each for some seconds: fuzz.sh BUILD SECONDS [TARGET...]
# What is found lies in BUILD/findings, what was learnt in BUILD/learnt/<target>. Exit code 77 where there is no libFuzzer.
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$1 seconds=$2
shift 2
jobs=$(nproc)

if ! command -v clang++-16 >/dev/null; then
  echo "skipped: fuzzing needs clang++-16 and its run-time library (packages clang-16, libclang-rt-16-dev and libomp-16-dev)"
  exit 77
fi
[ -f "$build/build.ninja" ] || [ -f "$build/Makefile" ] ||
  cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=clang-16 -DCMAKE_CXX_COMPILER=clang++-16 \
    -DEXPUNGE_FUZZ=ON -DEXPUNGE_CUDA=OFF >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(find "$source/tests/fuzz" -name '*_fuzz.cpp' -printf '%f\n' | sed 's/_fuzz.cpp//' | sort)
cmake --build "$build" -j "$jobs" --target "${targets[@]/#/expunge_fuzz_}" | tail -n 1

cd "$build"
mkdir -p findings
TMPDIR=$(mktemp -d)
trap 'rm -rf "$TMPDIR"' EXIT
export TMPDIR
# What HDF5 keeps of a damaged file is not ours to report.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0 UBSAN_OPTIONS=print_stacktrace=1

# An input has 10 s and 10 microseconds of processor a byte (target.h), in any case no more than -timeout, and this much memory;
# what takes more is a finding. HDF5 targets read lists of changes, which are short; inputs of others grow to a mebibyte.
fuzz() {
  local longest=1048576
  [[ $1 != hdf5_* ]] || longest=4096
  "tests/fuzz/expunge_fuzz_$1" -timeout=30 -rss_limit_mb=2048 -malloc_limit_mb=256 -max_len=$longest "${@:2}"
}
# HDF5 1.10 itself crashes on some files whose metadata are damaged: those are counted, and only other findings are failures.
in_library() { # TARGET INPUT: a frame lies in the HDF5 library, which calls nothing of ours
  { fuzz "$1" "$2" 2>&1 || true; } | grep -E '^ *#[0-9]+ ' | grep -q libhdf5
}
run_target() { # SECONDS TARGET SOURCE
  local log=findings/$2.log more=() code=0 library=0 ours=() input
  [ "$2" != hdf5_bytes ] || more=(-fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1)
  mkdir -p "learnt/$2"
  rm -f "findings/$2-"*
  fuzz "$2" "learnt/$2" "$3/tests/fuzz/corpus/$2" "-max_total_time=$1" "-artifact_prefix=findings/$2-" -print_final_stats=1 "${more[@]}" \
    >"$log" 2>&1 || code=$?
  for input in "findings/$2-"{crash,oom,timeout}-*; do
    if [ ! -f "$input" ]; then continue; elif in_library "$2" "$input"; then library=$((library + 1)); else ours+=("$input"); fi
  done
  awk -v name="$2" -v ours="${#ours[@]}" -v library="$library" '
    /cov:/ { for (i = 1; i < NF; ++i) if ($i == "cov:") coverage = $(i + 1) }
    /^#[0-9]+: cov/ { runs = substr($1, 2) + 0 }
    /stat::number_of_executed_units/ { runs = $2 }
    END { printf "%-20s %10d executions, coverage %d, %d findings, %d in the HDF5 library\n", name, runs, coverage, ours, library }' "$log"
  if [ "${#ours[@]}" = 0 ] && { [ "$code" = 0 ] || [ "$library" != 0 ]; }; then return; fi
  tail -n 40 "$log"
  exit 1
}
export -f fuzz in_library run_target
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'run_target "$@"' _ "$seconds" {} "$source"
