// What an optimizer step costs: operations, bytes between ranks, and the time that both take at given rates.
#pragma once

#include <string>

#include "plan/memory.h"
#include "session/options.h"

namespace expunge {

/// How an optimizer step is cut.
struct StepShape {
  double sequences;               ///< G, over all ranks
  int sequence_length;            ///< tokens
  int sequences_per_micro_batch;  ///< of a rank
  double reference_share;         ///< of the sequences that pass through the frozen model too
  bool prefetch;

  int micro_batches(int world_size) const;
};

/// What a rank computes with and talks over.
struct Rates {
  double flops;             ///< operations a second that a rank achieves, by the count of model_flops()
  double memory_bandwidth;  ///< bytes a second
  int ranks_per_node;
  double node_bandwidth, network_bandwidth;  ///< bytes a second a rank receives from its node, from other nodes
  double network_latency;                    ///< seconds of a message between nodes
};

/// Operations of one token of a sequence of `length` tokens: two a weight and token forward, four backward; attention counted
/// causally, as half of the square. The embedding is a look-up.
struct TokenFlops {
  double forward;  ///< of a pass without gradients
  double blocks;   ///< of that, what recomputing whole blocks repeats
  double training() const { return 3 * forward; }
};
TokenFlops token_flops(const LlamaConfig& config, int length);

/// All-gathers of the trained model in one optimizer step, and the elements of the units gathered.
struct Gathers {
  double calls, elements;
};
Gathers step_gathers(const LlamaConfig& config, const std::vector<UnitLayout>& units, GatherPolicy gather, int micro_batches);

struct StepCost {
  int micro_batches;                       ///< of a rank
  double tokens;                           ///< over all ranks
  double model_flops, hardware_flops;      ///< of a rank; hardware counts what is recomputed
  double gathered, reduced;                ///< bytes that a rank receives, and sends as well
  double compute, communication, exposed;  ///< seconds; exposed: of the communication, what computing does not hide
  double optimizer;                        ///< seconds of AdamW and the gradient norm
  double seconds() const { return compute + exposed + optimizer; }
};
StepCost step_cost(const RunShape& shape, const Policies& policies, const StepShape& step, const Rates& rates);

}  // namespace expunge
