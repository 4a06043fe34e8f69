// The normalisation rules of a sentencepiece model.
#pragma once

#include <functional>
#include <string_view>

namespace expunge {

/// Visits what the rules of a `precompiled_charsmap` replace, each a text of a few characters. False where the bytes are no
/// such rules.
bool for_each_rule(std::string_view charsmap, const std::function<void(std::string_view replaced)>& visit);

}  // namespace expunge
