// task.h5: rates of tasks and the model's answer to each item.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/choices.h"
#include "io/files.h"
#include "io/hdf5.h"

namespace expunge {

/// The answers to one task; one value per item, in the order of the file.
struct TaskResult {
  std::string task;
  std::vector<std::uint64_t> item;  ///< place in the file, from 0

  // For multiple choice, else empty:
  std::vector<std::uint64_t> answer, predicted, predicted_normalised;  ///< numbers of choices
  std::vector<double> log_likelihoods;  ///< of all choices, nats; those of item i are offsets[i] .. offsets[i + 1]
  std::vector<std::uint64_t> offsets;
  std::vector<std::uint8_t> hit, hit_normalised;

  // For generated answers, else empty:
  std::vector<std::uint8_t> match, match_strict, match_flexible;  ///< the latter two filtered as in the evaluation harness

  bool multiple_choice() const { return match.empty(); }
};

/// Root attributes of the file, with those of every output.
struct TaskSource {
  std::string model, model_sha256, tasks, tasks_sha256, prompts_sha256, fewshot_file, fewshot_sha256, tokenizer_sha256, dtype,
      device;
  std::int64_t num_fewshot;
  std::string options = {}, libraries = {};
  std::string eos_token_ids = {}, stop_strings = {};  ///< JSON lists: ends of generated answers; left out if empty
};

/// Writes a group for each task with attributes items, and accuracy, standard_error, accuracy_normalised,
/// standard_error_normalised (multiple choice) or exact_match, standard_error and both with _strict and _flexible; datasets
/// item and answer, predicted, predicted_normalised, log_likelihoods, offsets, or match, match_strict, match_flexible.
/// Replaces the file by one rename. Throws Error(output).
void write_tasks(const std::filesystem::path& path, Existing existing, const TaskSource& source,
                 const std::vector<TaskResult>& results);

/// One rate of a task, and its standard error.
struct StoredRate {
  std::string_view label;  ///< "accuracy, normalised"
  double share, error;
};

struct StoredTask {
  std::string name;
  std::uint64_t items;
  std::vector<StoredRate> rates;  ///< the rates in the file, for multiple choice or generated answers
};

struct StoredTasks {
  std::string model, model_sha256, tasks;
  std::int64_t num_fewshot;
  std::vector<StoredTask> results;  ///< at least one
};

/// True for a file of `expunge task`.
bool is_tasks(const Hdf5File& file);
/// Reads such a file. Throws Error(bad_input), also if it holds no task.
StoredTasks read_tasks(const Hdf5File& file);

}  // namespace expunge
