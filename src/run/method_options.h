// Options of the unlearning methods, made from their registry.
#pragma once

#include <string>
#include <vector>

#include "cli/option_table.h"
#include "expunge/objective.h"

namespace expunge {

/// --method, with all registered methods.
Option method_option(std::string& name);
/// The methods' own options, each once; the meaning of --beta depends on the run's method.
std::vector<Option> methods_own_options(MethodOptions& options);

/// Throws Error(usage), naming the methods, for an option on the command line that has no effect with this method.
void refuse_idle_options(const MethodOptions& options, const OptionTable& given);

}  // namespace expunge
