// eval.h5: metrics of splits, written and read back for comparison.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/token_file.h"
#include "eval/metrics.h"
#include "io/files.h"
#include "io/hdf5.h"
#include "session/session.h"
#include "store/weights.h"

namespace expunge {

/// The inputs and conditions of metrics; root attributes of the file, with the provenance of every output.
struct EvaluationSource {
  std::string model, model_sha256, tokens, tokens_sha256;
  std::string tokenizer_sha256;  ///< of the token file
  std::uint64_t max_length = 0;  ///< of the token file
  std::string dtype, device;     ///< "float32", "cpu"
  std::string options = {}, libraries = {};
};
/// The source of metrics of splits of `tokens` under the model at `path`, without options and libraries. Collective; rank 0
/// alone hashes the token file.
EvaluationSource evaluation_source(const Session& session, const std::filesystem::path& path, const WeightsSource& model,
                                   const TokenFile& tokens, DType dtype);
void write_source(Hdf5File& file, const EvaluationSource& source);
/// Writes a 1-D dataset.
template <Hdf5Element T>
void write_values(Hdf5File& file, const std::string& dataset, const std::vector<T>& values) {
  file.create_dataset<T>(dataset, {values.size()});
  file.write<T>(dataset, 0, values);
}

struct SplitResult {
  std::string split;  ///< "domain/split"
  std::vector<SequenceMetrics> sequences;
};

/// Writes a group /<domain>/<split> with an attribute for each of metrics(), sequences and tokens, and a dataset for each of
/// sequence_values() and tokens (one value per sequence, in the order of the token file). Replaces the file by one rename.
/// Throws Error(output).
void write_evaluation(const std::filesystem::path& path, Existing existing, const EvaluationSource& source,
                      const std::vector<SplitResult>& results);
/// Reads the metrics of such a file, by split; computes missing metrics from the sequences. Throws Error(bad_input).
SplitTable read_evaluation(const Hdf5File& file);

}  // namespace expunge
