// Command line, config files, help and resolved config of a table of options.
#include "cli/option_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdint>
#include <filesystem>
#include <set>
#include <sstream>
#include <system_error>

#include "cli/config_text.h"
#include "cli/foreign.h"
#include "cli/suggest.h"
#include "cli/values.h"
#include "core/text.h"
#include "expunge/error.h"
#include "io/content_kind.h"

namespace expunge {
namespace {

namespace po = boost::program_options;

constexpr unsigned kHelpWidth = 110;
constexpr unsigned kDescriptionWidth = 64;
constexpr std::size_t kMostArguments = 10'000;                  // the parsing library takes quadratic time
constexpr std::uint64_t kConfigLimit = std::uint64_t{1} << 20;  // bytes of a config file

[[noreturn]] void refuse(const std::string& message) { fail(ExitCode::usage, message); }

std::string with_dashes(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

bool stands_alone(const Option& option) {
  return option.kind == Option::Kind::positional || option.kind == Option::Kind::positional_list;
}

bool repeats(const Option& option) { return option.kind == Option::Kind::list || option.kind == Option::Kind::positional_list; }

bool is_option(std::string_view token) { return token.size() > 2 && token.starts_with("--"); }

/// Prepares arguments for the parsing library: dashes in keys, and an explicit value for every toggle.
std::vector<std::string> normalise(const std::vector<std::string>& arguments, const std::set<std::string>& toggles) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!is_option(argument)) {
      tokens.push_back(argument);
      continue;
    }
    const auto equals = std::min(argument.find('='), argument.size());
    std::string token = with_dashes(argument.substr(0, equals)) + argument.substr(equals);
    if (toggles.contains(token.substr(2))) {
      const bool value_follows = i + 1 < arguments.size() && parse_bool(arguments[i + 1]);
      token += value_follows ? "=" + arguments[++i] : "=true";
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace

/// One given value.
struct OptionTable::Given {
  const Option* option;
  std::string value;
  std::string shown;  ///< the option's name in messages: "--seed", "run.cfg:3: seed"
};

void OptionTable::group(std::string title, std::vector<Option> options) {
  Group added{std::move(title), std::move(options), {}};
  for (const Option& option : added.options) added.defaults.push_back(fmt::format("{}", fmt::join(option.get(), " ")));
  groups_.push_back(std::move(added));
}

const Option* OptionTable::find(std::string_view key) const {
  for (const Group& group : groups_)
    for (const Option& option : group.options)
      if (option.key == key) return &option;
  return nullptr;
}

std::vector<Option> OptionTable::options() const {
  std::vector<Option> all;
  for (const Group& group : groups_) all.insert(all.end(), group.options.begin(), group.options.end());
  return all;
}

std::vector<std::string> OptionTable::keys() const {
  std::vector<std::string> keys;
  for (const Group& group : groups_)
    for (const Option& option : group.options) keys.push_back(option.key);
  return keys;
}

OptionSource OptionTable::source(std::string_view key) const {
  const auto found = origins_.find(key);
  return found == origins_.end() ? OptionSource::none : found->second.source;
}

std::string OptionTable::value(std::string_view key) const {
  const auto found = origins_.find(key);
  return found == origins_.end() ? "" : found->second.value;
}

std::string OptionTable::refuse_unknown(const std::string& key, const std::string& shown, const KeyOwners& owners) const {
  if (const auto advice = advice_for_foreign(key))
    return fmt::format("{} is not an option of expunge {}: {}", shown, command_, *advice);
  if (const auto owner = owners.find(key); owner != owners.end())
    return fmt::format("{} is an option of expunge {}, not of expunge {}", shown, join_choices(owner->second, ", ", " and "),
                       command_);
  const auto near = nearest(key, keys());
  return fmt::format("unknown option {}{}", shown, near ? fmt::format("; did you mean --{}?", *near) : "");
}

std::vector<OptionTable::Given> OptionTable::read_command_line(const std::vector<std::string>& arguments,
                                                               const KeyOwners& owners) const {
  if (arguments.size() > kMostArguments)
    refuse(fmt::format("the command line has {} arguments, expected at most {}; write lists into a --config file",
                       arguments.size(), kMostArguments));
  po::options_description known;
  std::set<std::string> toggles;
  const Option* positional = nullptr;
  for (const Group& group : groups_)
    for (const Option& option : group.options) {
      if (stands_alone(option)) {
        positional = &option;
        continue;
      }
      known.add_options()(option.key.c_str(), po::value<std::string>());
      if (option.kind == Option::Kind::toggle) toggles.insert(option.key);
    }

  for (const std::string& argument : arguments)
    if (is_option(argument) && argument.find('=') == argument.size() - 1)
      if (const Option* const option = find(with_dashes(argument.substr(2, argument.size() - 3))))
        refuse(fmt::format("--{}: expected {}, found \"\"", option->key, option->expected));

  po::parsed_options parsed(nullptr);
  try {
    namespace style = po::command_line_style;
    parsed = po::command_line_parser(normalise(arguments, toggles))
                 .options(known)
                 .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
                 .allow_unregistered()
                 .run();
  } catch (const po::error& error) {
    refuse(error.what());
  }

  std::vector<Given> given;
  std::string unknown, stray;
  for (const po::option& part : parsed.options) {
    const std::string shown = "--" + part.string_key;
    if (part.position_key >= 0) {
      if (positional)
        given.push_back({positional, part.value.front(), positional->value_name});
      else if (stray.empty())
        stray = part.value.front();
    } else if (part.unregistered) {
      unknown += (unknown.empty() ? "" : "\n  ") + refuse_unknown(part.string_key, shown, owners);
    } else {
      const Option* const option = find(part.string_key);
      const bool value_is_next_token = part.original_tokens.size() == 2;
      if (value_is_next_token && is_option(part.value.front()))
        refuse(fmt::format("{} needs a value: {} {}", shown, shown, option->value_name));
      given.push_back({option, part.value.front(), shown});
    }
  }
  if (!unknown.empty()) refuse(unknown);
  if (!stray.empty())
    refuse(fmt::format("unexpected argument \"{}\": options are given as --key value, and repeated for several values", stray));
  return given;
}

std::vector<OptionTable::Given> OptionTable::read_config_file(const std::string& path, const KeyOwners& owners) const {
  const std::string text = [&] {
    try {
      return read_text_file(path, kConfigLimit);
    } catch (const Error& error) {
      refuse(fmt::format("--config: {}", error.what()));
    }
  }();
  std::vector<Given> given;
  for (const ConfigEntry& entry : read_config_text(text, path)) {
    const std::string place = fmt::format("{}:{}: ", path, entry.line);
    if (entry.key == "config") refuse(fmt::format("{}config: a config file cannot name another", place));
    if (entry.key == "print-config") refuse(fmt::format("{}print-config: give it on the command line", place));
    const Option* const option = find(entry.key);
    if (const auto owner = owners.find(entry.key);
        !option && owner != owners.end() && std::ranges::find(owner->second, config_owner_) != owner->second.end())
      continue;
    if (!option) refuse(place + refuse_unknown(entry.key, "--" + excerpt(entry.key), owners));
    if (!entry.value.empty()) given.push_back({option, entry.value, place + entry.key});
  }
  return given;
}

void OptionTable::apply(const std::vector<Given>& given, OptionSource source) {
  std::map<const Option*, std::vector<std::string>> values;
  for (const auto& [option, value, shown] : given) {
    values[option].push_back(value);
    if (!repeats(*option) && values[option].size() > 1)
      refuse(fmt::format("{}: given twice (\"{}\" and \"{}\")", shown, excerpt(values[option].front()), excerpt(value)));
    origins_[option->key] = {source, value};
    if (!option->set({value})) refuse(fmt::format("{}: expected {}, found \"{}\"", shown, option->expected, excerpt(value)));
  }
  // Set each list only once: setting it for each value would take quadratic time.
  for (const auto& [option, all] : values)
    if (repeats(*option)) option->set(all);
}

void OptionTable::require() const {
  std::vector<std::string> missing;
  for (const Group& group : groups_)
    for (const Option& option : group.options)
      if (option.required && source(option.key) == OptionSource::none)
        missing.push_back(stands_alone(option) ? option.value_name : fmt::format("--{} {}", option.key, option.value_name));
  if (!missing.empty())
    refuse(fmt::format("expunge {} needs {}\nusage: {}", command_, join_choices(missing, ", ", " and "), synopsis()));
}

void OptionTable::parse(const std::vector<std::string>& arguments, const KeyOwners& owners) {
  const std::vector<Given> given = read_command_line(arguments, owners);
  for (const Given& one : given)
    if (one.option->key == "config") apply(read_config_file(one.value, owners), OptionSource::config_file);
  apply(given, OptionSource::command_line);
  require();
  if (check_) check_(*this);
}

void OptionTable::read(const std::string& config, const std::string& origin, std::string_view passed_over) {
  try {
    std::vector<Given> given;
    for (const ConfigEntry& entry : read_config_text(config, origin))
      if (const Option* const option = find(entry.key); option && !entry.value.empty() && entry.key != passed_over)
        given.push_back({option, entry.value, fmt::format("{}:{}: {}", origin, entry.line, entry.key)});
    apply(given, OptionSource::config_file);
  } catch (const Error& error) {
    fail(ExitCode::bad_input, fmt::format("{}; was it edited?", error.what()));  // a file that is read, not what the user typed
  }
}

std::string OptionTable::synopsis() const {
  std::string line = "expunge " + command_;
  bool more = false;
  for (const Group& group : groups_)
    for (const Option& option : group.options) {
      more = more || !option.required;
      if (!option.required) continue;
      line += stands_alone(option) ? " " + option.value_name : fmt::format(" --{} {}", option.key, option.value_name);
      if (repeats(option)) line += " ...";
    }
  return line + (more ? " [options]" : "");
}

std::string OptionTable::help() const {
  std::string positional;
  po::options_description page("", kHelpWidth, kDescriptionWidth);  // one for all groups, so that columns align
  for (const Group& group : groups_) {
    po::options_description described(group.title, kHelpWidth, kDescriptionWidth);
    for (std::size_t i = 0; i < group.options.size(); ++i) {
      const Option& option = group.options[i];
      if (stands_alone(option)) {
        positional += fmt::format("\n{}: {} (in a config file: {} = {})\n", option.value_name, option.help, option.key,
                                  option.value_name);
        continue;
      }
      std::string description = option.help;
      if (option.required) description += " (required)";
      if (option.kind == Option::Kind::list) description += " (may be repeated)";
      if (!group.defaults[i].empty()) description += fmt::format(" [{}]", group.defaults[i]);
      const std::string value =
          option.kind == Option::Kind::toggle ? fmt::format("[{}]", option.value_name) : option.value_name;
      described.add_options()(option.key.c_str(), po::value<std::string>()->value_name(value), description.c_str());
    }
    if (!described.options().empty()) page.add(described);
  }
  std::ostringstream text;
  text << positional << page;
  return text.str();
}

std::string OptionTable::lines(const std::string& title, bool (*shown)(const Option&)) const {
  std::string lines = fmt::format("# Options of `expunge {}`, {}; --config reads them back.\n", command_, title);
  for (const Group& group : groups_) {
    lines += fmt::format("\n# {}\n", group.title);
    for (const Option& option : group.options) {
      if (!shown(option)) continue;
      const std::vector<std::string> values = option.get();
      if (values.empty()) lines += fmt::format("{} =\n", option.key);
      for (const std::string& value : values) {
        if (!fits_config_text(value))
          refuse(
              fmt::format("--{}: \"{}\" cannot be written to a config file because of a line break, ' #' or a blank at an end",
                          option.key, value));
        lines += fmt::format("{} = {}\n", option.key, value);
      }
    }
  }
  return lines;
}

std::string OptionTable::text() const {
  return lines("as resolved", [](const Option& option) { return option.resolved; });
}

std::string OptionTable::given_text() const {
  return lines("as given", [](const Option& option) { return option.resolved || !option.get().empty(); });
}

}  // namespace expunge
