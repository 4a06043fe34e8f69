// The provenance of an output: how it was made.
#pragma once

#include <cstdint>
#include <string>

#include "io/hdf5.h"
#include "io/json.h"

namespace expunge {

/// The file in an exported model folder that records its origin: checkpoint, checkpoint_sha256 (of its manifest), step,
/// dtype, files (name to SHA-256) and describe() of the run. Generated text has the same beside it, OUTPUT.expunge.json.
inline constexpr const char* kExportRecord = "expunge.json";

struct Provenance {
  std::string model_sha256, tokens_sha256;  ///< of the inputs; left out if empty
  std::string options;                      ///< `key = value` lines
  std::string libraries;                    ///< versions, as --version prints them
  std::int64_t restarts = 0;                ///< restarts of the job, or resumes of the run
};

/// Writes root attributes: model_sha256, tokens_sha256, config (the options), libraries, restarts, and of this process version,
/// host, job_id (empty outside a batch system), written (UTC).
void write_provenance(Hdf5File& file, const Provenance& provenance);
/// The same names and values as JSON.
nlohmann::ordered_json describe(const Provenance& provenance);

}  // namespace expunge
