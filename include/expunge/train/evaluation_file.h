// eval.h5: figures of splits, written and read back for comparison.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "expunge/eval/metrics.h"

namespace expunge {

/// What an evaluation was made of; attributes of the file's root.
struct EvaluationSource {
  std::string model, model_sha256, tokens, tokens_sha256, dtype;
};

/// Figures by "domain/split", in the order in which they were evaluated.
struct SplitResult {
  std::string split;
  std::vector<SequenceFigures> sequences;
};

/// A group /<domain>/<split> with attributes perplexity, token_perplexity, accuracy, sequences, tokens and datasets nll,
/// accuracy, tokens (one value a sequence, in the order of the token file). Replaces the file by one rename. Throws
/// Error(output).
void write_evaluation(const std::filesystem::path& path, const EvaluationSource& source,
                      const std::vector<SplitResult>& results);
/// The split figures of such a file. Throws Error(bad_input).
std::map<std::string, SplitFigures> read_evaluation(const std::filesystem::path& path);

}  // namespace expunge
