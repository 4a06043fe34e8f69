// Options that commands share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/option_table.h"
#include "inference/options.h"
#include "session/options.h"

namespace expunge {

Option quiet_option(bool& quiet);
/// Refuses a list of splits that names one twice, "split" of the domain and "domain/split" being the same.
void check_splits(std::string_view key, const std::string& domain, const std::vector<std::string>& splits);

/// FILE_OR_DIR without a dash before it.
Option positional(Option option);

/// What commands take that pass splits through a model: model, tokens, domain.
std::vector<Option> scoring_input(ScoringConfig& config, std::string domain_help);
std::vector<Option> scoring_output(ScoringConfig& config);
void add_scoring_compute(OptionTable& table, ScoringConfig& config);

/// What commands take that give texts to a model.
Option text_model_option(TextConfig& config);
std::vector<Option> text_output(TextConfig& config, const std::string& help);
void add_text_compute(OptionTable& table, TextConfig& config);

}  // namespace expunge
