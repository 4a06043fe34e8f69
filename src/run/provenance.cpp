// Writes the provenance of an output.
#include "run/provenance.h"

#include "core/process.h"

namespace expunge {

void write_provenance(Hdf5File& file, const Provenance& provenance) {
  const nlohmann::ordered_json named = describe(provenance);
  for (const auto& [name, value] : named.items()) {
    if (value.is_string())
      file.write_attribute("/", name, value.get<std::string>());
    else
      file.write_attribute("/", name, value.get<std::int64_t>());
  }
}

nlohmann::ordered_json describe(const Provenance& provenance) {
  nlohmann::ordered_json named;
  if (!provenance.model_sha256.empty()) named["model_sha256"] = provenance.model_sha256;
  if (!provenance.tokens_sha256.empty()) named["tokens_sha256"] = provenance.tokens_sha256;
  named.update({{"config", provenance.options},
                {"libraries", provenance.libraries},
                {"version", EXPUNGE_VERSION},
                {"host", host_name()},
                {"job_id", job_id()},
                {"written", utc_now()},
                {"restarts", provenance.restarts}});
  return named;
}

}  // namespace expunge
