// Staging folders: outputs are made there before they get their name.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace expunge {

/// A hidden folder `.NAME.expunge-<random>` beside an output NAME. Its file `.lock` carries our mark and stays locked while
/// its creator lives. That distinguishes leftovers of killed processes from outputs in progress.
class Staging {
 public:
  /// Creates the folder in `parent` and removes leftovers of killed creators of the same output. Throws Error(output).
  Staging(const std::filesystem::path& parent, const std::string& name);
  /// Removes the folder with its remaining content.
  ~Staging();
  Staging(Staging&& other) noexcept;
  Staging& operator=(Staging&&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  int lock_ = -1;
};

/// Whether `path` is a staging folder of ours, live or left behind, by name, owner and mark.
bool is_staging(const std::filesystem::path& path);
/// Removes the staging folders in `parent` whose creators have ended; with a name, only those of that output. `rescue` may
/// first save content of each. Touches and throws nothing else: what cannot be removed stays.
void remove_stale_staging(const std::filesystem::path& parent, std::string_view name = {},
                          const std::function<void(const std::filesystem::path& staging)>& rescue = {});

}  // namespace expunge
