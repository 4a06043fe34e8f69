// Reads and writes task.h5.
#include "run/results/task.h"

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "core/process.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hdf5_seal.h"
#include "run/provenance.h"
#include "run/results/eval.h"

namespace expunge {
namespace {

void write_root(Hdf5File& file, const TaskSource& source) {
  file.write_attribute("/", "model", source.model);
  file.write_attribute("/", "tasks", source.tasks);
  file.write_attribute("/", "tasks_sha256", source.tasks_sha256);
  file.write_attribute("/", "prompts_sha256", source.prompts_sha256);
  file.write_attribute("/", "num_fewshot", source.num_fewshot);
  if (!source.fewshot_sha256.empty()) {
    file.write_attribute("/", "fewshot_file", source.fewshot_file);
    file.write_attribute("/", "fewshot_sha256", source.fewshot_sha256);
  }
  if (!source.eos_token_ids.empty()) {
    file.write_attribute("/", "eos_token_ids", source.eos_token_ids);
    file.write_attribute("/", "stop_strings", source.stop_strings);
  }
  file.write_attribute("/", "tokenizer_sha256", source.tokenizer_sha256);
  file.write_attribute("/", "dtype", source.dtype);
  file.write_attribute("/", "device", source.device);
  write_provenance(file, {source.model_sha256, "", source.options, source.libraries, job_restarts()});
}

/// A rate of a task: the names of its attributes, its label for readers, and the hits that it is computed from.
struct Rate {
  const char *name, *error;
  std::string_view label;
  std::vector<std::uint8_t> TaskResult::*hits;
};
constexpr Rate kOfChoices[] = {
    {"accuracy", "standard_error", "accuracy", &TaskResult::hit},
    {"accuracy_normalised", "standard_error_normalised", "accuracy, normalised", &TaskResult::hit_normalised}};
constexpr Rate kOfAnswers[] = {
    {"exact_match", "standard_error", "exact match", &TaskResult::match},
    {"exact_match_strict", "standard_error_strict", "exact match, strict", &TaskResult::match_strict},
    {"exact_match_flexible", "standard_error_flexible", "exact match, flexible", &TaskResult::match_flexible}};

std::span<const Rate> rates_of(bool multiple_choice) {
  return multiple_choice ? std::span<const Rate>(kOfChoices) : std::span<const Rate>(kOfAnswers);
}

StoredTask read_task(const Hdf5File& file, const std::string& name) {
  const std::string group = "/" + name;
  StoredTask task{name, file.read_attribute<std::uint64_t>(group, "items"), {}};
  for (const Rate& rate : rates_of(!file.has_attribute(group, kOfAnswers[0].name)))
    if (file.has_attribute(group, rate.name) && file.has_attribute(group, rate.error))
      task.rates.push_back(
          {rate.label, file.read_attribute<double>(group, rate.name), file.read_attribute<double>(group, rate.error)});
  return task;
}

}  // namespace

void write_tasks(const std::filesystem::path& path, Existing existing, const TaskSource& source,
                 const std::vector<TaskResult>& results) {
  PendingFile pending(path, existing);
  Hdf5File file = Hdf5File::create(pending.temporary());
  write_root(file, source);
  for (const TaskResult& result : results) {
    const std::string group = "/" + result.task;
    file.create_group(group);
    file.write_attribute(group, "items", static_cast<std::uint64_t>(result.item.size()));
    write_values(file, group + "/item", result.item);
    for (const Rate& rate : rates_of(result.multiple_choice())) {
      const HitRate found = hit_rate(result.*rate.hits);
      file.write_attribute(group, rate.name, found.share);
      file.write_attribute(group, rate.error, found.standard_error);
    }
    if (!result.multiple_choice()) {
      write_values(file, group + "/match", result.match);
      write_values(file, group + "/match_strict", result.match_strict);
      write_values(file, group + "/match_flexible", result.match_flexible);
      continue;
    }
    write_values(file, group + "/answer", result.answer);
    write_values(file, group + "/predicted", result.predicted);
    write_values(file, group + "/predicted_normalised", result.predicted_normalised);
    write_values(file, group + "/log_likelihoods", result.log_likelihoods);
    write_values(file, group + "/offsets", result.offsets);
  }
  commit_sealed(file, pending);
}

bool is_tasks(const Hdf5File& file) { return file.has_attribute("/", "tasks_sha256"); }

StoredTasks read_tasks(const Hdf5File& file) {
  const auto text = [&](const char* name) { return file.read_attribute<std::string>("/", name); };
  StoredTasks stored{
      text("model"), text("model_sha256"), text("tasks"), file.read_attribute<std::int64_t>("/", "num_fewshot"), {}};
  for (const std::string& name : file.children("/")) stored.results.push_back(read_task(file, name));
  if (stored.results.empty())
    fail(ExitCode::bad_input, fmt::format("{}: expected results of `expunge task`, found none", file.path().string()));
  return stored;
}

}  // namespace expunge
