// What `expunge verify` finds: hashes named, held against what lies on disk.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "expunge/communicator.h"
#include "expunge/error.h"
#include "run/history.h"

namespace expunge {

/// One line a finding, and their numbers. Throws Error(output) at a line that could not be printed.
class Findings {
 public:
  void fine(const std::string& what) { add("ok", fine_, what); }
  void missing(const std::string& what) { add("missing", missing_, what); }
  void mismatch(const std::string& what) { add("MISMATCH", mismatches_, what); }
  /// Compares, where there is something to compare with; `now` is empty for what is gone.
  void compare(const std::string& what, const std::string& named, const std::string& now);
  /// The same of a file that belongs to what is verified, and may not be gone.
  void compare_own(const std::filesystem::path& path, const std::string& named, const std::string& now);
  /// `not_covered`: what lies beside what was verified.
  ExitCode conclude(const std::vector<std::string>& not_covered) const;

 private:
  static void add(const char* kind, int& count, const std::string& what);
  int fine_ = 0, missing_ = 0, mismatches_ = 0;
};

/// Hashes of what paths lead to, each worked out once; empty for what cannot be read.
class Hashes {
 public:
  explicit Hashes(const Runtime& runtime) : runtime_(runtime) {}
  const std::string& of_file(const std::filesystem::path& path);
  /// As model_sha256() works it out; of a config.json, which stands for the model of random weights that it describes, its own.
  const std::string& of_model(const std::filesystem::path& path);

 private:
  const std::string& remember(const std::string& key, const std::function<std::string()>& hash);
  const Runtime& runtime_;
  std::map<std::string, std::string> known_;
};

/// What a run was made from.
struct Origin {
  std::string config, model_sha256, tokens_sha256;
};
/// Holds the original model and the token file against their hashes.
void check_origin(const Origin& origin, Hashes& hashes, Findings& findings);
/// The same of the runs before, oldest first, back to the original model of all.
void check_history(const Runtime& runtime, const std::vector<FormerRun>& history, Hashes& hashes, Findings& findings);

/// `expunge verify` of a model folder that `expunge export` wrote.
ExitCode verify_export(const Runtime& runtime, const std::filesystem::path& folder);

}  // namespace expunge
