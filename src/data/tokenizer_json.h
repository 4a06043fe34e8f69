// What tokenizer.json says beside a sentencepiece model: what stands around a text, and where it disagrees with the model.
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

/// Ids that are put around a text, such as BOS and EOS.
struct TextFrame {
  std::vector<std::int32_t> before, after;
  bool operator==(const TextFrame&) const = default;
};

/// What the `post_processor` of a tokenizer.json puts around a single text. Throws Error(bad_input), beginning with `where`,
/// for one that is malformed or of a kind that no Llama tokenizer has.
TextFrame read_text_frame(const nlohmann::json& post_processor, const std::string& where);

}  // namespace expunge
