// Encodes texts of any length by a sentencepiece model, in constant memory.
#pragma once

#include <sentencepiece_processor.h>

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/piece_model.h"
#include "data/safe_cuts.h"
#include "data/unigram_path.h"

namespace expunge {

/// Encodes a long text in stretches, with cuts that do not change the ids. The library alone would need up to 300 bytes of
/// memory per byte of text.
class PieceEncoder {
 public:
  /// Bytes of a stretch, and the limit of a stretch without a safe cut.
  static constexpr std::size_t kStretch = std::size_t{16} << 10, kLongestStretch = std::size_t{1} << 20;

  /// `bytes` is the content of `file`, which errors name. Throws Error(bad_input) if it is not a sentencepiece model.
  PieceEncoder(std::string bytes, const std::string& file);

  const sentencepiece::SentencePieceProcessor& model() const { return model_; }
  /// Allows cuts after `stretch` bytes. `longest_name`: length in bytes of the longest name, besides pieces, that an unknown
  /// piece's text may match.
  void allow_cuts(std::size_t longest_name, std::size_t stretch = kStretch);

  /// Receives a piece: its id and, for an unknown piece, its text.
  using Take = std::function<void(int id, const std::string& unknown_text)>;
  /// Passes on the pieces of `before` and `text` together, without the first `skip`. Throws Error(bad_input) for a stretch of
  /// more than kLongestStretch without a safe cut. Thread-safe.
  void encode(std::string_view before, std::size_t skip, std::string_view text, const std::string& where,
              const Take& take) const;
  std::size_t count(std::string_view text) const { return run<int>(text).size(); }

 private:
  /// Lets the library encode one long stretch at a time, because each needs much memory.
  std::unique_lock<std::mutex> wait_with_long_text(std::string_view text) const;
  template <typename T>
  std::vector<T> run(std::string_view text) const;
  std::string normalised(std::string_view text) const;
  std::size_t end_of_stretch(std::string_view text, std::size_t begin, const std::string& where) const;
  void encode_stretch(const std::string& text, std::size_t skip, const Take& take) const;
  void encode_along_path(std::string_view before, std::size_t skip, std::string_view text, const std::string& where,
                         const Take& take) const;

  std::string bytes_;
  PieceModel spec_;
  sentencepiece::SentencePieceProcessor model_;
  std::optional<SafeCuts> cuts_;
  std::optional<UnigramPath> path_;
  std::size_t longest_name_ = 0, stretch_ = kStretch;
  mutable std::mutex long_text_;
};

}  // namespace expunge
