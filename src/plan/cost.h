// The cost of an optimizer step: operations, bytes between ranks, and time at given rates.
#pragma once

#include <string>

#include "plan/memory.h"
#include "session/options.h"

namespace expunge {

/// The division of an optimizer step.
struct StepShape {
  double sequences;               ///< G, over all ranks
  int sequence_length;            ///< tokens
  int sequences_per_micro_batch;  ///< of a rank
  double reference_share;         ///< share of the sequences that also pass through the reference model
  bool prefetch;

  int micro_batches(int world_size) const;
};

/// The speed of a rank and of its network.
struct Rates {
  double flops;             ///< operations per second of a rank, in the count of token_flops()
  double memory_bandwidth;  ///< bytes per second
  int ranks_per_node;
  double node_bandwidth, network_bandwidth;  ///< bytes per second that a rank receives from its node, from other nodes
  double network_latency;                    ///< seconds of a message between nodes
};

/// Operations of one token of a sequence of `length` tokens. Forward takes two per weight and token, backward four. Attention
/// is counted causally, as half of the square; the embedding is a look-up and takes none.
struct TokenFlops {
  double forward;  ///< of a pass without gradients
  double blocks;   ///< the part that recomputing whole blocks repeats
  double training() const { return 3 * forward; }
};
TokenFlops token_flops(const LlamaConfig& config, int length);

/// All-gathers of the trained model in one optimizer step, and the elements of the gathered units.
struct Gathers {
  double calls, elements;
};
Gathers step_gathers(const LlamaConfig& config, const std::vector<UnitLayout>& units, GatherPolicy gather, int micro_batches);

struct StepCost {
  int micro_batches;                       ///< of a rank
  double tokens;                           ///< over all ranks
  double model_flops, hardware_flops;      ///< of a rank; hardware includes recomputation
  double gathered, reduced;                ///< bytes that a rank receives, and also sends
  double compute, communication, exposed;  ///< seconds; exposed: communication that computing does not hide
  double optimizer;                        ///< seconds of AdamW and the gradient norm
  double seconds() const { return compute + exposed + optimizer; }
};
StepCost step_cost(const RunShape& shape, const Policies& policies, const StepShape& step, const Rates& rates);

}  // namespace expunge
