// Text that splits share: equal and nearly equal documents, and equal sequences, counted by pair of splits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/hdf5.h"

namespace expunge {

/// Text of `split` that also occurs in `other`. If both are the same split: text that occurs more than once in it.
struct SharedText {
  std::string split, other;          ///< documents of `split` with an equal document in `other`
  std::uint64_t documents = 0;       ///< documents of `split` with an equal one in `other`
  std::uint64_t near_documents = 0;  ///< the same for an equal or nearly equal document
  std::uint64_t sequences = 0;       ///< sequences of `split` with an equal sequence in `other`
};

struct Duplicates {
  double near_threshold = 0;            ///< 0: no search for nearly equal documents
  std::vector<SharedText> shared = {};  ///< pairs with shared text, in the order of the splits, in both directions
};

/// Finds text that `splits` of an unfinished token file share. Documents and sequences are equal if their ids are equal (by
/// 128 bits of SHA-256). Documents are nearly equal if the estimated Jaccard similarity of their sets of runs of five ids
/// reaches `near_threshold`, which is 0 or from 0.5 to 1. MinHash with 128 values estimates it with a standard error of 0.035
/// at 0.8. Documents without sequences are not counted.
///
/// The counts depend only on the ids and their order, not on threads. Time for n documents: reading the ids, and sorting n
/// numbers for each of about twenty bands. Each text is compared with a fixed number of likely texts of each split in its
/// band. Thus a crowded band costs no more. Nearly equal documents may be missed in such a band; equal ones never are.
/// Memory: 210 bytes per document (24 for a threshold of 0) and 40 per sequence. Throws Error(bad_input) if the file cannot
/// be read back.
Duplicates find_duplicates(const Hdf5File& file, const std::vector<std::string>& splits, double near_threshold);

/// Writes the root attribute near_duplicate_threshold (float64). For each pair with shared text writes a group
/// /<domain>/<split>/duplicates/<other's domain>/<other's split>. Its uint64 attributes are documents, sequences and, for a
/// threshold above 0, near_documents. Throws Error(output).
void write_duplicates(Hdf5File& file, const Duplicates& duplicates);
/// Reads what write_duplicates() wrote for these splits; nullopt for a file of an earlier version without counts. Throws
/// Error(bad_input).
std::optional<Duplicates> read_duplicates(const Hdf5File& file, const std::vector<std::string>& splits);

/// One sentence per pair of splits with shared text, and per split with repeated text, if `wanted` holds. After twelve
/// sentences, one more states the number of further pairs.
std::vector<std::string> describe_duplicates(const Duplicates& duplicates,
                                             const std::function<bool(const SharedText&)>& wanted);

}  // namespace expunge
