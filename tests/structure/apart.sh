#!/usr/bin/env bash
# usage: apart.sh BUILD FOLDER: every source below the folder that the build compiles together with others (a unity build) compiles alone, too, as in `make
# dev`: it includes what it uses. Nothing but the syntax is looked at, with the precompiled headers of the build.
set -euo pipefail
build=$1 folder=$2

check() { # DIRECTORY COMMAND-UP-TO-THE-SOURCE SOURCE
  cd "$1"
  bash -c "$2 -fsyntax-only \"\$0\"" "$3" && return
  echo "$3 does not compile alone"
  return 1
}
export -f check
jq -r '.[] | select(.file | test("/Unity/unity_")) | .directory, (.command | sub(" -o .*"; "")), .file' "$build/compile_commands.json" |
  while read -r directory && read -r command && read -r unity; do
    mapfile -t sources < <(sed -nE 's/^#include "(.*)"$/\1/p' "$unity")
    ((${#sources[@]} > 1)) || continue # alone already
    [[ ${sources[0]} == "$folder"/* ]] || continue
    for source in "${sources[@]}"; do printf '%s\0%s\0%s\0' "$directory" "$command" "$source"; done
  done | xargs -0 -n 3 -P "$(nproc)" bash -c 'check "$@"' _
