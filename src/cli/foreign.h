// Options of other programs that users bring along: the study's scripts, Hugging Face's trainer, torchrun.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace expunge {

/// What to use in place of an option that this program does not have; nothing for a name that is not known either.
std::optional<std::string> advice_for_foreign(std::string_view key);

}  // namespace expunge
