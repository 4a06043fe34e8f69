// The options of a command as one table: parsing, config files, help pages and the resolved config all come from it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace expunge {

/// What a command does with the files that an option names. Outputs are held against inputs by it before anything is written.
enum class FileUse {
  none,           ///< the option names no file
  file,           ///< reads this file
  model,          ///< reads a model folder, a checkpoint, or the model of a run folder
  run,            ///< reads a run folder with the results in it
  texts,          ///< reads the folders of texts in this one
  output,         ///< writes this file
  output_folder,  ///< makes this folder
  log             ///< appends to this file
};

/// What an option may do when a run is resumed.
enum class OnResume {
  same,    ///< it decides the result: the value stays
  hashed,  ///< it names an input that is compared by its hash: the file may be named in another way, or lie elsewhere
  free     ///< it says where, how often or how fast, but not what is computed
};

/// One option, with everything that is known of it. `set` and `get` speak the text that users type.
struct Option {
  enum class Kind {
    value,           ///< --key VALUE
    list,            ///< --key VALUE, any number of times
    toggle,          ///< --key, --key true or --key=false
    positional,      ///< VALUE alone
    positional_list  ///< VALUE alone, any number of times
  };
  std::string key;         ///< "learning-rate"
  std::string value_name;  ///< what help shows for the value: "FILE"
  std::string expected;    ///< "a number above 0", for the message that refuses another value
  std::string help;
  std::function<bool(const std::vector<std::string>&)> set;  ///< false, and nothing set, for an unexpected value
  std::function<std::vector<std::string>()> get;             ///< the value now, hence the default at first; empty when unset
  Kind kind = Kind::value;
  bool required = false;
  bool resolved = true;  ///< stands in the resolved config; acts (such as overwriting) and other spellings do not
  FileUse use = FileUse::none;
  OnResume on_resume = OnResume::same;
  /// What is written beside an output of this path.
  std::function<std::vector<std::filesystem::path>(const std::filesystem::path&)> beside = {};
};

/// Where a value came from; a later source wins.
enum class Source { none, config_file, command_line };

/// Which commands take a key, to tell users who gave it to another one.
using KeyOwners = std::map<std::string, std::vector<std::string>, std::less<>>;

/// The options of one command, bound to the variables that they set.
class OptionTable {
 public:
  explicit OptionTable(std::string command) : command_(std::move(command)) {}

  /// Adds options under a heading of the help page.
  void group(std::string title, std::vector<Option> options);
  /// What to check and complete, over several options, when all are set.
  void then(std::function<void(const OptionTable&)> check) { check_ = std::move(check); }

  /// Takes config files of another command: keys of that command alone are passed over.
  void reads_configs_of(std::string command) { config_owner_ = std::move(command); }

  /// Sets the variables from what follows the command's name, and from --config FILE where the table has that option. The
  /// command line wins. Throws Error(usage) that names the option, its value and what is expected.
  void parse(const std::vector<std::string>& arguments, const KeyOwners& owners = {});
  /// Sets the variables from the config that an earlier start wrote. `passed_over` and keys that the table lacks are passed
  /// over, and none is required. Throws Error(bad_input) that names `origin` and the line, for a value that is not expected.
  void read(const std::string& config, const std::string& origin, std::string_view passed_over = {});
  Source source(std::string_view key) const;
  /// The text that was given last; empty when none was.
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
  /// The same of every option that has a text, as they are given: what follows from the ranks is not known yet.
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
  void apply(const std::vector<Given>& given, Source source);
  void require() const;

  std::string command_, config_owner_;
  std::vector<Group> groups_;
  std::function<void(const OptionTable&)> check_;
  struct Origin {
    Source source;
    std::string value;
  };
  std::map<std::string, Origin, std::less<>> origins_;
};

}  // namespace expunge
