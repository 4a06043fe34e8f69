// Follows a run back to the original model.
#include "report/lineage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "expunge/error.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/json.h"
#include "report/content.h"
#include "run/provenance.h"

namespace expunge {
namespace {

bool unlearns(const FormerRun& run) { return run.options().command == "unlearn"; }

/// The exported checkpoint, from the record beside the weights; empty if that record is gone or another one.
std::string exported_checkpoint(const FormerRun& run) {
  try {
    const std::filesystem::path record = std::filesystem::path(run.from) / kExportRecord;
    std::error_code none;
    if (!std::filesystem::is_regular_file(record, none) || sha256_file(record) != run.sha256) return {};
    return checkpoint_of_export(record);
  } catch (const Error&) {
    return {};  // a damaged record counts as gone
  }
}

}  // namespace

std::optional<std::size_t> Lineage::changes_of(const std::string& sha256) const {
  const auto found = std::ranges::find(models, sha256, &Model::sha256);
  return found == models.end() ? std::nullopt : std::optional(found->changes);
}

std::string Lineage::name(std::size_t changes) const {
  if (changes == original) return "the original model";
  if (changes < original) return fmt::format("an earlier model, before {}", work(changes, original));
  return fmt::format(
      "{}, already changed by {}",
      changes == former.size() ? "the model that this run began from" : "a model between the original and this run's",
      work(original, changes));
}

std::string Lineage::work(std::size_t first, std::size_t last) const {
  std::vector<std::string> parts;
  for (std::size_t i = first; i < last; ++i) {
    const bool goes_on = i > 0 && former[i - 1].how == FormerRun::kState;
    const std::int64_t steps = former[i].step - (goes_on ? former[i - 1].step : 0);
    parts.push_back(fmt::format("{} of {}", counted(static_cast<double>(steps), "step"), describe_work(former[i].options())));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string Lineage::earlier_methods() const {
  std::vector<std::string> names;
  for (std::size_t i = original; i < former.size(); ++i)
    if (const std::string name = method_of(former[i].options()); std::ranges::find(names, name) == names.end())
      names.push_back(name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::size_t Lineage::before_state() const {
  std::size_t count = former.size();
  while (count > 0 && former[count - 1].how == FormerRun::kState) --count;
  return count;
}

std::int64_t Lineage::adopted_steps() const { return before_state() < former.size() ? former.back().step : 0; }

Lineage read_lineage(const CheckpointInfo& info, const std::string& where) {
  Lineage lineage{parse_history(info.history, where), {}, 0};
  const auto add = [&](const std::string& sha256, std::size_t changes) {
    if (!sha256.empty() && !lineage.changes_of(sha256)) lineage.models.push_back({sha256, changes});
  };
  try {
    for (std::size_t i = 0; i < lineage.former.size(); ++i) {
      const FormerRun& run = lineage.former[i];
      add(run.model_sha256, i);
      add(run.how == FormerRun::kExport ? exported_checkpoint(run) : run.sha256, i + 1);
    }
    add(info.model_sha256, lineage.former.size());
    lineage.original = static_cast<std::size_t>(std::ranges::find_if(lineage.former, unlearns) - lineage.former.begin());
  } catch (const Error& error) {
    fail(ExitCode::bad_input, fmt::format("{}: history: {}", where, error.what()));  // from the options of an earlier run
  }
  return lineage;
}

}  // namespace expunge
