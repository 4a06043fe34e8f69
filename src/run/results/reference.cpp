// The layout of reference.h5.
#include "run/results/reference.h"

#include <fmt/format.h>

#include <utility>

#include "data/token_file.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hdf5_seal.h"

namespace expunge {
namespace {

std::string dataset_of(const std::string& split) { return "/" + split + "/nll_sum"; }

}  // namespace

void write_reference_nll(const std::filesystem::path& path, const std::string& split, const std::vector<double>& sums,
                         const Provenance& provenance) {
  PendingFile pending(path);
  Hdf5File file = Hdf5File::create(pending.temporary());
  file.create_dataset<double>(dataset_of(split), {sums.size()});
  file.write<double>(dataset_of(split), 0, sums);
  write_provenance(file, provenance);
  commit_sealed(file, pending);
}

std::vector<double> read_reference_nll(const std::filesystem::path& path, const std::string& split, std::size_t sequences,
                                       const Provenance& provenance) {
  const Hdf5File file = Hdf5File::open(path);
  for (const auto& [name, expected] :
       {std::pair{"model_sha256", provenance.model_sha256}, {"tokens_sha256", provenance.tokens_sha256}})
    if (const auto found = file.read_attribute<std::string>("/", name); found != expected)
      fail(ExitCode::bad_input,
           fmt::format("{}: made with another original model or token file ({} {}, the run's is {}); restore the run's own "
                       "file, or start again with --overwrite-output-dir",
                       path.string(), name, found, expected));
  std::vector<double> sums = file.read_all<double>(dataset_of(split));
  if (sums.size() != sequences)
    fail(ExitCode::bad_input,
         fmt::format("{}: {}: expected {} sequences, found {}", path.string(), dataset_of(split), sequences, sums.size()));
  return sums;
}

std::vector<ReferenceSplit> list_reference_nll(const Hdf5File& file) {
  std::vector<ReferenceSplit> splits;
  for (const std::string& split : split_groups(file))
    if (file.exists(dataset_of(split))) splits.push_back({split, file.read_all<double>(dataset_of(split)).size()});
  return splits;
}

}  // namespace expunge
