// Continuing prompts with a model over all ranks.
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

/// Ids of a text that is to be continued: with BOS as the folder's rule says, without the EOS that it may add. Of an empty
/// text, BOS alone where the tokenizer has one, else nothing. Throws Error(bad_input), beginning with `where`.
std::vector<std::int32_t> prompt_ids(const Tokenizer& tokenizer, const std::string& text, const std::string& where);

/// Throws Error(bad_input), beginning with `where`, for a prompt that a model cannot continue.
void check_prompt(const std::string& where, const std::vector<std::int32_t>& ids, const LlamaConfig& model);

struct Prompt {
  std::vector<std::int32_t> ids;  ///< at least one, fewer than the model's positions
  std::uint64_t stream;           ///< of the random numbers that decide its draws; their counter is the place in the completion
};

enum class FinishReason {
  stop,    ///< a stop string came up
  length,  ///< enough tokens, or no position left
  eos      ///< the model drew one of the ids that end a text
};

struct Completion {
  std::vector<std::int32_t> ids;  ///< drawn, EOS left out, padding not
  FinishReason reason;
  std::string text;  ///< what the ids but for padding add to the prompt's text, up to the stop string
};

struct GenerationOptions {
  int max_new_tokens;
  LabelSampling sampling;  ///< top_k 1: greedy
  std::uint64_t seed;
  std::vector<std::string> stops;
  std::size_t batch_size;  ///< prompts of a rank at a time
  std::vector<std::int32_t> eos_ids = {}, pad_ids = {};
};

/// `options` with the ends that the model's folder asks for beside their own.
GenerationOptions with_ends(GenerationOptions options, const GenerationSettings& ends);

/// Completions in the order of the prompts, on every rank. Prompts are dealt to ranks in batches; nothing depends on how beyond
/// the rounding of sums. Collective. Throws Error(collapse) where the model's logits are not numbers.
template <Element T>
std::vector<Completion> generate(Llama<T>& model, const Tokenizer& tokenizer, const std::vector<Prompt>& prompts,
                                 const GenerationOptions& options);

/// What `asked` means for a model that runs a pass for every token: whole weights stay where memory allows. Collective.
GatherPolicy gather_for_generation(const Session& session, const LlamaConfig& config, const ComputeConfig& asked);

}  // namespace expunge
