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
/// --config FILE, which the table itself reads.
Option config_option();
/// --print-config, which is answered in the place of the command.
Option print_config_option();
/// How a model is run: device, element type, sharding.
std::vector<Option> shared_compute_options(ComputeConfig& config);
/// The same and what only training has.
std::vector<Option> training_compute_options(ComputeConfig& config);
/// Settles --bf16 against --dtype, and refuses --tf32 where it would do nothing.
void check_compute(ComputeConfig& config, const OptionTable& given);
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
