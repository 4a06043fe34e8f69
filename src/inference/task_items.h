// Questions with answers, from JSONL files as the Hub exports benchmarks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "inference/options.h"

namespace expunge {

/// A question with its prompt: `description`, then each example and the question itself, with an empty line between them. An
/// example is its text, a space and its target.
struct TaskItem {
  std::string task;         ///< mmlu or mmlu_<subject>, arc, hellaswag, gsm8k
  std::uint64_t index = 0;  ///< place in the file, from 0
  std::string where;        ///< "FILE, line N"
  std::string prompt;

  std::vector<std::string> choices;  ///< continuations of the prompt, each after a space; empty for a generated answer
  std::size_t answer = 0;            ///< index of the right choice
  std::string number;                ///< the right number of a generated answer, in the form of answer_number()
  std::string compared;              ///< the same in the form of gsm8k_compared()
};

struct TaskItems {
  std::vector<TaskItem> items;
  std::string sha256, fewshot_sha256 = {};   ///< of the files; the second is empty without a file of examples
  std::string prompts_sha256 = {};           ///< of every prompt with its choices, which may differ between versions
  std::vector<std::string> not_scored = {};  ///< tasks whose items are all examples
};

/// Reads the items to score, with their prompts. Examples are the first items of the same task in the file of examples. Without
/// that file they are those of the file itself, and are not scored. Throws Error(bad_input), naming the line, for an unknown
/// kind of item, a wrong value, or a task with too few examples.
TaskItems read_task_items(const TaskConfig& config);

}  // namespace expunge
