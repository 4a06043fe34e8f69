// Encodes TFRecord frames and the protocol buffer messages of a scalar.
#include "run/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <span>

#include "core/process.h"
#include "expunge/error.h"
#include "io/hash.h"

namespace expunge {
namespace {

template <typename T>
std::string little_endian(T value) {
  static_assert(std::endian::native == std::endian::little, "bytes of a number are written as they lie in memory");
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// CRC-32C rotated and shifted as in TensorFlow, so that a CRC over data with CRCs stays meaningful.
std::uint32_t masked_crc(std::string_view data) {
  const std::uint32_t crc = crc32c(std::as_bytes(std::span(data)));
  return std::rotr(crc, 15) + 0xa282ead8u;
}

// Protocol buffers: a field is its number and wire type as a varint, then its value.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

enum Wire : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string key(std::uint64_t field, Wire wire) { return varint(field << 3 | wire); }
std::string field(std::uint64_t number, std::string_view bytes) {
  return key(number, kBytes) + varint(bytes.size()) + std::string(bytes);
}
std::string field(std::uint64_t number, std::int64_t value) {
  return key(number, kVarint) + varint(static_cast<std::uint64_t>(value));
}
std::string field(std::uint64_t number, double value) { return key(number, kFixed64) + little_endian(value); }
std::string field(std::uint64_t number, float value) { return key(number, kFixed32) + little_endian(value); }

// Readers look for the beginning of the name; its end identifies our files.
constexpr std::string_view kBegin = "events.out.tfevents.", kEnd = ".expunge";

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

std::string tf_record(std::string_view data) {
  const std::string length = little_endian(static_cast<std::uint64_t>(data.size()));
  return length + little_endian(masked_crc(length)) + std::string(data) + little_endian(masked_crc(data));
}

std::string version_event(double wall_time) { return field(1, wall_time) + field(3, std::string_view("brain.Event:2")); }

std::string start_event(double wall_time, std::int64_t step) {
  return field(1, wall_time) + field(2, step) + field(7, field(1, std::int64_t{1}));
}

std::string scalar_event(double wall_time, std::int64_t step, const std::vector<std::pair<std::string, float>>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) summary += field(1, field(1, std::string_view(tag)) + field(2, value));
  return field(1, wall_time) + field(2, step) + field(5, std::string_view(summary));
}

bool TensorboardFile::is_own(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with(kBegin) && name.ends_with(kEnd) &&
         std::filesystem::is_regular_file(std::filesystem::symlink_status(path));
}

TensorboardFile::TensorboardFile(const std::filesystem::path& folder, std::int64_t last_step) {
  make_folder(folder);
  // Readers sort the files by name, so the time comes first; the process id separates two starts within a second.
  path_ = folder / fmt::format("{}{:010}.{}.{}{}", kBegin, static_cast<std::int64_t>(now()), host_name(), getpid(), kEnd);
  file_.emplace(path_);
  write(version_event(now()));
  if (last_step > 0) write(start_event(now(), last_step + 1));
}

void TensorboardFile::append(const StepMetrics& metrics) {
  std::vector<std::pair<std::string, float>> scalars;
  for_each_metric([&](std::string_view name, auto member) {
    const auto scalar = static_cast<float>(metrics.*member);
    if (name != "step" && std::isfinite(scalar)) scalars.emplace_back(fmt::format("train/{}", name), scalar);
  });
  write(scalar_event(now(), metrics.step, scalars));
}

void TensorboardFile::append(std::int64_t step, const NamedMetrics& metrics) {
  std::vector<std::pair<std::string, float>> scalars;
  for (const auto& [name, value] : metrics)
    if (std::isfinite(value)) scalars.emplace_back(name, static_cast<float>(value));
  write(scalar_event(now(), step, scalars));
}

void TensorboardFile::write(const std::string& event) { file_->write(tf_record(event)); }

}  // namespace expunge
