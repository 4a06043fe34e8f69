// The unlearning methods and their registry.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "expunge/core/error.h"
#include "expunge/unlearn/objective.h"

namespace expunge {
namespace {

/// factor x the mean over the step's sequences of N(s), a sequence's mean nll over its targets.
class MeanNll final : public Objective {
 public:
  MeanNll(Role role, double factor) : role_(role), factor_(factor) {}
  std::vector<Term> terms() const override { return {{role_, Signal::nll}}; }
  double constant_weight(const Term&, double targets, const Scope& scope) const override {
    return factor_ / (targets * scope.sequences());
  }

 private:
  Role role_;
  double factor_;
};

struct Method {
  std::string_view name;
  std::unique_ptr<Objective> (*make)();
};

constexpr Method kMethods[] = {
    // -N(forget): Yao et al. 2024, section 3.2 (after Jang et al. 2023).
    {"gradient_ascent", [] { return std::unique_ptr<Objective>(new MeanNll(Role::forget, -1)); }},
};

}  // namespace

std::unique_ptr<Objective> make_descent() { return std::make_unique<MeanNll>(Role::retain, 1); }

std::unique_ptr<Objective> make_objective(std::string_view method) {
  const auto found = std::find_if(std::begin(kMethods), std::end(kMethods), [&](const Method& m) { return m.name == method; });
  if (found == std::end(kMethods))
    fail(ExitCode::usage, fmt::format("--method: unknown method '{}'; use one of: {}", method, fmt::join(method_names(), ", ")));
  return found->make();
}

std::vector<std::string_view> method_names() {
  std::vector<std::string_view> names;
  for (const Method& method : kMethods) names.push_back(method.name);
  return names;
}

}  // namespace expunge
