// What a model's folder says about the end of generated text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/tokenizer.h"

namespace expunge {

/// Settings of generation_config.json, config.json and the tokenizer. Ids are in ascending order.
struct GenerationSettings {
  std::vector<std::int32_t> eos_ids;  ///< the first of these that is drawn ends a completion
  std::vector<std::int32_t> pad_ids;  ///< special tokens that are no part of the text of a completion
  std::vector<std::string> stop_strings;
};

/// Reads `eos_token_id` (a number or a list), `pad_token_id` and `stop_strings` (a text or a list) of the files in `folder`, of
/// which generation_config.json may be missing. A file without a key adds nothing. Throws Error(bad_input) that names file and
/// key for a value of another kind, an EOS id outside of the model's `vocabulary`, and an empty stop string.
GenerationSettings read_generation_settings(const std::filesystem::path& folder, const Tokenizer& tokenizer, int vocabulary);

/// For the log: "generation ends at '</s>' (id 2), ...".
std::string describe_ends(const GenerationSettings& settings, const Tokenizer& tokenizer);

}  // namespace expunge
