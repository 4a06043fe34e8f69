// Writes safetensors files and converts to their element type.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "expunge/error.h"
#include "io/float16.h"
#include "io/json.h"
#include "io/safetensors.h"

namespace expunge {
namespace {

std::string stored_name(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "F32";
    case DType::float64:
      return "F64";
    case DType::bfloat16:
      return "BF16";
    case DType::float16:
      return "F16";
  }
  fail(ExitCode::internal, "dtype without a stored name");
}

template <typename Stored, typename Convert>
void encode(const double* values, std::uint64_t count, std::string& out, Convert to_stored) {
  out.resize(count * sizeof(Stored));
  for (std::uint64_t i = 0; i < count; ++i) {
    const Stored stored = to_stored(values[i]);
    std::memcpy(out.data() + i * sizeof(Stored), &stored, sizeof(Stored));
  }
}

}  // namespace

std::uint64_t SafetensorsWriter::Tensor::elements() const {
  std::uint64_t n = 1;
  for (const std::int64_t size : shape) n *= static_cast<std::uint64_t>(size);
  return n;
}

// Delegates to the other constructor, so that the destructor runs when a write fails.
SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, DType dtype, const std::vector<Tensor>& tensors)
    : SafetensorsWriter(path, dtype) {
  nlohmann::ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t at = 0;
  for (const Tensor& tensor : tensors) {
    const std::uint64_t end = at + tensor.elements() * static_cast<std::uint64_t>(dtype_size(dtype));
    append_member(header, tensor.name, {{"dtype", stored_name(dtype)}, {"shape", tensor.shape}, {"data_offsets", {at, end}}});
    at = end;
    left_ += tensor.elements();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // aligns the data
  file_ = ::open(pending_.temporary().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file_ < 0) fail(ExitCode::output, fmt::format("{}: cannot be created: {}", path.string(), std::strerror(errno)));
  const std::uint64_t length = text.size();
  write_all(&length, sizeof(length));
  write_all(text.data(), length);
}

SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&& other) noexcept
    : pending_(std::move(other.pending_)),
      dtype_(other.dtype_),
      file_(std::exchange(other.file_, -1)),
      left_(other.left_),
      converted_(std::move(other.converted_)) {}

SafetensorsWriter::~SafetensorsWriter() {
  if (file_ >= 0) ::close(file_);
}

void SafetensorsWriter::append(const double* values, std::uint64_t count) {
  check(count <= left_, "no more elements are written than were announced");
  left_ -= count;
  switch (dtype_) {
    case DType::float32:
      encode<float>(values, count, converted_, [](double x) { return static_cast<float>(x); });
      break;
    case DType::float64:
      encode<double>(values, count, converted_, [](double x) { return x; });
      break;
    case DType::bfloat16:
      encode<bf16>(values, count, converted_, [](double x) { return bf16(static_cast<float>(x)); });
      break;
    case DType::float16:
      encode<std::uint16_t>(values, count, converted_, [](double x) { return float16_from_float(static_cast<float>(x)); });
      break;
  }
  write_all(converted_.data(), converted_.size());
}

double as_stored(double value, DType dtype) {
  const auto single = static_cast<float>(value);
  switch (dtype) {
    case DType::float32:
      return single;
    case DType::float64:
      return value;
    case DType::bfloat16:
      return static_cast<float>(bf16(single));
    case DType::float16:
      return float_from_float16(float16_from_float(single));
  }
  return value;
}

void SafetensorsWriter::finish() {
  check(left_ == 0, "every announced element was written");
  const int closed = ::close(std::exchange(file_, -1));
  if (closed != 0)
    fail(ExitCode::output, fmt::format("{}: cannot be written: {}", pending_.path().string(), std::strerror(errno)));
  pending_.commit();
}

void SafetensorsWriter::write_all(const void* data, std::uint64_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(file_, at, std::min<std::uint64_t>(bytes, std::uint64_t{1} << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      fail(ExitCode::output, fmt::format("{}: cannot be written: {}", pending_.path().string(), std::strerror(errno)));
    at += written;
    bytes -= static_cast<std::uint64_t>(written);
  }
}

}  // namespace expunge
