// Finds cuts of a long text that do not change its ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "data/piece_model.h"

namespace expunge {

/// A cut between two characters is safe if no operation of the model reaches across it:
///   - no piece contains the two characters in sequence, so no merge (BPE) and no path step (unigram) covers both;
///   - no normalisation rule covers one of them in a way that depends on the other or changes it;
///   - the first is not a space, because some models drop spaces at the ends of a text and in runs;
///   - they are not both unknown, because a run of unknown characters is one piece, whose id depends on its text being
///   a name.
///     A run longer than any name may be cut.
/// The part after the cut is encoded with the first character as context, whose ids are then dropped.
class SafeCuts {
 public:
  /// `longest_name`: length in bytes of the longest name that an unknown piece's text may match.
  SafeCuts(const PieceModel& model, std::size_t longest_name);

  /// The first safe cut of `text` (valid UTF-8) at a position from `from` (above 0) to before `until`.
  std::optional<std::size_t> find(std::string_view text, std::size_t from, std::size_t until) const;

 private:
  void read_pieces(const PieceModel& model);
  bool is_unknown(Character character) const;
  bool is_strange(Character character) const;
  bool separates(Character before, Character after) const;

  bool possible_;  ///< false for models whose cuts are not understood
  bool byte_fallback_;
  std::size_t longest_name_;
  // Sorted.
  std::vector<std::uint64_t> pairs_;   ///< adjacent characters in a piece
  std::vector<Character> known_;       ///< characters that are pieces
  std::vector<Character> in_pieces_;   ///< characters in pieces, alone or with others
  std::vector<Character> in_rules_;    ///< characters in the texts that rules replace
  std::vector<Character> ends_rules_;  ///< those that form such a text alone or follow another character in one
};

}  // namespace expunge
