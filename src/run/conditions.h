// The conditions of metrics: how they were computed. Metrics of unequal conditions are shown together but not compared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/hdf5.h"
#include "run/results/eval.h"

namespace expunge {

/// What metrics depend on besides the model, by the name of its attribute: {"dtype", "float32"}. The value is empty if an
/// earlier version did not record it.
struct Condition {
  std::string name, value;
};
using Conditions = std::vector<Condition>;

/// Of a file of `expunge eval`: dtype, device, tokens_sha256, max_length, tokenizer_sha256.
Conditions evaluation_conditions(const Hdf5File& file);
/// The same for metrics that are not written yet.
Conditions conditions_of(const EvaluationSource& source);
/// Of a file of `expunge mia`: the same, and members, non_members (names of splits), reference_model_sha256.
Conditions membership_conditions(const Hdf5File& file);
/// Of a file of `expunge task`: dtype, device, tasks_sha256, prompts_sha256, num_fewshot, fewshot_sha256, tokenizer_sha256.
Conditions task_conditions(const Hdf5File& file);

/// The value of a condition; empty if it is unknown.
std::string value_of(const Conditions& conditions, const std::string& name);

/// One condition of two files of results.
struct ConditionPair {
  std::string name, before, after;
  bool known() const { return !before.empty() && !after.empty(); }
  bool differs() const { return known() && before != after; }
};

/// The conditions of two files, in one order. For equal tokens it leaves out unknown conditions that the tokens imply.
std::vector<ConditionPair> pair_conditions(const Conditions& before, const Conditions& after);

/// Adds a pair such as {"sequences of papers/forget", "2", "12"} if the numbers of samples differ. 0 means an unknown number.
void add_count(std::vector<ConditionPair>& pairs, const std::string& name, std::uint64_t before, std::uint64_t after);

/// The differences, as in "dtype float32 and bfloat16, device cpu and cuda"; empty for none.
std::string differences(const std::vector<ConditionPair>& pairs);

/// A value for readers: the beginning of a hash, "unknown" for an empty value.
std::string shown_condition(const std::string& value);

}  // namespace expunge
