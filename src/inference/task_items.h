// Questions with answers, from JSONL files as users export benchmarks from the Hub.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "inference/options.h"

namespace expunge {

/// A question ready to be put. The prompt is `description`, then each example and the question itself with an empty line
/// between them; an example is its text, a space and its target.
struct TaskItem {
  std::string task;         ///< mmlu or mmlu_<subject>, arc, hellaswag, gsm8k
  std::uint64_t index = 0;  ///< in the file, from 0
  std::string where;        ///< "FILE, line N"
  std::string prompt;

  std::vector<std::string> choices;  ///< continuations of the prompt, each behind a space; empty where the answer is generated
  std::size_t answer = 0;            ///< the right one of the choices
  std::string number;                ///< the right number of a generated answer, as answer_number() gives it
  std::string compared;              ///< the same as gsm8k_compared() gives it
};

struct TaskItems {
  std::vector<TaskItem> items;
  std::string sha256, fewshot_sha256 = {};   ///< of the files; the second is empty without a file of examples
  std::string prompts_sha256 = {};           ///< of every prompt with its choices: another version may put questions otherwise
  std::vector<std::string> not_scored = {};  ///< tasks all of whose items are examples
};

/// Reads the items that are to be scored, with their prompts. Examples are the first items of the same task: of the file of
/// examples, or of the file itself, where they are then not scored. Throws Error(bad_input) that names the line of an object
/// of no known shape, of a wrong value, or a task with too few examples.
TaskItems read_task_items(const TaskConfig& config);

}  // namespace expunge
