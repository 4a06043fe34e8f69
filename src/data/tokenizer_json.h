// tokenizer.json beside a sentencepiece model: ids around a text, and differences from the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace expunge {

/// Largest size in bytes of a JSON file of a tokenizer, and the largest id in one.
inline constexpr std::uint64_t kMaxTokenizerJson = 256 << 20;
inline constexpr std::int64_t kMaxTokenId = 1 << 24;  // far above any vocabulary; ids become rows of an embedding

/// Ids around a text, such as BOS and EOS.
struct TextFrame {
  std::vector<std::int32_t> before, after;
  bool operator==(const TextFrame&) const = default;
};

/// Ids that the `post_processor` of a tokenizer.json adds around a single text. Throws Error(bad_input), beginning with
/// `where`, if it is malformed or of a kind that Llama tokenizers do not use.
TextFrame read_text_frame(const nlohmann::json& post_processor, const std::string& where);

}  // namespace expunge
