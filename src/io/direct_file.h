// Large writes past the system's page cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "io/descriptor.h"

namespace expunge {

/// A file that exists, written at offsets of one's choice by direct I/O, which leaves the processor to others: copying a
/// checkpoint into fresh pages of the system takes a core ten times as long as the disk takes. What direct I/O cannot do, what
/// is no whole block or lies on a file system without it, goes through the page cache. Errors: Error(output).
class DirectFile {
 public:
  /// Direct are writes of whole blocks, at offsets that are multiples of it.
  static constexpr std::size_t kBlock = 4096;

  explicit DirectFile(std::filesystem::path path);

  std::uint64_t size() const;
  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;
  /// Flushes to disk.
  void sync();

 private:
  /// Whether the piece that lies in the buffer was written by direct I/O.
  bool write_directly(std::uint64_t offset, std::size_t bytes);

  std::filesystem::path path_;
  Descriptor cached_;
  std::optional<Descriptor> direct_;                    // none where the file system has no direct I/O
  std::unique_ptr<std::byte, void (*)(void*)> buffer_;  // aligned, as direct I/O wants it
};

}  // namespace expunge
