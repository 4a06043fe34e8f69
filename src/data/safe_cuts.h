// Where a long text may be cut so that its parts have the ids of the whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "data/piece_model.h"

namespace expunge {

/// A cut between two characters is safe where nothing that the model does to a text reaches across it:
///   - no piece holds the two side by side, so no merge (BPE) and no step of a path (unigram) covers both;
///   - no rule of normalisation covers either of them in a way that depends on the other or changes it;
///   - the first is no space: at the ends of a text, and in runs, some models drop spaces;
///   - unknown characters on both sides would be one unknown piece. They may be parted where the run is longer than any name,
///     for the id of such a piece depends on whether its text is a name.
/// The part behind the cut is encoded behind the first of the two characters, whose ids are then left out.
class SafeCuts {
 public:
  /// `longest_name`: bytes of the longest name that the text of an unknown piece is looked up among.
  SafeCuts(const PieceModel& model, std::size_t longest_name);

  /// The first safe cut of `text`, which is valid UTF-8, among the places from `from` (above 0) to before `until`.
  std::optional<std::size_t> find(std::string_view text, std::size_t from, std::size_t until) const;

 private:
  void read_pieces(const PieceModel& model);
  bool is_unknown(Character character) const;
  bool is_strange(Character character) const;
  bool separates(Character before, Character after) const;

  bool possible_;  ///< whether the model is one whose cuts are understood
  bool byte_fallback_;
  std::size_t longest_name_;
  // Sorted.
  std::vector<std::uint64_t> pairs_;   ///< characters side by side in a piece
  std::vector<Character> known_;       ///< that are pieces
  std::vector<Character> in_pieces_;   ///< alone or with others
  std::vector<Character> in_rules_;    ///< in what a rule of normalisation replaces
  std::vector<Character> ends_rules_;  ///< of these, those which a rule replaces alone or behind others
};

}  // namespace expunge
