// Segments a text by a unigram model, stretch by stretch.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "data/piece_model.h"

namespace expunge {

/// The path with the highest sum of scores, as sentencepiece finds it. The library sums in 32 bits from the beginning of a
/// text, so rounding affects the pieces of a long text. It cannot start from the sum of the text before. Encoding in
/// stretches therefore needs this search to get the ids of the whole text.
class UnigramPath {
 public:
  explicit UnigramPath(const PieceModel& model);

  struct Step {
    std::string_view text;
    int id;
  };
  /// The pieces of the normalised `text`, which begins and ends at borders of pieces. `sum` is the score before it and
  /// becomes the score at its end.
  std::vector<Step> find(std::string_view text, float& sum) const;

 private:
  struct Entry {
    std::string_view text;
    int id;
    double score;
  };
  struct Node {
    int id = -1;
    float sum = 0;
    std::size_t begin = 0;
  };
  /// Offers every piece that begins at `begin` to its end position.
  void extend(std::string_view text, std::size_t begin, std::vector<Node>& ends) const;

  std::vector<Entry> entries_;                 // sorted by text
  std::array<std::size_t, 257> by_byte_ = {};  // begin of the entries of each first byte
  float unknown_score_;
  int unknown_id_ = 0;
};

}  // namespace expunge
