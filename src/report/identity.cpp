// Identifies a run: the forgotten text, the method, its origin, steps and checkpoint.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/log.h"
#include "report/content.h"

namespace expunge {
namespace {

using Fact = std::vector<std::string>;

std::string model_or_random(const std::string& model, const ReportRun& run) {
  return model.empty() ? "random weights, " + run.options.input.init_config.string() : model;
}

std::string number_of(std::uint64_t value, const char* what) { return counted(static_cast<double>(value), what); }

std::string forgotten(const ReportRun& run) {
  if (run.domain().empty()) return fmt::format("nothing: expunge train on {}", fmt::join(run.options.input.splits, ", "));
  const std::string split = run.domain() + "/forget";
  if (!run.forget_counts) return split;
  const SplitCounts& all = *run.forget_counts;
  std::string text = fmt::format("{}, {}, {}, {}", split, number_of(all.documents, "document"),
                                 number_of(all.sequences, "sequence"), number_of(all.tokens, "token"));
  if (!run.forget_taken || run.forget_taken->sequences == all.sequences) return text;
  if (run.forget_taken->sequences == 0) return text + "; the run trained on none of them";
  return text + fmt::format("; the run trained on {} of the sequences, {}",
                            count(static_cast<double>(run.forget_taken->sequences)),
                            number_of(run.forget_taken->tokens, "token"));
}

std::string step_range(std::int64_t first, std::int64_t last) {
  return first < last ? fmt::format("{} to {}", first, last) : fmt::format("{}", last);
}

/// Adds a row for each run that this one began from, oldest first.
void add_history(const ReportRun& run, std::vector<Fact>& rows) {
  std::int64_t done = 0;  // steps that count as this run's
  for (const FormerRun& former : run.lineage.former) {
    const bool counts = former.how == FormerRun::kState;
    const std::string steps =
        counts || done > 0 ? fmt::format("step{} {}", former.step > done + 1 ? "s" : "", step_range(done + 1, former.step))
                           : counted(static_cast<double>(former.step), "step");
    const RunOptions options = former.options();
    rows.push_back({"Before", fmt::format("{} by {}, learning rate {}, in {} (SHA-256 {})", steps, describe_work(options),
                                          options.schedule.learning_rate, former.from, former.sha256)});
    done = counts ? former.step : 0;
  }
  if (done == 0) return;
  rows.push_back({"Steps of this run", run.checkpoint->step > done ? step_range(done + 1, run.checkpoint->step) : "none yet"});
}

void add_checkpoint(const ReportRun& run, std::vector<Fact>& rows) {
  const CheckpointInfo& info = *run.checkpoint;
  rows.push_back({"model_sha256", info.model_sha256});
  rows.push_back({"tokens_sha256", info.tokens_sha256});
  add_history(run, rows);
  std::string steps = fmt::format("{} of {}, {} a step", info.step, info.total_steps,
                                  counted(static_cast<double>(info.global_batch), "sequence"));
  // Adopted steps may have had another batch size, so their sequences are unknown.
  if (run.lineage.adopted_steps() == 0)
    steps += fmt::format(", {} in all", counted(static_cast<double>(info.samples), "sequence"));
  rows.push_back({"Steps", std::move(steps)});
  if (!run.stopped.empty()) rows.push_back({"--stop-at", run.stopped});
  rows.push_back({"Checkpoint", run.checkpoint_folder.filename().string()});
  rows.push_back({"Its SHA-256", run.checkpoint_sha256});
  rows.push_back(
      {"Written", fmt::format("{} on {}, {}, {}, gather {}, expunge {}", info.written, info.host,
                              counted(static_cast<double>(info.world_size), "rank"), info.dtype, info.gather, info.version)});
  rows.push_back({"Job", fmt::format("{}, resumed {}", info.job_id.empty() ? "outside a batch system" : info.job_id,
                                     counted(static_cast<double>(info.restarts), "time"))});
}

}  // namespace

Table identify_run(const ReportRun& run) {
  Table table;
  std::vector<Fact>& rows = table.rows;
  rows.push_back({"Folder", run.folder.string()});
  rows.push_back({"Forgotten", forgotten(run)});
  rows.push_back({"Method", fmt::format("{}, learning rate {}, seed {}", method_name(run), run.options.schedule.learning_rate,
                                        run.options.samples.seed)});
  const std::string original = run.original_model(), began = run.options.input.model.string();
  rows.push_back({"Original model", model_or_random(original, run)});
  if (began != original) rows.push_back({"Began from", model_or_random(began, run)});
  rows.push_back({"Tokens", run.options.input.tokens.string()});
  if (run.parameters > 0) rows.push_back({"Parameters", count(run.parameters)});
  if (run.checkpoint) add_checkpoint(run, rows);
  if (run.trajectory && run.trajectory->seconds > 0)
    rows.push_back({"Time in steps", fmt::format("{}, at most {} a rank", format_duration(run.trajectory->seconds),
                                                 format_bytes(static_cast<double>(run.trajectory->memory_bytes)))});
  return table;
}

}  // namespace expunge
