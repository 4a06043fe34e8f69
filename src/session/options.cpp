// Names of the compute options' values.
#include "session/options.h"

namespace expunge {

std::string_view gather_name(GatherPolicy policy) {
  switch (policy) {
    case GatherPolicy::automatic:
      return "auto";
    case GatherPolicy::per_micro_step:
      return "per-micro-step";
    case GatherPolicy::per_step:
      return "per-step";
  }
  fail(ExitCode::internal, "unnamed gather policy");
}

GatherPolicy recorded_gather(std::string_view name) {
  return name == gather_name(GatherPolicy::per_step) ? GatherPolicy::per_step : GatherPolicy::per_micro_step;
}

std::string_view comm_policy_name(CommPolicy policy) {
  switch (policy) {
    case CommPolicy::automatic:
      return "auto";
    case CommPolicy::nccl:
      return "nccl";
    case CommPolicy::staged:
      return "staged";
  }
  fail(ExitCode::internal, "unnamed communicator");
}

}  // namespace expunge
