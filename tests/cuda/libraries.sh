# shellcheck shell=bash
# Sourced with the program and a Python: where the machine lacks the very cuBLASLt and NCCL that the program wants, those that
# PyTorch brought are put on the path of libraries. A bundle lists what it wants in its folder `absent`.
wanted() {
  local absent
  absent=$(dirname "$(realpath "$1")")/../absent
  if [[ -d $absent ]]; then ls "$absent"; else ldd "$1" | awk '/not found/ { print $1 }'; fi
}
found() {
  ldconfig -p 2>/dev/null | grep -w "$1" >/dev/null && return
  local folder
  while read -r folder; do [[ -e $folder/$1 ]] && return; done < <(tr : '\n' <<<"${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64")
  return 1
}
for library in $(wanted "$1"); do
  found "$library" && continue
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}$("$2" -c '
import importlib.util, glob
for place in importlib.util.find_spec("nvidia").submodule_search_locations:
    for folder in glob.glob(place + "/*/lib"):
        print(":" + folder, end="")' 2>/dev/null)
  export LD_LIBRARY_PATH
  break
done
