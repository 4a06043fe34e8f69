// The registry of unlearning methods: one row for each file in methods/.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "expunge/error.h"
#include "expunge/objective.h"

namespace expunge {

// The rows of each file in methods/.
std::vector<Method> study_methods();
std::vector<Method> grad_diff_methods();
std::vector<Method> npo_methods();
std::vector<Method> wga_methods();
std::vector<Method> undial_methods();
std::vector<Method> rmu_methods();

const std::vector<Method>& methods() {
  static const std::vector<Method> all = [] {
    std::vector<Method> rows;
    for (const auto& file : {study_methods, grad_diff_methods, npo_methods, wga_methods, undial_methods, rmu_methods})
      for (Method& method : file()) rows.push_back(std::move(method));
    return rows;
  }();
  return all;
}

std::string MethodOption::text(double value) const {
  if (values == Values::one_of) return std::string(choices.at(static_cast<std::size_t>(value)));
  return fmt::format("{}", value);
}

std::string given_text(const MethodOptions& options) {
  std::string text;
  for (const MethodOption& option : find_method(options.name).options)
    if (const auto found = options.given.find(option.key); found != options.given.end())
      text += fmt::format(" --{} {}", option.key, option.text(found->second));
  return text;
}

bool known_method(std::string_view name) { return std::ranges::find(methods(), name, &Method::name) != methods().end(); }

const Method& find_method(std::string_view name) {
  const auto found = std::ranges::find(methods(), name, &Method::name);
  if (found != methods().end()) return *found;
  std::vector<std::string_view> names;
  for (const Method& method : methods()) names.push_back(method.name);
  fail(ExitCode::usage, fmt::format("--method: unknown method '{}'; use one of: {}", name, fmt::join(names, ", ")));
}

const MethodOption& MethodValues::option(std::string_view key) const {
  const auto found = std::ranges::find(method_.options, key, &MethodOption::key);
  check(found != method_.options.end(), "a method reads only the options of its row");
  return *found;
}

double MethodValues::operator[](std::string_view key) const {
  const MethodOption& own = option(key);
  const auto found = given_.find(key);
  return found == given_.end() ? own.usual : found->second;
}

bool MethodValues::is(std::string_view key, std::string_view choice) const {
  return option(key).choices.at(static_cast<std::size_t>((*this)[key])) == choice;
}

std::unique_ptr<Objective> make_objective(const MethodOptions& options, const MethodContext& context) {
  const Method& method = find_method(options.name);
  return method.make(MethodValues(method, options, context));
}

double Objective::evaluate(const Term& term, const SequenceSignals& sequence, const Scope& scope,
                           std::span<double> gradient) const {
  const auto weight = constant_weight(term, static_cast<double>(sequence.model.size()), scope);
  check(weight.has_value(), "an objective gives a term a constant weight or evaluates it itself");
  std::fill(gradient.begin(), gradient.end(), *weight);
  return *weight * std::accumulate(sequence.model.begin(), sequence.model.end(), 0.0);
}

}  // namespace expunge
