// `expunge mia`.
#pragma once

#include "audit/membership.h"
#include "commands/run_command.h"

namespace expunge {

/// The table refers to `config`, which must outlive it at the same address.
OptionTable mia_options(MembershipConfig& config);
Command mia_command();

}  // namespace expunge
