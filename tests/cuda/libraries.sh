# shellcheck shell=bash
# Sourced with a Python: where the machine has no cuBLASLt and NCCL of its own, those that PyTorch brought are put on the path of
# libraries.
found() {
  ldconfig -p 2>/dev/null | grep -q "$1" && return
  local folder
  while read -r folder; do compgen -G "$folder/$1*" >/dev/null && return; done < <(tr : '\n' <<<"${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64")
  return 1
}
if ! found libcublasLt.so || ! found libnccl.so; then
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}$("$1" -c '
import importlib.util, glob
for place in importlib.util.find_spec("nvidia").submodule_search_locations:
    for folder in glob.glob(place + "/*/lib"):
        print(":" + folder, end="")' 2>/dev/null)
  export LD_LIBRARY_PATH
fi
