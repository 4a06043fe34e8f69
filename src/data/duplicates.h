// Text that splits share: equal and nearly equal documents, and equal sequences, counted by pair of splits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/hdf5.h"

namespace expunge {

/// How much of `split` stands in `other` too; where both are one split, how much of it stands in it more than once.
struct SharedText {
  std::string split, other;          ///< "domain/split"
  std::uint64_t documents = 0;       ///< documents of `split` with an equal one in `other`
  std::uint64_t near_documents = 0;  ///< the same with an equal or nearly equal one
  std::uint64_t sequences = 0;       ///< sequences of `split` with an equal one in `other`
};

struct Duplicates {
  double near_threshold = 0;            ///< 0: nearly equal documents were not looked for
  std::vector<SharedText> shared = {};  ///< the pairs that share something, in the order of the splits, both ways round
};

/// Compares what a token file that is being written holds of `splits`. Documents and sequences are equal where their ids are
/// (by 128 bits of SHA-256). Documents are nearly equal where the sets of their runs of five ids have an estimated Jaccard
/// similarity of at least `near_threshold`, which is 0 or from 0.5 to 1. The estimate is by MinHash of 128 values: its standard
/// error is 0.035 at 0.8. Documents that gave no sequence are not counted.
///
/// The counts depend on the ids and their order alone, not on threads. For n documents the time is that of reading the ids and
/// of sorting n numbers for each of some twenty bands of the signatures. Texts that share a band are compared with a fixed
/// number of others of each split, the likeliest ones: a band that all share costs no more, but nearly equal documents may be
/// missed in such a crowd; equal ones never are. The memory is 210 bytes a document (24 with a threshold of 0) and 40 a
/// sequence, whatever their lengths. Throws Error(bad_input) where the file cannot be read back.
Duplicates find_duplicates(const Hdf5File& file, const std::vector<std::string>& splits, double near_threshold);

/// Writes the root attribute near_duplicate_threshold (float64) and, for each pair that shares something, a group
/// /<domain>/<split>/duplicates/<other's domain>/<other's split> with attributes documents, sequences and, with a threshold
/// above 0, near_documents (uint64). Throws Error(output).
void write_duplicates(Hdf5File& file, const Duplicates& duplicates);
/// What write_duplicates() wrote of these splits; nothing where a file of an earlier version does not say. Throws
/// Error(bad_input).
std::optional<Duplicates> read_duplicates(const Hdf5File& file, const std::vector<std::string>& splits);

/// A sentence for each two splits that share text (and for each that holds text twice) and of which `wanted` holds; of many
/// the first twelve, and how many more there are.
std::vector<std::string> describe_duplicates(const Duplicates& duplicates,
                                             const std::function<bool(const SharedText&)>& wanted);

}  // namespace expunge
