// The model for the element types of the program, and its memory.
#include "expunge/model/llama.h"

#include "llama_loss.h"

namespace expunge {

template <Element T>
WorkspaceBytes workspace_bytes(const LlamaConfig& config, int tokens, Recompute recompute, bool training) {
  return Workspace<T>::measure(config, recompute, tokens, training);
}

template WorkspaceBytes workspace_bytes<float>(const LlamaConfig&, int, Recompute, bool);
template WorkspaceBytes workspace_bytes<bf16>(const LlamaConfig&, int, Recompute, bool);
template WorkspaceBytes workspace_bytes<double>(const LlamaConfig&, int, Recompute, bool);
template class Llama<float>;
template class Llama<bf16>;
template class Llama<double>;

}  // namespace expunge
