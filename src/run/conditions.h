// How figures were computed. Figures of unequal conditions are shown beside one another and not compared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/hdf5.h"
#include "run/results/eval.h"

namespace expunge {

/// What figures depend on beside the model, by the name of its attribute: {"dtype", "float32"}. The value is empty where the
/// file is of a version that did not record it.
struct Condition {
  std::string name, value;
};
using Conditions = std::vector<Condition>;

/// Of a file of `expunge eval`: dtype, device, tokens_sha256, max_length, tokenizer_sha256.
Conditions evaluation_conditions(const Hdf5File& file);
/// The same of figures that are not written yet.
Conditions conditions_of(const EvaluationSource& source);
/// Of `expunge mia`: the same, and members, non_members (names of splits), reference_model_sha256.
Conditions membership_conditions(const Hdf5File& file);
/// Of `expunge task`: dtype, device, tasks_sha256, prompts_sha256, num_fewshot, fewshot_sha256, tokenizer_sha256.
Conditions task_conditions(const Hdf5File& file);

/// The value of a condition; empty where it is not known.
std::string value_of(const Conditions& conditions, const std::string& name);

/// One condition of two files of figures.
struct ConditionPair {
  std::string name, before, after;
  bool known() const { return !before.empty() && !after.empty(); }
  bool differs() const { return known() && before != after; }
};

/// The conditions of two files, in one order. Of the same tokens it leaves out what follows from them.
std::vector<ConditionPair> pair_conditions(const Conditions& before, const Conditions& after);

/// Adds a pair such as {"sequences of papers/forget", "2", "12"} where the numbers of samples are not the same. Of 0 samples
/// nothing is known.
void add_count(std::vector<ConditionPair>& pairs, const std::string& name, std::uint64_t before, std::uint64_t after);

/// What differs, as in "dtype float32 and bfloat16, device cpu and cuda"; empty where nothing is known to.
std::string differences(const std::vector<ConditionPair>& pairs);

/// A value for readers: hashes cut to their beginning, "unknown" for none.
std::string shown_condition(const std::string& value);

}  // namespace expunge
