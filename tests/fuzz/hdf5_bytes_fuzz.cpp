// Fuzzes HDF5 files byte by byte: an input is a good file's number and a list of changes to its bytes.
#include <cstring>

#include "hdf5_files.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

/// 12 bytes of an input.
struct Change {
  std::uint16_t where;
  std::uint8_t how, width;  ///< modulo the number of ways, and of widths
  std::uint64_t value;
};
constexpr std::size_t kChangeBytes = 12;

Change read_change(const std::uint8_t* data) {
  Change change{};
  std::memcpy(&change.where, data, 2);
  change.how = data[2];
  change.width = data[3];
  std::memcpy(&change.value, data + 4, 8);
  return change;
}

void alter(const Change& change, std::string& bytes) {
  if (bytes.empty()) return;
  const std::size_t at = change.where % bytes.size();
  const std::size_t width = std::min<std::size_t>(std::size_t{1} << change.width % 4, bytes.size() - at);
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, width);
  switch (change.how % 5) {
    case 0:
      word = change.value;
      break;
    case 1:
      word += change.value;
      break;
    case 2:
      word ^= std::uint64_t{1} << change.value % 64;
      break;
    case 3:  // one place looks like another
      std::memcpy(&word, bytes.data() + change.value % (bytes.size() - width + 1), width);
      break;
    default:
      bytes.resize(at);
      return;
  }
  std::memcpy(bytes.data() + at, &word, width);
}

}  // namespace
}  // namespace expunge::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  if (size == 0) return 0;
  const std::size_t which = data[0] % good_files().size();
  std::string bytes = good_files()[which].bytes;
  for (std::size_t at = 1; at + kChangeBytes <= size; at += kChangeBytes) alter(read_change(data + at), bytes);
  read_all_ways(which, bytes);
  return 0;
}
