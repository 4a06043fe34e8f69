// The layout of task.h5.
#include "run/results/task.h"

#include "core/process.h"
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

void write_rate(Hdf5File& file, const std::string& group, const char* name, const char* error,
                const std::vector<std::uint8_t>& hits) {
  const HitRate rate = hit_rate(hits);
  file.write_attribute(group, name, rate.share);
  file.write_attribute(group, error, rate.standard_error);
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
    if (!result.multiple_choice()) {
      write_rate(file, group, "exact_match", "standard_error", result.match);
      write_rate(file, group, "exact_match_strict", "standard_error_strict", result.match_strict);
      write_rate(file, group, "exact_match_flexible", "standard_error_flexible", result.match_flexible);
      write_values(file, group + "/match", result.match);
      write_values(file, group + "/match_strict", result.match_strict);
      write_values(file, group + "/match_flexible", result.match_flexible);
      continue;
    }
    write_rate(file, group, "accuracy", "standard_error", result.hit);
    write_rate(file, group, "accuracy_normalised", "standard_error_normalised", result.hit_normalised);
    write_values(file, group + "/answer", result.answer);
    write_values(file, group + "/predicted", result.predicted);
    write_values(file, group + "/predicted_normalised", result.predicted_normalised);
    write_values(file, group + "/log_likelihoods", result.log_likelihoods);
    write_values(file, group + "/offsets", result.offsets);
  }
  commit_sealed(file, pending);
}

}  // namespace expunge
