// Converts texts of option values to variables and back.
#include "cli/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>
#include <type_traits>

#include "cli/config_text.h"
#include "core/text.h"
#include "io/files.h"

namespace expunge {
namespace {

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

template <typename T>
struct ValueOf {
  using Type = T;
};
template <typename T>
struct ValueOf<std::optional<T>> {
  using Type = T;
};

/// A scalar option whose text `parse` reads and `holds` accepts. T may be optional; it is then unset by default.
template <typename T, typename Parse, typename Holds>
Option scalar(std::string key, T& variable, std::string value_name, std::string expected, std::string help, Parse parse,
              Holds holds) {
  return {.key = std::move(key),
          .value_name = std::move(value_name),
          .expected = std::move(expected),
          .help = std::move(help),
          .set =
              [&variable, parse, holds](const std::vector<std::string>& given) {
                const auto value = parse(given.back());
                if (!value || !holds(*value)) return false;
                variable = static_cast<typename ValueOf<T>::Type>(*value);
                return true;
              },
          .get = [&variable]() -> std::vector<std::string> {
            if constexpr (std::is_same_v<T, typename ValueOf<T>::Type>)
              return {fmt::format("{}", variable)};
            else
              return variable ? std::vector{fmt::format("{}", *variable)} : std::vector<std::string>();
          }};
}

template <typename T>
Option whole_number(std::string key, T& variable, WholeRange range, std::string help) {
  return scalar(std::move(key), variable, "N", fmt::format("a whole number from {} to {}", range.least, range.most),
                std::move(help), parse_whole,
                [range](std::int64_t value) { return value >= range.least && value <= range.most; });
}

/// Seconds of "[D-]HH:MM:SS".
std::optional<double> parse_clock(std::string_view text) {
  std::int64_t days = 0;
  if (const auto dash = text.find('-'); dash != std::string_view::npos) {
    const auto count = parse_whole(text.substr(0, dash));
    if (!count || *count < 0 || *count > kMostWhole) return std::nullopt;
    days = *count;
    text.remove_prefix(dash + 1);
  }
  std::int64_t seconds = 0;
  for (int part = 0; part < 3; ++part) {
    const auto colon = text.find(':');
    const auto value = parse_whole(text.substr(0, colon));
    if ((colon == std::string_view::npos) != (part == 2) || !value || *value < 0 || *value > (part == 0 ? kMostWhole : 59))
      return std::nullopt;
    seconds = 60 * seconds + *value;
    text.remove_prefix(colon == std::string_view::npos ? text.size() : colon + 1);
  }
  return static_cast<double>(86400 * days + seconds);
}

Option boolean(std::string key, bool& variable, std::string_view yes, std::string_view no, std::string help) {
  Option option = scalar(std::move(key), variable, fmt::format("{}|{}", yes, no), fmt::format("{} or {}", yes, no),
                         std::move(help), parse_bool, [](bool) { return true; });
  option.get = [&variable, yes, no]() -> std::vector<std::string> { return {std::string(variable ? yes : no)}; };
  option.kind = Option::Kind::toggle;
  return option;
}

bool usable(const std::string& value) { return !value.empty() && fits_config_text(value); }
constexpr std::string_view kUsable = "that is not empty and has no line break, no ' #' and no blank at either end";

}  // namespace

std::optional<double> parse_real(std::string_view text) {
  const auto value = parse_number<double>(text);
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return *value + 0.0;
}

std::optional<double> parse_duration(std::string_view text) {
  return text.find(':') == std::string_view::npos ? parse_real(text) : parse_clock(text);
}

std::optional<bool> parse_bool(std::string_view text) {
  const std::string lower = in_small_letters(std::string(text));
  if (lower == "true" || lower == "on" || lower == "yes" || lower == "1") return true;
  if (lower == "false" || lower == "off" || lower == "no" || lower == "0") return false;
  return std::nullopt;
}

std::optional<double> parse_memory_size(std::string_view text) {
  constexpr double kMostBareGigabytes = 65536;
  constexpr std::pair<std::string_view, double> kUnits[] = {{"B", 1},
                                                            {"K", 1e3},
                                                            {"KB", 1e3},
                                                            {"M", 1e6},
                                                            {"MB", 1e6},
                                                            {"G", 1e9},
                                                            {"GB", 1e9},
                                                            {"T", 1e12},
                                                            {"TB", 1e12},
                                                            {"KiB", 1024.0},
                                                            {"MiB", 1024.0 * 1024},
                                                            {"GiB", 1024.0 * 1024 * 1024},
                                                            {"TiB", 1024.0 * 1024 * 1024 * 1024},
                                                            {"", 1e9}};
  const auto letters = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto number = parse_real(text.substr(0, letters));
  // A bare number above any machine's gigabytes was probably meant as megabytes.
  if (letters == text.size() && number.value_or(0) > kMostBareGigabytes) return std::nullopt;
  for (const auto& [unit, bytes] : kUnits)
    if (number && unit == text.substr(letters) && *number * bytes >= 1 && *number * bytes <= 1e18) return *number * bytes;
  return std::nullopt;
}

Option real(std::string key, double& variable, Range range, std::string help) {
  return scalar(std::move(key), variable, "X", std::string(range.text), std::move(help), parse_real, range.holds);
}

Option whole(std::string key, std::int64_t& variable, WholeRange range, std::string help) {
  return whole_number(std::move(key), variable, range, std::move(help));
}

Option whole(std::string key, int& variable, WholeRange range, std::string help) {
  return whole_number(std::move(key), variable, range, std::move(help));
}

Option real(std::string key, std::optional<double>& variable, Range range, std::string help) {
  return scalar(std::move(key), variable, "X", std::string(range.text), std::move(help), parse_real, range.holds);
}

Option whole(std::string key, std::optional<int>& variable, WholeRange range, std::string help) {
  return whole_number(std::move(key), variable, range, std::move(help));
}

Option duration(std::string key, double& seconds, Range range, std::string help) {
  return scalar(std::move(key), seconds, "TIME", fmt::format("{} of seconds, HH:MM:SS or D-HH:MM:SS", range.text),
                std::move(help), parse_duration, range.holds);
}

Option memory_size(std::string key, double& bytes, std::string help) {
  return {.key = std::move(key),
          .value_name = "SIZE",
          .expected = "a size such as 80GB or 512MiB, or a number of GB up to 65536",
          .help = std::move(help),
          .set =
              [&bytes](const std::vector<std::string>& given) {
                const auto size = parse_memory_size(given.back());
                if (size) bytes = *size;
                return size.has_value();
              },
          .get = [&bytes] { return bytes == 0 ? std::vector<std::string>() : std::vector{fmt::format("{:.0f}B", bytes)}; }};
}

Option seed(std::string key, std::uint64_t& variable, std::string help) {
  return scalar(std::move(key), variable, "N", "a whole number from 0 to 2^64 - 1", std::move(help),
                parse_number<std::uint64_t>, [](std::uint64_t) { return true; });
}

Option text(std::string key, std::string value_name, std::string& variable, std::string help) {
  return {.key = std::move(key),
          .value_name = std::move(value_name),
          .expected = fmt::format("a name {}", kUsable),
          .help = std::move(help),
          .set =
              [&variable](const std::vector<std::string>& given) {
                if (!usable(given.back())) return false;
                variable = given.back();
                return true;
              },
          .get = [&variable] { return variable.empty() ? std::vector<std::string>() : std::vector{variable}; }};
}

Option path(std::string key, std::string value_name, FileUse use, std::filesystem::path& variable, std::string help) {
  return {.key = std::move(key),
          .value_name = std::move(value_name),
          .expected = fmt::format("a path {}", kUsable),
          .help = std::move(help),
          .set =
              [&variable](const std::vector<std::string>& given) {
                if (!usable(given.back())) return false;
                variable = given.back();
                return true;
              },
          .get = [&variable]() -> std::vector<std::string> {
            if (variable.empty()) return {};
            return {whole_path(variable).string()};
          },
          .use = use};
}

Option list(std::string key, std::string value_name, std::vector<std::string>& variable, std::string help) {
  return {.key = std::move(key),
          .value_name = std::move(value_name),
          .expected = fmt::format("names, each one {}", kUsable),
          .help = std::move(help),
          .set =
              [&variable](const std::vector<std::string>& given) {
                if (!std::all_of(given.begin(), given.end(), usable)) return false;
                variable = given;
                return true;
              },
          .get = [&variable] { return variable; },
          .kind = Option::Kind::list};
}

Option flag(std::string key, bool& variable, std::string help) {
  return boolean(std::move(key), variable, "true", "false", std::move(help));
}

Option on_off(std::string key, bool& variable, std::string help) {
  return boolean(std::move(key), variable, "on", "off", std::move(help));
}

Option unbound_flag(std::string key, std::string help) {
  return {.key = std::move(key),
          .value_name = "true|false",
          .expected = "true or false",
          .help = std::move(help),
          .set = [](const std::vector<std::string>& given) { return parse_bool(given.back()).has_value(); },
          .get = [] { return std::vector<std::string>(); },
          .kind = Option::Kind::toggle,
          .resolved = false};
}

Option config_option() {
  return {.key = "config",
          .value_name = "FILE",
          .expected = "a file name",
          .help = "read options from a file of `key = value` lines; the command line wins",
          .set = [](const std::vector<std::string>&) { return true; },
          .get = [] { return std::vector<std::string>(); },
          .resolved = false,
          .use = FileUse::file};
}

Option print_config_option() {
  return unbound_flag(
      "print-config",
      "print the options as `key = value` lines, as --config and the command line give them, and do nothing else");
}

std::string join_choices(const std::vector<std::string>& names, std::string_view separator, std::string_view last) {
  std::string joined;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) joined += i + 1 == names.size() ? last : separator;
    joined += names[i];
  }
  return joined;
}

}  // namespace expunge
