// The normalisation rules of a sentencepiece model.
#pragma once

#include <string_view>
#include <vector>

#include "data/piece_model.h"

namespace expunge {

/// Characters of the texts that normalisation rules replace, each perhaps several times.
struct RuleCharacters {
  bool complete = true;  ///< false where the rules cannot be read
  std::vector<Character> all;
  std::vector<Character> ends;  ///< those which are replaced alone or behind others
};

/// Reads a `precompiled_charsmap`; an empty one has no rules.
RuleCharacters read_rule_characters(std::string_view charsmap);

}  // namespace expunge
