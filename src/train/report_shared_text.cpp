// Shared text as notes and a table.
#include "train/report_shared_text.h"

#include <fmt/format.h>

#include "train/report_content.h"

namespace expunge {

void add_shared_text(const ReportRun& run, std::vector<Block>& blocks) {
  if (!run.forget_counts) return;  // the run forgets nothing, or its token file is gone
  blocks.push_back(Heading{3, "Text that splits share"});
  if (!run.duplicates) {
    blocks.push_back(Paragraph{"The token file does not record it: it is of an earlier version. Tokenize again to know."});
    return;
  }
  const std::string forget = run.domain() + "/forget";
  const auto between = [&](const SharedText& pair) {
    return pair.split != pair.other && (pair.split == forget || pair.other == forget);
  };
  for (const std::string& line : describe_duplicates(*run.duplicates, between))
    blocks.push_back(Paragraph{line + ". What is forgotten should stand nowhere else.", Paragraph::Kind::note});
  const double threshold = run.duplicates->near_threshold;
  Table table{{"Split", "Also in", "Equal documents", "Equal or nearly equal", "Equal sequences"}, {}, {}};
  const auto number_of = [](std::uint64_t value) { return count(static_cast<double>(value)); };
  for (const SharedText& pair : run.duplicates->shared)
    if (pair.split.starts_with(run.domain() + "/"))
      table.rows.push_back({pair.split, pair.other, number_of(pair.documents),
                            threshold > 0 ? number_of(pair.near_documents) : "–", number_of(pair.sequences)});
  const std::string measure = threshold > 0 ? fmt::format("Documents are nearly equal from a similarity of {} on.", threshold)
                                            : std::string("Nearly equal documents were not looked for.");
  blocks.push_back(Paragraph{(table.rows.empty() ? "None was found. " : "") + measure});
  if (!table.rows.empty()) blocks.push_back(std::move(table));
}

}  // namespace expunge
