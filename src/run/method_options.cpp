// Makes the options of the unlearning methods from the registry.
#include "run/method_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "cli/values.h"
#include "expunge/error.h"

namespace expunge {
namespace {

/// Parses a value as the option allows; nothing for any other text.
std::optional<double> parse_value(const MethodOption& option, const std::string& text) {
  if (option.values == MethodOption::Values::one_of) {
    const auto found = std::ranges::find(option.choices, text);
    if (found == option.choices.end()) return std::nullopt;
    return static_cast<double>(found - option.choices.begin());
  }
  const std::optional<double> value = parse_real(text);
  if (!value) return std::nullopt;
  const bool whole = std::floor(*value) == *value && *value <= static_cast<double>(kMostWhole);
  const bool holds = option.values == MethodOption::Values::above_zero ? kAboveZero.holds(*value) : kNotNegative.holds(*value);
  return holds && (option.values != MethodOption::Values::whole || whole) ? value : std::nullopt;
}

std::string expected_text(const MethodOption& option) {
  switch (option.values) {
    case MethodOption::Values::above_zero:
      return std::string(kAboveZero.text);
    case MethodOption::Values::at_least_zero:
      return std::string(kNotNegative.text);
    case MethodOption::Values::whole:
      return fmt::format("a whole number from 0 to {}", kMostWhole);
    case MethodOption::Values::one_of:
      return join_choices({option.choices.begin(), option.choices.end()}, ", ", " or ");
  }
  fail(ExitCode::internal, "an option of a method has an unknown kind of value");
}

using Owner = std::pair<const Method*, const MethodOption*>;

/// The methods that have an option of this key.
std::vector<Owner> owners_of(std::string_view key) {
  std::vector<Owner> owners;
  for (const Method& method : methods())
    for (const MethodOption& option : method.options)
      if (option.key == key) owners.emplace_back(&method, &option);
  return owners;
}

/// The help of an option: each meaning with its methods, and the default values, as in "weight of the forget term; without it
/// 1 (npo, wga), 0.1 (satimp)".
std::string help_text(const std::vector<Owner>& owners) {
  std::vector<std::pair<std::string, std::vector<std::string_view>>> meanings, usual;
  const auto add = [](auto& list, const std::string& text, std::string_view name) {
    auto found = std::ranges::find(list, text, [](const auto& entry) { return entry.first; });
    if (found == list.end()) found = list.emplace(list.end(), text, std::vector<std::string_view>());
    found->second.push_back(name);
  };
  for (const auto& [method, option] : owners) {
    add(meanings, std::string(option->help), method->name);
    add(usual, option->text(option->usual), method->name);
  }
  const auto join = [](const auto& list, bool named) {
    std::vector<std::string> texts;
    for (const auto& [text, names] : list) texts.push_back(named ? fmt::format("{} ({})", text, fmt::join(names, ", ")) : text);
    return fmt::format("{}", fmt::join(texts, ", "));
  };
  const bool few = owners.size() < 6 || meanings.size() > 1;
  std::string text = join(meanings, few);
  if (!owners.front().second->written) text += "; without it " + join(usual, usual.size() > 1);
  return text;
}

/// The value's name in the help.
std::string value_name(const MethodOption& option) {
  if (option.values == MethodOption::Values::one_of)
    return join_choices({option.choices.begin(), option.choices.end()}, "|", "|");
  return option.values == MethodOption::Values::whole ? "N" : "X";
}

Option option_of(const std::vector<Owner>& owners, MethodOptions& options) {
  const MethodOption& first = *owners.front().second;
  const std::string key(first.key);
  return {.key = key,
          .value_name = value_name(first),
          .expected = expected_text(first),
          .help = help_text(owners),
          .set =
              [&options, &first, key](const std::vector<std::string>& given) {
                const std::optional<double> value = parse_value(first, given.back());
                if (value) options.given[key] = *value;
                return value.has_value();
              },
          .get = [&options, &first, key]() -> std::vector<std::string> {
            const auto found = options.given.find(key);
            if (found != options.given.end()) return {first.text(found->second)};
            return first.written ? std::vector{first.text(first.usual)} : std::vector<std::string>();
          }};
}

/// All keys that mean something to a method: its own options, and those of the run that it uses.
std::vector<std::string_view> keys_of(const Method& method) {
  std::vector<std::string_view> keys = method.uses;
  if (method.mixes) keys.insert(keys.end(), {"general", "positive-ratio", "retain-repeat"});
  for (const MethodOption& option : method.options) keys.push_back(option.key);
  return keys;
}

}  // namespace

Option method_option(std::string& name) {
  std::vector<std::pair<std::string, std::string>> names;
  std::string help;
  for (const Method& method : methods()) {
    names.emplace_back(method.name, method.name);
    help += fmt::format("{}{}: {}", help.empty() ? "" : "; ", method.name, method.summary);
  }
  Option option = required(choice<std::string>("method", name, std::move(names), std::move(help)));
  option.value_name = "METHOD";
  return option;
}

std::vector<Option> methods_own_options(MethodOptions& options) {
  std::vector<Option> all;
  for (const Method& method : methods())
    for (const MethodOption& option : method.options)
      if (std::ranges::find(all, option.key, &Option::key) == all.end())
        all.push_back(option_of(owners_of(option.key), options));
  return all;
}

void refuse_idle_options(const MethodOptions& options, const OptionTable& given) {
  const Method& chosen = find_method(options.name);
  const std::vector<std::string_view> useful = keys_of(chosen);
  for (const Method& other : methods())
    for (const std::string_view key : keys_of(other)) {
      if (given.source(key) != OptionSource::command_line || std::ranges::find(useful, key) != useful.end()) continue;
      std::vector<std::string> users;
      for (const Method& user : methods())
        if (std::ranges::count(keys_of(user), key) > 0) users.emplace_back(user.name);
      fail(ExitCode::usage, fmt::format("--{} has no effect with --method {}; it is for {}", key, chosen.name,
                                        join_choices(users, ", ", " and ")));
    }
}

}  // namespace expunge
