// Ends of generated text, from a model's folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/tokenizer.h"

namespace expunge {

/// Settings of generation_config.json, config.json and the tokenizer. Ids are in ascending order.
struct GenerationSettings {
  std::vector<std::int32_t> eos_ids;  ///< each of these ends a completion
  std::vector<std::int32_t> pad_ids;  ///< special tokens that are left out of a completion's text
  std::vector<std::string> stop_strings;
};

/// Reads `eos_token_id` (a number or a list), `pad_token_id` and `stop_strings` (a text or a list) from the files in `folder`;
/// generation_config.json may be missing. A file without a key adds nothing. Throws Error(bad_input), naming file and key, for
/// a value of another kind, an EOS id outside the model's `vocabulary`, and an empty stop string.
GenerationSettings read_generation_settings(const std::filesystem::path& folder, const Tokenizer& tokenizer, int vocabulary);

/// Text for the log: "a completion ends at '</s>' (id 2), ...".
std::string describe_ends(const GenerationSettings& settings, const Tokenizer& tokenizer);

}  // namespace expunge
