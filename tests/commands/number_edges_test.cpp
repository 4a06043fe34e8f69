// Every option that takes a number, as the help pages of all commands list them, at the edges of what a number can be: the
// value is taken, and read back from the resolved options, or refused by name.
#include <gmock/gmock.h>

#include <regex>

#include "cli/values.h"
#include "command_lines.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::vector<std::string> kEdges = {"0",
                                         "-0",
                                         "-0.0",
                                         "1",
                                         "-1",
                                         "+1",
                                         "00",
                                         "1.0",
                                         "1e0",
                                         "1e",
                                         "1e18",
                                         "1e308",
                                         "1e309",
                                         "-1e308",
                                         "1e-308",
                                         "5e-324",
                                         "1e-400",
                                         "0x10",
                                         "1_000",
                                         "1,000",
                                         "nan",
                                         "inf",
                                         "-inf",
                                         "1000000000",
                                         "1000000001",
                                         "2147483647",
                                         "2147483648",
                                         "9223372036854775807",
                                         "9223372036854775808",
                                         "18446744073709551615",
                                         "18446744073709551616",
                                         std::string(4000, '9'),
                                         "0." + std::string(4000, '0') + "1",
                                         "",
                                         " ",
                                         " 1",
                                         "1 ",
                                         "00:00",
                                         "0:00:00",
                                         "-1:00:00",
                                         "999999999:59:59",
                                         "1000000001:00:00",
                                         "999999999-00:00:00",
                                         "9999999999-00:00:00",
                                         "1B",
                                         "0B",
                                         "0.1B",
                                         "1000000000GB",
                                         "1000000001GB",
                                         "1e9GB",
                                         "-1GB",
                                         "999999999TiB",
                                         "one",
                                         "\xff"};

/// Options whose value is shown as a number, a length of time or a size.
std::vector<std::string> numbers(const OptionTable& table) {
  static const std::regex line("^ +--([a-z0-9-]+) (?:N|X|TIME|SIZE)( .*)?$");
  std::vector<std::string> found;
  std::istringstream help(table.help());
  std::smatch match;
  for (std::string text; std::getline(help, text);)
    if (std::regex_match(text, match, line)) found.push_back(match[1]);
  return found;
}

/// Whether the table takes a value; a refusal names the option and what it expects.
bool takes(OptionTable& table, const std::string& key, const std::string& value) {
  try {
    table.parse({"--" + key + "=" + value});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    const std::string message = error.what();
    if (message.starts_with("expunge " + table.command() + " needs ")) return true;  // what is required comes last
    EXPECT_THAT(message, AllOf(StartsWith("--" + key + ": expected "), HasSubstr("found \"")));
    EXPECT_LT(message.size(), 300u);
    return false;
  }
  ADD_FAILURE() << "what is required was not asked for";
  return false;
}

/// The option's line of the resolved options.
std::string resolved_line(const OptionTable& table, const std::string& key) {
  const std::string text = table.text();
  const std::size_t begin = text.find("\n" + key + " = ");
  return begin == std::string::npos ? "" : text.substr(begin + 1, text.find('\n', begin + 1) - begin - 1);
}

/// Tries all edges at an option, each in a struct of values of its own; returns how many were taken.
template <typename Config>
int try_edges(OptionTable (*make)(Config&), const std::string& key) {
  int taken = 0;
  for (const std::string& value : kEdges) {
    SCOPED_TRACE("--" + key + "=" + value.substr(0, 40));
    Config config, again;
    OptionTable table = make(config), second = make(again);
    if (!takes(table, key, value)) continue;
    ++taken;
    const std::string line = resolved_line(table, key);
    if (line.empty()) continue;  // of another spelling, which is not resolved
    const std::string kept = line.substr(key.size() + 3);
    EXPECT_THAT(kept, Not(AnyOf(HasSubstr("nan"), HasSubstr("inf"), StartsWith("-0"))));
    EXPECT_TRUE(takes(second, key, kept)) << kept;
    EXPECT_EQ(resolved_line(second, key), line);
  }
  return taken;
}

/// Tries all number options of a command; every one takes some edge.
template <typename Config>
void try_command(OptionTable (*make)(Config&), std::size_t expected) {
  Config config;
  const std::vector<std::string> options = numbers(make(config));
  EXPECT_GE(options.size(), expected);
  for (const std::string& key : options) EXPECT_GE(try_edges(make, key), 1) << key;
}

TEST(NumberEdges, OfEveryCommand) {
  try_command(unlearn_options, 35);
  try_command(train_options, 25);
  try_command(eval_options, 4);
  try_command(mia_options, 5);
  try_command(generate_options, 7);
  try_command(task_options, 4);
  try_command(report_options, 1);
  try_command(plan_options, 16);
}

TEST(NumberEdges, OfTokenize) { try_command(tokenize_options, 1); }

}  // namespace
}  // namespace expunge
