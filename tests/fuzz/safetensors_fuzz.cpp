// Fuzzes safetensors files: an accepted one is covered by its tensors, and can be read and written again.
#include <algorithm>
#include <bit>
#include <cstring>

#include "io/safetensors.h"
#include "mutate.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

constexpr std::size_t kLengthBytes = 8;

std::vector<double> values_of(const SafetensorsFile& file, const std::string& name) {
  std::vector<double> values(file.info(name).elements());
  file.read(name, 0, values.size(), values.data());
  return values;
}

bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return std::ranges::equal(a, b, [](double x, double y) { return x == y || (x != x && y != y); });
}

/// The readable tensors, written as float64 and read again, are the same.
void round_trip(const SafetensorsFile& file) {
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const auto& [name, info] : file.tensors())
    if (info.readable()) tensors.push_back({name, info.shape});
  if (tensors.empty()) return;
  const auto copy = folder() / "copy.safetensors";
  SafetensorsWriter writer(copy, DType::float64, tensors);
  for (const auto& tensor : tensors) {
    const std::vector<double> values = values_of(file, tensor.name);
    writer.append(values.data(), values.size());
  }
  writer.finish();
  const SafetensorsFile again(copy);
  for (const auto& tensor : tensors) {
    require(again.info(tensor.name).shape == tensor.shape, "a shape survives writing");
    require(same(values_of(again, tensor.name), values_of(file, tensor.name)), "values survive writing");
  }
}

void check(const SafetensorsFile& file) {
  std::uint64_t at = 0;
  for (const auto& [name, begin, end] : file.segments()) {
    require(begin == at && end >= begin, "segments follow one another");
    at = end;
  }
  require(at == file.bytes(), "segments cover the file");
  for (const auto& [name, info] : file.tensors()) {
    require(info.begin >= file.header_bytes() && info.end <= file.bytes(), "a tensor lies in the data");
    require(info.elements() <= 2 * (info.end - info.begin) || info.elements() == 0, "elements are bounded by bytes");
  }
  round_trip(file);
}

}  // namespace
}  // namespace expunge::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  const auto path = folder().write("a.safetensors", text(data, size));
  accepts("a.safetensors", [&] { check(expunge::SafetensorsFile(path)); });
  if (size < kLengthBytes) return 0;
  // Once more with all that follows the length field as the header, whatever that field says.
  std::string bytes(text(data, size));
  const std::uint64_t length = size - kLengthBytes;
  std::memcpy(bytes.data(), &length, kLengthBytes);
  folder().write("a.safetensors", bytes);
  accepts("a.safetensors", [&] { check(expunge::SafetensorsFile(path)); });
  return 0;
}

#ifdef EXPUNGE_LIBFUZZER
/// Half of the time the header alone changes and its length field is set right, or nothing behind that field would be reached.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  using expunge::fuzz::kLengthBytes;
  std::uint64_t length = 0;
  if (size >= kLengthBytes) std::memcpy(&length, data, kLengthBytes);
  if (seed % 2 == 0 || size < kLengthBytes || length > size - kLengthBytes)
    return expunge::fuzz::mutate(data, size, most, seed / 2);
  const std::vector<std::uint8_t> rest(data + kLengthBytes + length, data + size);
  if (most < rest.size() + kLengthBytes + 1) return size;
  length = LLVMFuzzerMutate(data + kLengthBytes, length, most - kLengthBytes - rest.size());
  std::memcpy(data, &length, kLengthBytes);
  std::copy(rest.begin(), rest.end(), data + kLengthBytes + length);
  return kLengthBytes + length + rest.size();
}
#endif
