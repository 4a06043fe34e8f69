// Prints a line "COMMAND OPTION USE" for every option that names files, USE as the program has it; positional ones as "-".
#include <fmt/format.h>

#include "commands/commands.h"

namespace {

const char* name(expunge::FileUse use) {
  using expunge::FileUse;
  switch (use) {
    case FileUse::none:
      break;
    case FileUse::file:
      return "file";
    case FileUse::model:
      return "model";
    case FileUse::run:
      return "run";
    case FileUse::texts:
      return "texts";
    case FileUse::output:
      return "output";
    case FileUse::output_folder:
      return "output_folder";
    case FileUse::log:
      return "log";
  }
  return "none";
}

}  // namespace

int main() {
  using expunge::Option;
  for (const expunge::Command& command : expunge::commands())
    for (const Option& option : command.prepare().options.options()) {
      const bool alone = option.kind == Option::Kind::positional || option.kind == Option::Kind::positional_list;
      if (option.use != expunge::FileUse::none)
        fmt::print("{} {} {}\n", command.name, alone ? "-" : "--" + option.key, name(option.use));
      // Whatever is called a file must say what is done with it.
      for (const char* word : {"FILE", "DIR", "RUN", "PATH"})
        if (option.use == expunge::FileUse::none && option.value_name.find(word) != std::string::npos) {
          fmt::print(stderr, "expunge {} --{}: names a {} and has no use\n", command.name, option.key, word);
          return 1;
        }
    }
}
