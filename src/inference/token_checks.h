// Whether the tokens of a file are what a model can be given.
#pragma once

#include <cstddef>
#include <string>

#include "data/token_file.h"
#include "store/weights.h"

namespace expunge {

/// Whether the tokens are known to be the model's: without a tokenizer.model they are not, which is warned of. Throws
/// Error(bad_input) where the model has a tokenizer and the tokens were made with another. Collective.
bool check_tokenizer(const Runtime& runtime, const WeightsSource& source, const TokenFile& tokens);
/// Throws Error(bad_input) where one of the first `most` sequences (0: all) is longer than the model's sliding window.
void check_window(const LlamaConfig& config, const std::string& name, const TokenSplit& split, std::size_t most);

}  // namespace expunge
