// Our side of a comparison, in a process of its own.
#pragma once

#include <nlohmann/json.hpp>

#include "bench/cost.h"

namespace expunge::bench {

/// Takes a few seconds.
Machine measure_machine();

/// Does `work` each time standard input says so, on all ranks of the job. Returns an exit code.
int serve(const nlohmann::json& work);

}  // namespace expunge::bench
