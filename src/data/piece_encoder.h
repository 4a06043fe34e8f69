// A sentencepiece model over texts of any length, in memory that their length does not change.
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

/// Encodes a long text in stretches, cut where the ids are those of the whole: the library takes up to 300 bytes for each byte
/// of a text that it is given.
class PieceEncoder {
 public:
  /// Bytes of a stretch, and of the longest one where a text has no safe cut.
  static constexpr std::size_t kStretch = std::size_t{16} << 10, kLongestStretch = std::size_t{1} << 20;

  /// `bytes` are those of `file`, for messages. Throws Error(bad_input) for what is no sentencepiece model.
  PieceEncoder(std::string bytes, const std::string& file);

  const sentencepiece::SentencePieceProcessor& model() const { return model_; }
  /// Has texts cut after so many bytes. `longest_name`: bytes of the longest name, besides those of pieces, that the text of an
  /// unknown piece is looked up among.
  void allow_cuts(std::size_t longest_name, std::size_t stretch = kStretch);

  /// A piece: its id, and the text of an unknown one.
  using Take = std::function<void(int id, const std::string& unknown_text)>;
  /// Gives the pieces of `before` and `text` together, without the first `skip`. Throws Error(bad_input) for a text with a
  /// stretch of more than kLongestStretch without a safe cut. Several threads may call it at once.
  void encode(std::string_view before, std::size_t skip, std::string_view text, const std::string& where,
              const Take& take) const;
  std::size_t count(std::string_view text) const { return run<int>(text).size(); }

 private:
  /// Long stretches go to the library one at a time: each takes the memory of many others.
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
