#!/usr/bin/env bash
# usage: sources_alone.sh SOURCE BUILD: every C++ source of src and tests compiles by itself, as `make dev` compiles it, which a unity
# build does not show. Code is not generated. BUILD is configured without unity, with the headers precompiled, and kept.
set -euo pipefail
source=$1 build=$2
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_UNITY_BUILD=OFF -DEXPUNGE_CUDA=OFF -DEXPUNGE_WERROR=ON >"$build.log" || { cat "$build.log"; exit 1; }
cmake --build "$build" --target expunge_common tests_common >"$build.log" || { cat "$build.log"; exit 1; }
alone() { # DIRECTORY COMMAND
  cd "$1"
  # shellcheck disable=SC2086 # CMake wrote the command for a shell
  eval "$(sed -E 's/ -o [^ ]+ -c / -fsyntax-only /' <<<"$2")"
}
export -f alone
jq -r --arg root "$source" '.[] | select(.file | startswith($root)) | select(.file | endswith(".cpp")) | .directory, .command' \
  "$build/compile_commands.json" | tr '\n' '\0' | xargs -0 -n 2 -P "$(nproc)" bash -c 'alone "$@"' _ || { echo "sources that do not compile alone are named above"; exit 1; }
echo "$(jq -r --arg root "$source" '[.[].file | select(startswith($root))] | length' "$build/compile_commands.json") sources compile alone"
