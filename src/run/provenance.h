// What every output says of how it was made.
#pragma once

#include <cstdint>
#include <string>

#include "io/hdf5.h"
#include "io/json.h"

namespace expunge {

/// The file in an exported model folder that says what it was made of: checkpoint, checkpoint_sha256 (of its manifest), step,
/// dtype, files (name to SHA-256) and what describe() gives of the run. Generated text has one beside it, OUTPUT.expunge.json.
inline constexpr const char* kExportRecord = "expunge.json";

struct Provenance {
  std::string model_sha256, tokens_sha256;  ///< of what went in; left out when empty
  std::string options;                      ///< as `key = value` lines
  std::string libraries;                    ///< versions, as --version prints them
  std::int64_t restarts = 0;                ///< of the job, or resumes of the run
};

/// Attributes of the root: model_sha256, tokens_sha256, config (the options), libraries, restarts, and of this process version,
/// host, job_id (empty outside of a batch system), written (UTC).
void write_provenance(Hdf5File& file, const Provenance& provenance);
/// The same names and values, for a JSON record.
nlohmann::ordered_json describe(const Provenance& provenance);

}  // namespace expunge
