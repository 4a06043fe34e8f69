// Reads safetensors: mapping, header checks, conversion.
#include "io/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "expunge/error.h"
#include "io/content_kind.h"
#include "io/float16.h"
#include "io/json.h"

namespace expunge {
namespace {

constexpr std::uint64_t kHeaderLimit = 100'000'000;          // the limit of the reference implementation
constexpr std::uint64_t kLengthBytes = 8;                    // the header's length, little-endian
constexpr int kDeepest = 8;                                  // nesting of the header's JSON; the format needs 3
constexpr std::uint64_t kWindow = std::uint64_t{128} << 10;  // the smallest read-ahead window in use, a multiple of the page
constexpr std::uint64_t kPiece = std::uint64_t{16} << 20;    // bytes mapped at a time: a multiple of every element size

std::string not_valid(const std::filesystem::path& path) {
  return fmt::format("{}: not a valid safetensors file (fetch or convert it again)", path.string());
}

[[noreturn]] void bad(const std::filesystem::path& path, const std::string& what) {
  fail(ExitCode::bad_input, fmt::format("{}: {}", not_valid(path), what));
}

/// A tensor name from the file, escaped for a terminal.
std::string shown(const std::string& name) { return json_excerpt(name); }

/// Bits per element of every type of the format; 0 for unknown types.
std::uint64_t dtype_bits(const std::string& dtype) {
  static const std::map<std::string, std::uint64_t> kBits = {
      {"F64", 64},    {"I64", 64},    {"U64", 64},        {"C64", 64},        {"F32", 32}, {"I32", 32},
      {"U32", 32},    {"F16", 16},    {"BF16", 16},       {"I16", 16},        {"U16", 16}, {"F8_E4M3", 8},
      {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I8", 8},   {"U8", 8},
      {"BOOL", 8},    {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"F4", 4}};
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
    if (!size.is_number_unsigned() || size.get<std::uint64_t>() > std::uint64_t{1} << 40)
      tensor.wrong("shape", "whole numbers of at most 2^40");
    info.shape.push_back(size.get<std::int64_t>());
  }
  const nlohmann::json& offsets = tensor.at("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2) tensor.wrong("data_offsets", "two whole numbers");
  info.begin = offset(tensor, offsets[0]);
  info.end = offset(tensor, offsets[1]);
  if (info.begin > info.end || info.end > std::numeric_limits<std::uint64_t>::max() - data_begin)
    tensor.wrong("data_offsets", "a begin that is at most the end, in the file");
  info.begin += data_begin;
  info.end += data_begin;
  return info;
}

/// Size that dtype and shape imply; false if it is not a whole number of bytes or exceeds 64 bits.
bool size_in_bytes(const TensorInfo& info, std::uint64_t& bytes) {
  std::uint64_t bits = dtype_bits(info.dtype);
  for (const std::int64_t size : info.shape) {
    const auto factor = static_cast<std::uint64_t>(size);
    if (factor != 0 && bits > std::numeric_limits<std::uint64_t>::max() / factor) return false;
    bits *= factor;
  }
  bytes = bits / 8;
  return bits % 8 == 0;
}

template <typename Out>
using Converter = void (*)(const char* from, std::uint64_t count, Out* out);

template <typename Out, typename Stored, auto to_number>
void convert(const char* from, std::uint64_t count, Out* out) {
  for (std::uint64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * sizeof(Stored), sizeof(Stored));  // data may be unaligned
    out[i] = static_cast<Out>(to_number(stored));
  }
}

/// Null if the dtype cannot be read.
template <typename Out>
Converter<Out> converter(const std::string& dtype) {
  if (dtype == "F32") return convert<Out, float, [](float x) { return x; }>;
  if (dtype == "F64") return convert<Out, double, [](double x) { return x; }>;
  if (dtype == "BF16") return convert<Out, bf16, [](bf16 x) { return static_cast<float>(x); }>;
  if (dtype == "F16") return convert<Out, std::uint16_t, float_from_float16>;
  return nullptr;
}

}  // namespace

std::uint64_t TensorInfo::elements() const {
  std::uint64_t n = 1;
  for (const std::int64_t size : shape) n *= static_cast<std::uint64_t>(size);
  return n;
}

bool TensorInfo::readable() const { return converter<float>(dtype) != nullptr; }

// Delegates to the default constructor, so that the destructor runs when a check throws.
SafetensorsFile::SafetensorsFile(const std::filesystem::path& path, const std::vector<std::string>& needed)
    : SafetensorsFile() {
  path_ = path;
  open();
  parse_header();
  const auto missing = std::ranges::find_if(needed, [&](const std::string& name) { return !has(name); });
  check_layout(missing == needed.end() ? "" : fmt::format("; tensor {} is missing", shown(*missing)));
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::move(other.file_)),
      map_(std::exchange(other.map_, nullptr)),
      bytes_(other.bytes_),
      header_bytes_(other.header_bytes_),
      tensors_(std::move(other.tensors_)) {}

SafetensorsFile::~SafetensorsFile() {
  if (map_) munmap(const_cast<char*>(map_), bytes_);
}

void SafetensorsFile::open() {
  file_.emplace(path_);
  bytes_ = file_->size();
  if (bytes_ < kLengthBytes) bad(path_, fmt::format("it has {} bytes, a header alone has more", bytes_));
  void* const map = mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file_->descriptor(), 0);
  if (map == MAP_FAILED && errno == ENOMEM) throw std::bad_alloc();  // a limit on address space
  if (map == MAP_FAILED)
    fail(ExitCode::bad_input, fmt::format("{}: cannot be mapped: {}", path_.string(), std::strerror(errno)));
  map_ = static_cast<const char*>(map);
  // No read-ahead: other ranks read the pages around a slice.
  madvise(map, bytes_, MADV_RANDOM);
}

void SafetensorsFile::parse_header() {
  std::uint64_t length = 0;
  fetch(0, kLengthBytes);
  std::memcpy(&length, map_, kLengthBytes);  // little-endian, as every supported machine
  if (length > kHeaderLimit || length > bytes_ - kLengthBytes) refuse_mistaken(path_);
  if (length > kHeaderLimit)
    bad(path_, fmt::format("its header claims {} bytes, more than the {} allowed", length, kHeaderLimit));
  if (length > bytes_ - kLengthBytes)
    bad(path_, fmt::format("its header claims {} bytes, the file has {} in all; it may be truncated", length, bytes_));
  header_bytes_ = kLengthBytes + length;
  fetch(0, header_bytes_);
  const JsonObject header(
      parse_json(std::string_view(map_ + kLengthBytes, length), not_valid(path_) + ": its header", {.deepest = kDeepest}),
      not_valid(path_));
  release(0, header_bytes_);
  for (const auto& [name, value] : header.value().items()) {
    if (name == "__metadata__") continue;
    tensors_[name] = read_info(JsonObject(value, fmt::format("{}: tensor {}", not_valid(path_), shown(name))), header_bytes_);
  }
}

/// Checks that each tensor has the size of its dtype and shape. All tensors together must fill the data without gap or
/// overlap. `missing` explains a gap in the message.
void SafetensorsFile::check_layout(const std::string& missing) const {
  for (const auto& [name, info] : tensors_) {
    if (dtype_bits(info.dtype) == 0)
      bad(path_, fmt::format("tensor {} has the unknown dtype {}", shown(name), shown(info.dtype)));
    if (info.end > bytes_)
      bad(path_, fmt::format("tensor {} ends at byte {}, the file has {}; it may be truncated", shown(name), info.end, bytes_));
    std::uint64_t expected = 0;
    if (!size_in_bytes(info, expected) || expected != info.end - info.begin)
      bad(path_, fmt::format("tensor {}: {} [{}] does not fill the {} bytes of its data_offsets", shown(name), info.dtype,
                             fmt::join(info.shape, ", "), info.end - info.begin));
  }
  std::uint64_t at = header_bytes_;
  for (const auto& [name, begin, end] : segments()) {
    if (name.empty() && begin == 0) continue;
    if (begin < at) bad(path_, fmt::format("tensor {} overlaps the one before it by {} bytes", shown(name), at - begin));
    if (begin > at)
      bad(path_, fmt::format("{} bytes before tensor {} belong to no tensor{}", begin - at, shown(name), missing));
    at = end;
  }
  if (at != bytes_) bad(path_, fmt::format("{} bytes at its end belong to no tensor{}", bytes_ - at, missing));
}

std::vector<SafetensorsFile::Segment> SafetensorsFile::segments() const {
  std::vector<Segment> segments = {{"", 0, header_bytes_}};
  for (const auto& [name, info] : tensors_) segments.push_back({name, info.begin, info.end});
  std::ranges::sort(segments, {}, [](const Segment& s) { return std::pair(s.begin, s.end); });
  return segments;
}

const TensorInfo& SafetensorsFile::info(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail(ExitCode::bad_input, fmt::format("{}: tensor {} is missing", path_.string(), shown(name)));
  return found->second;
}

/// Makes the system read exactly the pages of a byte range at once. A truncated file becomes an error instead of a SIGBUS.
void SafetensorsFile::fetch(std::uint64_t begin, std::uint64_t end) const {
  struct stat status {};
  if (fstat(file_->descriptor(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) < bytes_)
    fail(ExitCode::bad_input,
         fmt::format("{}: shrank from {} to {} bytes while it was read; leave model files alone during a run", path_.string(),
                     bytes_, status.st_size));
  const std::uint64_t page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)), first = begin / page * page;
  char* const from = const_cast<char*>(map_) + first;
  // Linux limits each request to its read-ahead window; the rest would be read page by page, 100 times slower.
  for (std::uint64_t at = 0; at < end - first; at += kWindow)
    madvise(from + at, std::min(kWindow, end - first - at), MADV_WILLNEED);
#ifdef MADV_POPULATE_READ
  // Kernels before 5.14 lack it; there pages are read at first use.
  if (madvise(from, end - first, MADV_POPULATE_READ) != 0 && (errno == EFAULT || errno == EHWPOISON))
    fail(ExitCode::bad_input, fmt::format("{}: bytes {} to {} cannot be read from the disk", path_.string(), begin, end));
#endif
}

/// Unmaps the pages of a byte range; they stay in the page cache.
void SafetensorsFile::release(std::uint64_t begin, std::uint64_t end) const {
  const std::uint64_t page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)), first = begin / page * page;
  madvise(const_cast<char*>(map_) + first, end - first, MADV_DONTNEED);
}

void SafetensorsFile::visit(std::uint64_t begin, std::uint64_t end, const std::function<void(std::string_view)>& use) const {
  check(begin <= end && end <= bytes_, "a byte range lies in the file");
  for (; begin < end; begin += std::min(kPiece, end - begin)) {
    const std::uint64_t piece_end = begin + std::min(kPiece, end - begin);
    fetch(begin, piece_end);
    use({map_ + begin, piece_end - begin});
    release(begin, piece_end);
  }
}

template <typename Out>
void SafetensorsFile::read_as(const std::string& name, std::uint64_t first, std::uint64_t count, Out* out) const {
  const TensorInfo& tensor = info(name);
  check(first <= tensor.elements() && count <= tensor.elements() - first, "a slice lies in its tensor");
  const Converter<Out> convert_piece = converter<Out>(tensor.dtype);
  if (!convert_piece)
    fail(ExitCode::bad_input, fmt::format("{}: tensor {} has dtype {}; expected F32, F16, BF16 or F64: convert the model",
                                          path_.string(), shown(name), tensor.dtype));
  const std::uint64_t size = dtype_bits(tensor.dtype) / 8;
  visit(tensor.begin + first * size, tensor.begin + (first + count) * size, [&](std::string_view piece) {
    convert_piece(piece.data(), piece.size() / size, out);
    out += piece.size() / size;
  });
}

void SafetensorsFile::read(const std::string& name, std::uint64_t first, std::uint64_t count, float* out) const {
  read_as(name, first, count, out);
}
void SafetensorsFile::read(const std::string& name, std::uint64_t first, std::uint64_t count, double* out) const {
  read_as(name, first, count, out);
}

}  // namespace expunge
