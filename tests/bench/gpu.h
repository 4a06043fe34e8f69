// The benchmark of one GPU: tests/bench/gpu.sh asks for its sections one by one.
#pragma once

#include <span>
#include <string>

#include "expunge/device.h"
#include "model/llama_config.h"

namespace expunge::bench {

/// A model and how much work is timed with it.
struct GpuShape {
  const char* name;
  int dim, layers, heads, kv_heads, mlp, vocabulary;
  int length;     ///< tokens of a whole sequence; a micro-batch has two
  int sequences;  ///< of an optimizer step

  int micro_batch_tokens() const { return 2 * length; }
};

/// `expunge_bench gpu SECTION MODEL DEVICE [PYTHON PEER]`: one of step, mix, kl, evaluate, compiled, kernels; the peer is
/// gpu_peer.py. Prints a line for each contestant as soon as it is done. Returns an exit code.
int bench_gpu(const std::string& self, std::span<const std::string> arguments);

/// Each kernel's share of its limit, measured alone, in bfloat16.
void bench_kernels(const GpuShape& shape, Device device);

}  // namespace expunge::bench
