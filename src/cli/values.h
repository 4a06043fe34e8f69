// Kinds of options: conversion between the text of a value and a variable.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/option_table.h"

namespace expunge {

/// Permitted numbers of an option.
struct Range {
  std::string_view text;  ///< "a number above 0"
  bool (*holds)(double);
};
inline constexpr Range kAboveZero{"a number above 0", [](double x) { return x > 0; }};
inline constexpr Range kNotNegative{"a number of at least 0", [](double x) { return x >= 0; }};
inline constexpr Range kFraction{"a number from 0 to 1", [](double x) { return x >= 0 && x <= 1; }};
inline constexpr Range kBelowOne{"a number from 0 to below 1", [](double x) { return x >= 0 && x < 1; }};
inline constexpr Range kSimilarity{"0 or a number from 0.5 to 1", [](double x) { return x == 0 || (x >= 0.5 && x <= 1); }};
/// Times; the limit of 31 years is in practice no limit.
inline constexpr Range kTime{"a number from 0 to 1e9", [](double x) { return x >= 0 && x <= 1e9; }};
inline constexpr Range kTimeout{"a number from 0.1 to 1e9", [](double x) { return x >= 0.1 && x <= 1e9; }};
/// Machine speeds; the range keeps sums and ratios of costs finite.
inline constexpr Range kRate{"a number from 1e-6 to 1e9", [](double x) { return x >= 1e-6 && x <= 1e9; }};
/// Temperatures; the range keeps logits finite in float32.
inline constexpr Range kTemperature{"0 or a number from 1e-6 to 1e6",
                                    [](double x) { return x == 0 || (x >= 1e-6 && x <= 1e6); }};
inline constexpr Range kCount{"a number from 0 to 1e18", [](double x) { return x >= 0 && x <= 1e18; }};

/// Largest whole number of an option, so that a product of two fits 64 bits.
inline constexpr std::int64_t kMostWhole = 1'000'000'000;

/// Permitted whole numbers of an option.
struct WholeRange {
  constexpr WholeRange(std::int64_t from, std::int64_t to = kMostWhole) : least(from), most(to) {}
  std::int64_t least, most;
};

/// A finite number; the whole text must be one. Turns -0 into 0.
std::optional<double> parse_real(std::string_view text);
/// Seconds of "90", "0:01:30" or "1-00:00:00".
std::optional<double> parse_duration(std::string_view text);
/// true, false, on, off, yes, no, 1 or 0, in upper or lower case.
std::optional<bool> parse_bool(std::string_view text);

/// Bytes of "80GB", "1.5GiB" or "80" (in GB); at least one byte.
std::optional<double> parse_memory_size(std::string_view text);

// Each option is bound to the variable that it sets. The variable's value when the table is made is the default.
Option real(std::string key, double& variable, Range range, std::string help);
Option whole(std::string key, std::int64_t& variable, WholeRange range, std::string help);
Option whole(std::string key, int& variable, WholeRange range, std::string help);
/// Unset and absent from the resolved config, unless given.
Option real(std::string key, std::optional<double>& variable, Range range, std::string help);
Option whole(std::string key, std::optional<int>& variable, WholeRange range, std::string help);
/// A time in seconds, given as seconds, HH:MM:SS or D-HH:MM:SS.
Option duration(std::string key, double& seconds, Range range, std::string help);
/// Bytes: "80GB", "512MiB"; a bare number is in GB. Zero and absent from the resolved config, unless given.
Option memory_size(std::string key, double& bytes, std::string help);
Option seed(std::string key, std::uint64_t& variable, std::string help);
Option text(std::string key, std::string value_name, std::string& variable, std::string help);
/// The resolved config contains the absolute path.
Option path(std::string key, std::string value_name, FileUse use, std::filesystem::path& variable, std::string help);
Option list(std::string key, std::string value_name, std::vector<std::string>& variable, std::string help);
/// --key, --key true|false
Option flag(std::string key, bool& variable, std::string help);
/// --key on|off
Option on_off(std::string key, bool& variable, std::string help);

/// --key, --key true|false, without a variable: whoever asks reads OptionTable::value(). Left out of the resolved config.
Option unbound_flag(std::string key, std::string help);

/// --config FILE, which the table itself reads.
Option config_option();
/// --print-config, which is answered in the place of the command.
Option print_config_option();

/// "cosine|linear|constant" or "cosine, linear or constant".
std::string join_choices(const std::vector<std::string>& names, std::string_view separator, std::string_view last);

/// One of several names, each with its value.
template <typename T>
Option choice(std::string key, T& variable, std::vector<std::pair<std::string, T>> choices, std::string help) {
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) names.push_back(name);
  Option option{.key = std::move(key),
                .value_name = join_choices(names, "|", "|"),
                .expected = join_choices(names, ", ", " or "),
                .help = std::move(help),
                .set = nullptr,
                .get = nullptr};
  option.set = [&variable, choices](const std::vector<std::string>& given) {
    for (const auto& [name, value] : choices)
      if (name == given.back()) {
        variable = value;
        return true;
      }
    return false;
  };
  option.get = [&variable, choices = std::move(choices)]() -> std::vector<std::string> {
    for (const auto& [name, value] : choices)
      if (value == variable) return {name};
    return {};
  };
  return option;
}

/// Makes an option of another kind name files.
inline Option naming(FileUse use, Option option) {
  option.use = use;
  return option;
}
inline Option required(Option option) {
  option.required = true;
  return option;
}
inline Option free_on_resume(Option option) {
  option.on_resume = OnResume::free;
  return option;
}
inline Option hashed_on_resume(Option option) {
  option.on_resume = OnResume::hashed;
  return option;
}
/// Excludes an option from the resolved config.
inline Option unresolved(Option option) {
  option.resolved = false;
  return option;
}

}  // namespace expunge
