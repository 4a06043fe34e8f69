// Options of the unlearning methods, made from their registry.
#pragma once

#include <string>
#include <vector>

#include "cli/option_table.h"
#include "expunge/objective.h"

namespace expunge {

/// --method, of all methods that are registered.
Option method_option(std::string& name);
/// The methods' own options, each once: --beta means what the run's method makes of it.
std::vector<Option> methods_own_options(MethodOptions& options);

/// Throws Error(usage) for an option of the command line that does nothing with this method, and names the methods it is for.
void refuse_idle_options(const MethodOptions& options, const OptionTable& given);

}  // namespace expunge
