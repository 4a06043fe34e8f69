// Fuzzes task files: an accepted item has a prompt and a right answer.
#include "inference/options.h"
#include "inference/task_items.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

void check(const TaskItems& items) {
  require(!items.items.empty(), "there is an item");
  for (const TaskItem& item : items.items) {
    require(!item.task.empty() && !item.prompt.empty(), "an item has a task and a prompt");
    require(item.choices.empty() ? !item.number.empty() : item.answer < item.choices.size(), "an item has a right answer");
  }
}

}  // namespace
}  // namespace expunge::fuzz

/// The first byte says how many examples are asked for, and whether the second half of the input is a file of them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  if (size == 0) return 0;
  const std::vector<std::string> files = parts(text(data + 1, size - 1), 2);
  expunge::TaskConfig config;
  config.tasks = folder().write("tasks.jsonl", files[0]);
  config.num_fewshot = data[0] % 4;
  if (data[0] >= 128) config.fewshot_file = folder().write("examples.jsonl", files[1]);
  accepts(".jsonl", [&] { check(expunge::read_task_items(config)); });
  return 0;
}
