// Attributes of provenance.
#include "train/provenance.h"

#include "expunge/core/process.h"

namespace expunge {

void write_provenance(Hdf5File& file, const Provenance& provenance) {
  const auto write = [&](const char* name, const std::string& value) { file.write_attribute("/", name, value); };
  if (!provenance.model_sha256.empty()) write("model_sha256", provenance.model_sha256);
  if (!provenance.tokens_sha256.empty()) write("tokens_sha256", provenance.tokens_sha256);
  write("config", provenance.options);
  write("libraries", provenance.libraries);
  write("version", EXPUNGE_VERSION);
  write("host", host_name());
  write("job_id", job_id());
  write("written", utc_now());
  file.write_attribute("/", "restarts", provenance.restarts);
}

}  // namespace expunge
