// How likely a model finds continuations of texts, over all ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "model/llama.h"

namespace expunge {

/// A context and its continuation as ids, the continuation from `first` (at least 1) on.
struct Continuation {
  std::vector<std::int32_t> ids;
  std::size_t first;
};

/// As the Language Model Evaluation Harness splits them: blanks at the end of the context go to the continuation; both are
/// encoded together, the context is encoded alone, and what lies behind that many ids is the continuation. Of more than
/// `positions` + 1 ids the first are left out. Throws Error(bad_input), beginning with `where`, for a continuation without ids
/// of its own, one that leaves no room for any of the context, and ids from `vocabulary` on.
Continuation encode_pair(const Tokenizer& tokenizer, std::string context, std::string continuation, const LlamaConfig& model,
                         const std::string& where);

/// Sum of the log-probabilities of each continuation's ids, in nats, on every rank. Continuations are dealt to ranks in batches
/// of `batch_size`; the result does not depend on how, beyond the rounding of sums. Collective. Throws Error(collapse) where
/// one is not a number.
template <Element T>
std::vector<double> log_likelihoods(Llama<T>& model, const std::vector<Continuation>& continuations, std::size_t batch_size);

}  // namespace expunge
