// Reads the normalisation rules of a sentencepiece model.
#pragma once

#include <string_view>
#include <vector>

#include "data/piece_model.h"

namespace expunge {

/// Characters in the texts that normalisation rules replace; may contain duplicates.
struct RuleCharacters {
  bool complete = true;  ///< false if the rules cannot be read
  std::vector<Character> all;
  std::vector<Character> ends;  ///< those that form such a text alone or follow another character in one
};

/// Reads a `precompiled_charsmap`; an empty one has no rules.
RuleCharacters read_rule_characters(std::string_view charsmap);

}  // namespace expunge
