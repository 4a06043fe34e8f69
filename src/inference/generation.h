// Continues prompts with a model over all ranks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "inference/generation_settings.h"
#include "model/llama.h"
#include "session/options.h"
#include "session/session.h"

namespace expunge {

/// The ids of a prompt: with BOS by the folder's rule, without the EOS that it may add. An empty text gives BOS alone, or
/// nothing if the tokenizer has no BOS. Throws Error(bad_input), beginning with `where`.
std::vector<std::int32_t> prompt_ids(const Tokenizer& tokenizer, const std::string& text, const std::string& where);

/// Throws Error(bad_input), beginning with `where`, for a prompt that a model cannot continue.
void check_prompt(const std::string& where, const std::vector<std::int32_t>& ids, const LlamaConfig& model);

struct Prompt {
  std::vector<std::int32_t> ids;  ///< at least one, fewer than the model's positions
  std::uint64_t stream;           ///< stream of random numbers for its draws; their counter is the place in the completion
};

enum class FinishReason {
  stop,    ///< the text contains a stop string
  length,  ///< the most tokens are drawn, or no position is left
  eos      ///< the model drew an id that ends a text
};

struct Completion {
  std::vector<std::int32_t> ids;  ///< drawn ids, without EOS but with padding
  FinishReason reason;
  std::string text;  ///< text of the ids without padding, up to the stop string
};

struct GenerationOptions {
  int max_new_tokens;
  LabelSampling sampling;  ///< top_k 1: greedy
  std::uint64_t seed;
  std::vector<std::string> stops;
  std::size_t batch_size;  ///< prompts that a rank continues at a time
  std::vector<std::int32_t> eos_ids = {}, pad_ids = {};
};

/// `options` with the ends of the model's folder added.
GenerationOptions with_ends(GenerationOptions options, const GenerationSettings& ends);

/// Completions in the order of the prompts, on every rank. Deals prompts to ranks in batches; this changes the result only by
/// the rounding of sums. Collective. Throws Error(collapse) if the model's logits are not finite.
template <Element T>
std::vector<Completion> generate(Llama<T>& model, const Tokenizer& tokenizer, const std::vector<Prompt>& prompts,
                                 const GenerationOptions& options);

/// Decides `auto` for a model with a pass for every token: whole weights are kept if they fit into memory. Collective.
GatherPolicy gather_for_generation(const Session& session, const LlamaConfig& config, const ComputeConfig& asked);

}  // namespace expunge
