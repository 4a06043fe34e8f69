// The findings of `expunge verify`: recorded hashes, compared with the files on disk.
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

/// Prints one line per finding and counts them. Throws Error(output) if a line cannot be printed.
class Findings {
 public:
  void fine(const std::string& what) { add("ok", fine_, what); }
  void missing(const std::string& what) { add("missing", missing_, what); }
  void mismatch(const std::string& what) { add("MISMATCH", mismatches_, what); }
  /// Compares a recorded hash with the hash `now`, which is empty for a missing file.
  void compare(const std::string& what, const std::string& named, const std::string& now);
  /// The same for a file of the run or model itself, which must not be missing.
  void compare_own(const std::filesystem::path& path, const std::string& named, const std::string& now);
  /// Prints the counts. `not_covered` names files that were not checked.
  ExitCode conclude(const std::vector<std::string>& not_covered) const;

 private:
  static void add(const char* kind, int& count, const std::string& what);
  int fine_ = 0, missing_ = 0, mismatches_ = 0;
};

/// Hashes of files and models, each computed once; empty for one that cannot be read.
class Hashes {
 public:
  explicit Hashes(const Runtime& runtime) : runtime_(runtime) {}
  const std::string& of_file(const std::filesystem::path& path);
  /// The hash by model_sha256(). For a config.json, which identifies a model of random weights, the hash of the file.
  const std::string& of_model(const std::filesystem::path& path);

 private:
  const std::string& remember(const std::string& key, const std::function<std::string()>& hash);
  const Runtime& runtime_;
  std::map<std::string, std::string> known_;
};

/// The inputs of a run.
struct Origin {
  std::string config, model_sha256, tokens_sha256;
};
/// Compares the original model and the token file with their hashes.
void check_origin(const Origin& origin, Hashes& hashes, Findings& findings);
/// The same for the runs before, oldest first, and for the first run's original model.
void check_history(const Runtime& runtime, const std::vector<FormerRun>& history, Hashes& hashes, Findings& findings);

/// `expunge verify` of a model folder that `expunge export` wrote.
ExitCode verify_export(const Runtime& runtime, const std::filesystem::path& folder);

}  // namespace expunge
