// The segmentation of a text by a unigram model, stretch by stretch.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "data/piece_model.h"

namespace expunge {

/// The path through a text whose pieces have the highest sum of scores, as sentencepiece finds it. The library sums in 32 bits
/// from the beginning of the text on, so that in a long text rounding decides between pieces; and its sum cannot be made to
/// begin with that of the text before. So a text in stretches needs a search of its own for the ids of the whole.
class UnigramPath {
 public:
  explicit UnigramPath(const PieceModel& model);

  struct Step {
    std::string_view text;
    int id;
  };
  /// The pieces of `text`, normalised, which begins and ends where pieces do. `sum` is the score of what stands before it, and
  /// becomes that of its end.
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
  /// Offers every piece that begins at `begin` to the place where it ends.
  void extend(std::string_view text, std::size_t begin, std::vector<Node>& ends) const;

  std::vector<Entry> entries_;                 // by text
  std::array<std::size_t, 257> by_byte_ = {};  // where the entries of each first byte begin
  float unknown_score_;
  int unknown_id_ = 0;
};

}  // namespace expunge
