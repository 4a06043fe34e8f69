// Reading safetensors: mapping, header checks, conversion.
#include "expunge/io/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "expunge/core/error.h"
#include "expunge/io/json.h"
#include "float16.h"

namespace expunge {
namespace {

constexpr std::uint64_t kHeaderLimit = 100'000'000;  // as the reference implementation
constexpr std::uint64_t kLengthBytes = 8;

[[noreturn]] void bad(const std::filesystem::path& path, const std::string& what) {
  fail(ExitCode::bad_input, fmt::format("{}: not a valid safetensors file: {}; fetch or convert the file again", path.string(), what));
}

/// Bits of an element of any type that the format knows; 0 for others.
std::uint64_t dtype_bits(const std::string& dtype) {
  static const std::map<std::string, std::uint64_t> kBits = {
      {"F64", 64}, {"I64", 64}, {"U64", 64},     {"F32", 32},     {"I32", 32}, {"U32", 32}, {"F16", 16}, {"BF16", 16},
      {"I16", 16}, {"U16", 16}, {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"I8", 8},   {"U8", 8},   {"BOOL", 8}, {"F8_E8M0", 8}};
  const auto found = kBits.find(dtype);
  return found == kBits.end() ? 0 : found->second;
}

std::uint64_t offset(const JsonObject& tensor, const nlohmann::json& value) {
  if (!value.is_number_unsigned()) tensor.wrong("data_offsets", "two whole numbers");
  return value.get<std::uint64_t>();
}

TensorInfo read_info(const JsonObject& tensor, std::uint64_t data_begin) {
  TensorInfo info;
  info.dtype = tensor.string("dtype");
  const nlohmann::json& shape = tensor.at("shape");
  if (!shape.is_array() || shape.size() > 8) tensor.wrong("shape", "a list of at most 8 sizes");
  for (const nlohmann::json& size : shape) {
    if (!size.is_number_unsigned() || size.get<std::uint64_t>() > std::uint64_t{1} << 40) tensor.wrong("shape", "sizes below 2^40");
    info.shape.push_back(size.get<std::int64_t>());
  }
  const nlohmann::json& offsets = tensor.at("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2) tensor.wrong("data_offsets", "two whole numbers");
  info.begin = offset(tensor, offsets[0]);
  info.end = offset(tensor, offsets[1]);
  if (info.begin > info.end || info.end > std::numeric_limits<std::uint64_t>::max() - data_begin)
    tensor.wrong("data_offsets", "a begin that is at most the end");
  info.begin += data_begin;
  info.end += data_begin;
  return info;
}

/// Bytes that dtype and shape ask for; false when they do not fit 64 bits.
bool size_in_bytes(const TensorInfo& info, std::uint64_t& bytes) {
  bytes = dtype_bits(info.dtype);
  for (const std::int64_t size : info.shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) return false;
  bytes /= 8;
  return true;
}

template <typename Stored, typename Out, typename Convert>
void convert(const char* from, std::uint64_t count, Out* out, Convert to_number) {
  for (std::uint64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * sizeof(Stored), sizeof(Stored));  // data may be unaligned
    out[i] = static_cast<Out>(to_number(stored));
  }
}

}  // namespace

std::uint64_t TensorInfo::elements() const {
  std::uint64_t n = 1;
  for (const std::int64_t size : shape) n *= static_cast<std::uint64_t>(size);
  return n;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(ExitCode::bad_input, fmt::format("{}: cannot be opened: {}", path.string(), std::strerror(errno)));
  struct stat status {};
  const bool regular = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  bytes_ = regular ? static_cast<std::uint64_t>(status.st_size) : 0;
  void* const map = bytes_ >= kLengthBytes ? mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
  const int error = errno;
  ::close(file);
  if (!regular) bad(path, "it is not a regular file");
  if (bytes_ < kLengthBytes) bad(path, fmt::format("it has {} bytes", bytes_));
  if (map == MAP_FAILED) fail(ExitCode::bad_input, fmt::format("{}: cannot be mapped: {}", path.string(), std::strerror(error)));
  map_ = static_cast<const char*>(map);
  // No read-ahead: the pages around a slice belong to other ranks.
  madvise(map, bytes_, MADV_RANDOM);
  try {
    parse_header();
    check_layout();
  } catch (...) {
    munmap(map, bytes_);
    throw;
  }
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      map_(std::exchange(other.map_, nullptr)),
      bytes_(other.bytes_),
      header_bytes_(other.header_bytes_),
      tensors_(std::move(other.tensors_)) {}

SafetensorsFile::~SafetensorsFile() {
  if (map_) munmap(const_cast<char*>(map_), bytes_);
}

void SafetensorsFile::parse_header() {
  std::uint64_t length = 0;
  std::memcpy(&length, map_, kLengthBytes);  // little-endian, as every machine this builds on
  if (length > kHeaderLimit || length > bytes_ - kLengthBytes)
    bad(path_, fmt::format("its header claims {} bytes, the file has {}; the file may be truncated", length, bytes_));
  header_bytes_ = kLengthBytes + length;
  const JsonObject header(parse_json(std::string_view(map_ + kLengthBytes, length), path_.string()), path_.string());
  for (const auto& [name, value] : header.value().items()) {
    if (name == "__metadata__") continue;
    tensors_[name] = read_info(JsonObject(value, fmt::format("{}: tensor {}", path_.string(), name)), header_bytes_);
  }
}

/// Every tensor has the bytes that dtype and shape ask for, and together they fill the data without gap or overlap.
void SafetensorsFile::check_layout() const {
  std::vector<std::pair<const std::string*, const TensorInfo*>> ordered;
  for (const auto& [name, info] : tensors_) {
    if (dtype_bits(info.dtype) == 0) bad(path_, fmt::format("tensor {} has the unknown dtype '{}'", name, info.dtype));
    if (info.end > bytes_)
      bad(path_, fmt::format("tensor {} ends at byte {}, the file has {}; the file may be truncated", name, info.end, bytes_));
    std::uint64_t expected = 0;
    if (!size_in_bytes(info, expected) || expected != info.end - info.begin)
      bad(path_, fmt::format("tensor {}: {} [{}] does not fill its {} bytes", name, info.dtype, fmt::join(info.shape, ", "),
                             info.end - info.begin));
    ordered.emplace_back(&name, &info);
  }
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  std::uint64_t at = header_bytes_;
  for (const auto& [name, info] : ordered) {
    if (info->begin < at) bad(path_, fmt::format("tensor {} overlaps the one before it", *name));
    if (info->begin > at) bad(path_, fmt::format("{} bytes before tensor {} belong to no tensor", info->begin - at, *name));
    at = info->end;
  }
  if (at != bytes_) bad(path_, fmt::format("{} bytes at its end belong to no tensor", bytes_ - at));
}

const TensorInfo& SafetensorsFile::info(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail(ExitCode::bad_input, fmt::format("{}: tensor {} is missing", path_.string(), name));
  return found->second;
}

/// Has the system read the pages of a byte range, and no others, in one go.
void SafetensorsFile::fetch(std::uint64_t begin, std::uint64_t end) const {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const std::uint64_t first = begin / page * page;
  madvise(const_cast<char*>(map_) + first, end - first, MADV_WILLNEED);
}

std::string_view SafetensorsFile::raw(std::uint64_t begin, std::uint64_t end) const {
  check(begin <= end && end <= bytes_, "a byte range lies in the file");
  fetch(begin, end);
  return {map_ + begin, end - begin};
}

template <typename Out>
void SafetensorsFile::read_as(const std::string& name, std::uint64_t first, std::uint64_t count, Out* out) const {
  const TensorInfo& tensor = info(name);
  check(first <= tensor.elements() && count <= tensor.elements() - first, "a slice lies in its tensor");
  if (count == 0) return;
  const std::uint64_t element = dtype_bits(tensor.dtype) / 8;
  const char* const from = map_ + tensor.begin + first * element;
  fetch(tensor.begin + first * element, tensor.begin + (first + count) * element);
  if (tensor.dtype == "F32") return convert<float>(from, count, out, [](float x) { return x; });
  if (tensor.dtype == "F64") return convert<double>(from, count, out, [](double x) { return x; });
  if (tensor.dtype == "BF16") return convert<bf16>(from, count, out, [](bf16 x) { return static_cast<float>(x); });
  if (tensor.dtype == "F16") return convert<std::uint16_t>(from, count, out, float_from_float16);
  fail(ExitCode::bad_input, fmt::format("{}: tensor {} is {}; expected F32, F16, BF16 or F64: convert the model", path_.string(),
                                        name, tensor.dtype));
}

void SafetensorsFile::read(const std::string& name, std::uint64_t first, std::uint64_t count, float* out) const {
  read_as(name, first, count, out);
}
void SafetensorsFile::read(const std::string& name, std::uint64_t first, std::uint64_t count, double* out) const {
  read_as(name, first, count, out);
}

}  // namespace expunge
