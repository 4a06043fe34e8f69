// The options that commands share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/option_table.h"
#include "inference/options.h"
#include "session/options.h"

namespace expunge {

Option quiet_option(bool& quiet);
/// Throws Error(usage) for a split that is named twice, also as "split" of the domain and as "domain/split".
void check_splits(std::string_view key, const std::string& domain, const std::vector<std::string>& splits);

/// An argument without a dash, such as FILE_OR_DIR.
Option positional(Option option);

/// Inputs of commands that pass splits through a model: model, tokens, domain.
std::vector<Option> scoring_input(ScoringConfig& config, std::string domain_help);
std::vector<Option> scoring_output(ScoringConfig& config);
void add_scoring_compute(OptionTable& table, ScoringConfig& config);

/// Options of commands that give texts to a model.
Option text_model_option(TextConfig& config);
std::vector<Option> text_output(TextConfig& config, const std::string& help);
void add_text_compute(OptionTable& table, TextConfig& config);

}  // namespace expunge
