// Where an output is made before it gets its name.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace expunge {

/// A hidden folder `.NAME.expunge-<random>` beside an output called NAME. Its file `.lock` carries our mark and is locked while
/// its maker lives, so that what a killed process left is told from what another one is writing.
class Staging {
 public:
  /// Makes the folder in `parent`, and removes those that killed makers of the same output left. Throws Error(output).
  Staging(const std::filesystem::path& parent, const std::string& name);
  /// Removes the folder with all that still lies in it.
  ~Staging();
  Staging(Staging&& other) noexcept;
  Staging& operator=(Staging&&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  int lock_ = -1;
};

/// Whether `path` is a staging folder of ours, by name, owner and mark; live or left behind.
bool is_staging(const std::filesystem::path& path);
/// Removes the staging folders in `parent` whose makers have ended; with a name, those of that output alone. `rescue` may take
/// something out of each before. Nothing else is touched, and nothing is thrown: what cannot be removed stays.
void remove_stale_staging(const std::filesystem::path& parent, std::string_view name = {},
                          const std::function<void(const std::filesystem::path& staging)>& rescue = {});

}  // namespace expunge
