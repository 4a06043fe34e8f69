// The options of a command in one table, the basis of parsing, config files, help pages and the resolved config.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace expunge {

/// How a command uses the files of an option. Before anything is written, outputs are checked against inputs.
enum class FileUse {
  none,           ///< the option names no file
  file,           ///< reads this file
  model,          ///< reads a model folder, a checkpoint, or the model of a run folder
  run,            ///< reads a run folder with the results in it
  texts,          ///< reads the text folders in this folder
  output,         ///< writes this file
  output_folder,  ///< creates this folder
  log             ///< appends to this file
};

/// What an option may do when a run is resumed.
enum class OnResume {
  same,    ///< affects the result, so its value must stay
  hashed,  ///< names an input that is compared by its hash, because a file may have another name or place
  free     ///< only says where, how often or how fast
};

/// One option with all its properties. `set` and `get` use the text that users type.
struct Option {
  enum class Kind {
    value,           ///< --key VALUE
    list,            ///< --key VALUE, any number of times
    toggle,          ///< --key, --key true or --key=false
    positional,      ///< VALUE alone
    positional_list  ///< VALUE alone, any number of times
  };
  std::string key;         ///< "learning-rate"
  std::string value_name;  ///< placeholder of the value in help: "FILE"
  std::string expected;    ///< "a number above 0", for the message about another value
  std::string help;
  std::function<bool(const std::vector<std::string>&)> set;  ///< returns false and sets nothing for an unexpected value
  std::function<std::vector<std::string>()> get;             ///< current value, so the default at first; empty if unset
  Kind kind = Kind::value;
  bool required = false;
  bool resolved = true;  ///< appears in the resolved config; actions (such as overwriting) and aliases do not
  FileUse use = FileUse::none;
  OnResume on_resume = OnResume::same;
  /// Files written beside an output of this path.
  std::function<std::vector<std::filesystem::path>(const std::filesystem::path&)> beside = {};
};

/// Origin of a value; a later one in this list wins.
enum class OptionSource { none, config_file, command_line };

/// The commands of each key, to help users who gave it to another command.
using KeyOwners = std::map<std::string, std::vector<std::string>, std::less<>>;

/// The options of one command, bound to the variables that they set.
class OptionTable {
 public:
  explicit OptionTable(std::string command) : command_(std::move(command)) {}

  /// Adds options under a heading of the help page.
  void group(std::string title, std::vector<Option> options);
  /// Sets a check of several options, which may also complete them, to run when all are set.
  void then(std::function<void(const OptionTable&)> check) { check_ = std::move(check); }

  /// Accepts config files of another command: keys of only that command are skipped.
  void reads_configs_of(std::string command) { config_owner_ = std::move(command); }

  /// Sets the variables from the arguments after the command's name, and from --config FILE if the table has that option. The
  /// command line wins. Throws Error(usage) naming the option, its value and the expected value.
  void parse(const std::vector<std::string>& arguments, const KeyOwners& owners = {});
  /// Sets the variables from the config that an earlier start wrote. Skips `passed_over` and keys that the table lacks; none is
  /// required. Throws Error(bad_input) naming `origin` and the line of an unexpected value.
  void read(const std::string& config, const std::string& origin, std::string_view passed_over = {});
  OptionSource source(std::string_view key) const;
  /// The last given text; empty if there is none.
  std::string value(std::string_view key) const;

  const std::string& command() const { return command_; }
  std::vector<std::string> keys() const;
  std::vector<Option> options() const;
  /// "expunge eval --model DIR ... [options]"
  std::string synopsis() const;
  /// The options by group, with defaults.
  std::string help() const;
  /// `key = value` lines of every resolved option, readable by --config.
  std::string text() const;
  /// The same for every option with a text, as given: values that depend on the ranks are not resolved yet.
  std::string given_text() const;

 private:
  struct Group {
    std::string title;
    std::vector<Option> options;
    std::vector<std::string> defaults;  // as text
  };
  struct Given;

  const Option* find(std::string_view key) const;
  std::vector<Given> read_command_line(const std::vector<std::string>& arguments, const KeyOwners& owners) const;
  std::vector<Given> read_config_file(const std::string& path, const KeyOwners& owners) const;
  std::string refuse_unknown(const std::string& key, const std::string& shown, const KeyOwners& owners) const;
  std::string lines(const std::string& title, bool (*shown)(const Option&)) const;
  void apply(const std::vector<Given>& given, OptionSource source);
  void require() const;

  std::string command_, config_owner_;
  std::vector<Group> groups_;
  std::function<void(const OptionTable&)> check_;
  struct Origin {
    OptionSource source;
    std::string value;
  };
  std::map<std::string, Origin, std::less<>> origins_;
};

}  // namespace expunge
