// For tests: a file system that fills up. It can only be made by root; elsewhere such tests are skipped.
#pragma once

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif
#include <sys/mount.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "support/temporary_folder.h"

namespace expunge {

#ifdef __SANITIZE_ADDRESS__
/// HDF5 never frees what it could not write; that is not ours to report.
using IgnoreLeaks = __lsan::ScopedDisabler;
#else
struct IgnoreLeaks {};
#endif

class TinyDisk {
 public:
  explicit TinyDisk(std::uint64_t bytes)
      : mounted_(::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, ("size=" + std::to_string(bytes)).c_str()) == 0) {}
  ~TinyDisk() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  TinyDisk(const TinyDisk&) = delete;
  bool ready() const { return mounted_; }
  const TemporaryFolder& folder() const { return folder_; }
  /// Takes whatever space is left.
  void fill() const {
    std::ofstream file(folder_ / "filler", std::ios::binary);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }

 private:
  IgnoreLeaks ignore_leaks_;
  TemporaryFolder folder_;
  bool mounted_;
};

}  // namespace expunge
