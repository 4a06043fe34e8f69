// Large writes that bypass the system's page cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "io/descriptor.h"

namespace expunge {

/// An existing file, written at given offsets by direct I/O, which frees the processor: copying a checkpoint into fresh cache
/// pages keeps a core busy ten times as long as the disk. The page cache takes what direct I/O cannot write: partial blocks,
/// or anything on a file system without direct I/O. Errors: Error(output).
class DirectFile {
 public:
  /// Whole blocks at multiples of this offset are written directly.
  static constexpr std::size_t kBlock = 4096;

  explicit DirectFile(std::filesystem::path path);

  std::uint64_t size() const;
  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;
  /// Flushes to disk.
  void sync();

 private:
  /// Whether direct I/O wrote the piece in the buffer.
  bool write_directly(std::uint64_t offset, std::size_t bytes);

  std::filesystem::path path_;
  Descriptor cached_;
  std::optional<Descriptor> direct_;                    // empty if the file system has no direct I/O
  std::unique_ptr<std::byte, void (*)(void*)> buffer_;  // aligned for direct I/O
};

}  // namespace expunge
