// The objective and the splits of a run.
#include "run/trained_splits.h"

namespace expunge {

std::unique_ptr<Objective> objective_of(const RunOptions& options, double max_length) {
  if (options.command == "train") return make_descent();
  return known_method(options.method.name) ? make_objective(options.method, {options.released, max_length}) : nullptr;
}

std::vector<RoleSplit> trained_splits(const RunOptions& options, const Objective& objective) {
  std::vector<RoleSplit> splits;
  for (const std::string& split : options.input.splits) splits.push_back({split, Role::retain});
  if (!splits.empty()) return splits;
  const std::string& domain = options.input.domain;
  const std::string retain = options.samples.retain.general ? "general/retain" : domain + "/retain";
  for (const Term& term : objective.terms())
    splits.push_back({term.role == Role::forget ? domain + "/forget" : retain, term.role});
  return splits;
}

}  // namespace expunge
