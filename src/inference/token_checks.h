// Checks that a model can use the tokens of a file.
#pragma once

#include <cstddef>
#include <string>

#include "data/token_file.h"
#include "store/weights.h"

namespace expunge {

/// True if the tokens are known to be of the model's tokenizer; warns and returns false without a tokenizer.model. Throws
/// Error(bad_input) if the tokens are of another tokenizer. Collective.
bool check_tokenizer(const Runtime& runtime, const WeightsSource& source, const TokenFile& tokens);
/// Throws Error(bad_input) if one of the first `most` sequences (0: all) exceeds the model's sliding window.
void check_window(const LlamaConfig& config, const std::string& name, const TokenSplit& split, std::size_t most);

}  // namespace expunge
