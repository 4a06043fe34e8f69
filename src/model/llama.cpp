// Instantiates the model for the program's element types, and measures its memory.
#include "model/llama.h"

#include "model/llama_loss.h"

namespace expunge {

template <Element T>
WorkspaceBytes workspace_bytes(const LlamaConfig& config, int tokens, Recompute recompute, bool training, DeviceType device) {
  return Workspace<T>::measure(config, device, recompute, tokens, training);
}

int logits_chunk(int tokens, int vocabulary, DeviceType device) {
  // Enough rows for cross-entropy at full speed, within 128 MiB of fp32. A GPU takes more rows: each chunk updates the head's
  // whole gradient, which must not take longer than its product.
  const bool on_gpu = device == DeviceType::cuda;
  constexpr int kTile = 128;  // tile rows of products
  const int room = (1 << (on_gpu ? 27 : 25)) / vocabulary / kTile * kTile;
  return std::min({tokens, on_gpu ? 2048 : 1024, std::max(64, room)});
}

template WorkspaceBytes workspace_bytes<float>(const LlamaConfig&, int, Recompute, bool, DeviceType);
template WorkspaceBytes workspace_bytes<bf16>(const LlamaConfig&, int, Recompute, bool, DeviceType);
template WorkspaceBytes workspace_bytes<double>(const LlamaConfig&, int, Recompute, bool, DeviceType);
template class Llama<float>;
template class Llama<bf16>;
template class Llama<double>;

}  // namespace expunge
