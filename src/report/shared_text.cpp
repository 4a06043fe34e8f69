// Shows shared text as notes and a table.
#include "report/shared_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>
#include <string>

#include "report/content.h"

namespace expunge {
namespace {

/// Splits of the token file that matter for the run: those that the model learnt from since the original model, those in its
/// results, and three of its domain.
std::set<std::string> splits_that_matter(const ReportRun& run) {
  std::set<std::string> wanted = trained_split_names(run.options);
  const Lineage& lineage = run.lineage;
  for (std::size_t i = lineage.original; i < lineage.former.size(); ++i)
    if (lineage.former[i].tokens_sha256 == run.checkpoint->tokens_sha256)
      wanted.merge(trained_split_names(lineage.former[i].options()));
  for (const auto* evaluation : {&run.before, &run.after})
    if (*evaluation)
      for (const auto& [split, metrics] : (*evaluation)->splits) wanted.insert(split);
  if (!run.evaluations.empty())
    for (const auto& [split, metrics] : run.evaluations.back().splits) wanted.insert(split);
  for (const auto* attacks : {&run.attacks_before, &run.attacks_after})
    if (*attacks)
      for (const char* side : {"members", "non_members"}) wanted.insert(value_of((*attacks)->conditions, side));
  if (!run.domain().empty())
    for (const char* split : {"/forget", "/approximate", "/retain"}) wanted.insert(run.domain() + split);
  std::erase_if(wanted, [&](const std::string& split) { return !run.token_splits.contains(split); });
  return wanted;
}

}  // namespace

void add_shared_text(const ReportRun& run, std::vector<Block>& blocks) {
  if (run.token_splits.empty()) return;  // the token file is gone
  blocks.push_back(Heading{3, "Text that splits share"});
  if (!run.duplicates) {
    blocks.push_back(Paragraph{"The token file does not record it, because an earlier version wrote it: tokenize again."});
    return;
  }
  const std::string forget = run.domain() + "/forget";
  const auto between = [&](const SharedText& pair) {
    return pair.split != pair.other && (pair.split == forget || pair.other == forget);
  };
  if (!run.domain().empty())
    for (const std::string& line : describe_duplicates(*run.duplicates, between))
      blocks.push_back(Paragraph{line + ". Forgotten text should be in no other split.", Paragraph::Kind::note});
  const double threshold = run.duplicates->near_threshold;
  Table table{{"Split", "Also in", "Equal documents", "Equal or nearly equal", "Equal sequences"}, {}, {}};
  const auto number_of = [](std::uint64_t value) { return count(static_cast<double>(value)); };
  const std::set<std::string> splits = splits_that_matter(run);
  for (const SharedText& pair : run.duplicates->shared)
    if (splits.contains(pair.split))
      table.rows.push_back({pair.split, pair.other, number_of(pair.documents),
                            threshold > 0 ? number_of(pair.near_documents) : "–", number_of(pair.sequences)});
  const std::string measure = threshold > 0 ? fmt::format("Documents are nearly equal from a similarity of {} on.", threshold)
                                            : std::string("Nearly equal documents were not counted.");
  blocks.push_back(Paragraph{
      fmt::format("{}{} Checked splits: {}.", table.rows.empty() ? "None was found. " : "", measure, fmt::join(splits, ", "))});
  if (!table.rows.empty()) blocks.push_back(std::move(table));
}

}  // namespace expunge
