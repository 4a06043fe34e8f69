// Log-likelihoods of continuations of texts, over all ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "model/llama.h"

namespace expunge {

/// The ids of a context and its continuation; the continuation begins at `first` (at least 1).
struct Continuation {
  std::vector<std::int32_t> ids;
  std::size_t first;
};

/// Splits a text as the Language Model Evaluation Harness does. Blanks at the end of the context move to the continuation. Both
/// are encoded together, then the context alone; the ids beyond its number are the continuation. Of more ids than the model's
/// positions + 1 the first are left out. Throws Error(bad_input), beginning with `where`, for a continuation without ids of its
/// own, for one that leaves no room for the context, and for ids outside the model's vocabulary.
Continuation encode_pair(const Tokenizer& tokenizer, std::string context, std::string continuation, const LlamaConfig& model,
                         const std::string& where);

/// Sum of the log-probabilities of each continuation's ids, in nats, on every rank. Deals continuations to ranks in batches of
/// `batch_size`; this changes the result only by the rounding of sums. Collective. Throws Error(collapse) if a result is not
/// finite.
template <Element T>
std::vector<double> log_likelihoods(Llama<T>& model, const std::vector<Continuation>& continuations, std::size_t batch_size);

}  // namespace expunge
