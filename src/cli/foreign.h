// Advice on options of other programs: the study's scripts, Hugging Face's trainer, torchrun.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace expunge {

/// Advice on what to use instead of another program's option; nullopt for an unknown name.
std::optional<std::string> advice_for_foreign(std::string_view key);

}  // namespace expunge
