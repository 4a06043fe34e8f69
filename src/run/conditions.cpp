// Reads, pairs and names the conditions of metrics.
#include "run/conditions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

namespace expunge {
namespace {

enum class Type { text, int64, uint64 };

struct Attribute {
  const char* name;
  Type type = Type::text;
  const char* absent = "";  ///< the value if the attribute is missing
};

constexpr Attribute kDtype{"dtype"}, kDevice{"device"}, kTokens{"tokens_sha256"}, kMaxLength{"max_length", Type::uint64},
    kTokenizer{"tokenizer_sha256"};
constexpr Attribute kEvaluation[] = {kDtype, kDevice, kTokens, kMaxLength, kTokenizer};
constexpr Attribute kMembership[] = {kDtype,     kDevice,     kTokens,         kMaxLength,
                                     kTokenizer, {"members"}, {"non_members"}, {"reference_model_sha256", Type::text, "none"}};
constexpr Attribute kTasks[] = {kDtype,
                                kDevice,
                                {"tasks_sha256"},
                                {"prompts_sha256"},
                                {"num_fewshot", Type::int64},
                                {"fewshot_sha256", Type::text, "none"},
                                kTokenizer};

std::string read(const Hdf5File& file, const Attribute& attribute) {
  if (!file.has_attribute("/", attribute.name)) return attribute.absent;
  if (attribute.type == Type::int64) return std::to_string(file.read_attribute<std::int64_t>("/", attribute.name));
  if (attribute.type == Type::uint64) return std::to_string(file.read_attribute<std::uint64_t>("/", attribute.name));
  return file.read_attribute<std::string>("/", attribute.name);
}

Conditions read(const Hdf5File& file, std::span<const Attribute> attributes) {
  Conditions conditions;
  for (const Attribute& attribute : attributes) conditions.push_back({attribute.name, read(file, attribute)});
  return conditions;
}

}  // namespace

Conditions evaluation_conditions(const Hdf5File& file) { return read(file, kEvaluation); }
Conditions conditions_of(const EvaluationSource& source) {
  return {{kDtype.name, source.dtype},
          {kDevice.name, source.device},
          {kTokens.name, source.tokens_sha256},
          {kMaxLength.name, std::to_string(source.max_length)},
          {kTokenizer.name, source.tokenizer_sha256}};
}
Conditions membership_conditions(const Hdf5File& file) { return read(file, kMembership); }
Conditions task_conditions(const Hdf5File& file) { return read(file, kTasks); }

std::string value_of(const Conditions& conditions, const std::string& name) {
  const auto found = std::ranges::find(conditions, name, &Condition::name);
  return found == conditions.end() ? std::string() : found->value;
}

std::vector<ConditionPair> pair_conditions(const Conditions& before, const Conditions& after) {
  std::vector<ConditionPair> pairs;
  for (const auto& [name, value] : before) pairs.push_back({name, value, value_of(after, name)});
  for (const auto& [name, value] : after)
    if (std::ranges::find(before, name, &Condition::name) == before.end()) pairs.push_back({name, {}, value});
  const auto tokens = std::ranges::find(pairs, std::string(kTokens.name), &ConditionPair::name);
  if (tokens != pairs.end() && tokens->known() && !tokens->differs())
    std::erase_if(pairs, [](const ConditionPair& pair) {
      return !pair.known() && (pair.name == kMaxLength.name || pair.name == kTokenizer.name);
    });
  return pairs;
}

void add_count(std::vector<ConditionPair>& pairs, const std::string& name, std::uint64_t before, std::uint64_t after) {
  if (before > 0 && after > 0 && before != after) pairs.push_back({name, std::to_string(before), std::to_string(after)});
}

std::string differences(const std::vector<ConditionPair>& pairs) {
  std::vector<std::string> texts;
  for (const ConditionPair& pair : pairs)
    if (pair.differs())
      texts.push_back(fmt::format("{} {} and {}", pair.name, shown_condition(pair.before), shown_condition(pair.after)));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string shown_condition(const std::string& value) {
  if (value.empty()) return "unknown";
  constexpr std::size_t kHash = 64, kShown = 12;
  const bool hash = value.size() == kHash && value.find_first_not_of("0123456789abcdef") == std::string::npos;
  return hash ? value.substr(0, kShown) + "..." : value;
}

}  // namespace expunge
