// Fuzzes command lines and config files: accepted options, written as a config file, give the same options again.
#include "commands/eval.h"
#include "commands/export.h"
#include "commands/generate.h"
#include "commands/inspect.h"
#include "commands/mia.h"
#include "commands/plan.h"
#include "commands/report.h"
#include "commands/task.h"
#include "commands/tokenize.h"
#include "commands/train.h"
#include "commands/unlearn.h"
#include "commands/verify.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

/// `lines` are arguments; "--config FILE" in them names a file with the text `file`.
template <typename Config>
void check(OptionTable (*options)(Config&), std::vector<std::string> arguments, const std::string& file) {
  for (std::string& argument : arguments)
    if (argument == "--config=FILE") argument = "--config=" + folder().write("a.cfg", file).string();
  accepts("", [&] {
    Config config;
    OptionTable table = options(config);
    table.parse(arguments);
    const std::string resolved = table.text();
    Config again;
    OptionTable second = options(again);
    bool reads_config = false;
    for (const std::string& key : second.keys()) reads_config = reads_config || key == "config";
    if (!reads_config) return;
    second.parse({"--config=" + folder().write("resolved.cfg", resolved).string()});
    require(second.text() == resolved, "a resolved config gives the same options: " + resolved);
  });
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    result.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return result;
}

}  // namespace
}  // namespace expunge::fuzz

/// The first byte chooses the command; then come arguments, one a line, and behind "---" a config file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge;
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  if (size == 0) return 0;
  const std::vector<std::string> both = parts(text(data + 1, size - 1), 2);
  const std::vector<std::string> arguments = lines(both[0]);
  switch (data[0] % 8) {
    case 0:
      check(train_options, arguments, both[1]);
      break;
    case 1:
      check(unlearn_options, arguments, both[1]);
      break;
    case 2:
      check(eval_options, arguments, both[1]);
      break;
    case 3:
      check(mia_options, arguments, both[1]);
      break;
    case 4:
      check(generate_options, arguments, both[1]);
      break;
    case 5:
      check(task_options, arguments, both[1]);
      break;
    case 6:
      check(report_options, arguments, both[1]);
      break;
    default:
      check(tokenize_options, arguments, both[1]);
  }
  return 0;
}
