// reference.h5: what a method keeps of the original model, the summed nll of every forget sequence.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "io/hdf5.h"
#include "run/provenance.h"

namespace expunge {

/// Writes /<domain>/<split>/nll_sum (n), by one rename. Throws Error(output).
void write_reference_nll(const std::filesystem::path& path, const std::string& split, const std::vector<double>& sums,
                         const Provenance& provenance);
/// The sums of "domain/split" (n); `sequences` is the n that the split has. Throws Error(bad_input), also for a file of
/// another model or token file than `provenance` names.
std::vector<double> read_reference_nll(const std::filesystem::path& path, const std::string& split, std::size_t sequences,
                                       const Provenance& provenance);

struct ReferenceSplit {
  std::string split;  ///< "domain/split"
  std::size_t sequences;
};
/// The splits of such a file; none for another file. Throws Error(bad_input).
std::vector<ReferenceSplit> list_reference_nll(const Hdf5File& file);

}  // namespace expunge
