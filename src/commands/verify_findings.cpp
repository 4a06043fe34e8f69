// Compares hashes and prints the findings.
#include "commands/verify_findings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/standard_streams.h"
#include "io/hash.h"
#include "model/llama.h"
#include "run/option_tables.h"
#include "run/provenance.h"
#include "store/checkpoint.h"
#include "store/checkpoint_files.h"
#include "store/weights.h"

namespace expunge {
namespace fs = std::filesystem;

void Findings::compare(const std::string& what, const std::string& named, const std::string& now) {
  if (now.empty())
    missing(fmt::format("{}: cannot be read any more (SHA-256 was {})", what, named));
  else if (now == named)
    fine(fmt::format("{}: SHA-256 {}", what, named));
  else
    mismatch(fmt::format("{}: SHA-256 {}, was {}", what, now, named));
}

void Findings::compare_own(const fs::path& path, const std::string& named, const std::string& now) {
  if (now.empty()) return mismatch(fmt::format("{}: gone (SHA-256 was {})", path.string(), named));
  compare(path.string(), named, now);
}

ExitCode Findings::conclude(const std::vector<std::string>& not_covered) const {
  if (!not_covered.empty()) print_result("not covered: {}\n", fmt::join(not_covered, ", "));
  print_result("{} fine, {} missing, {} that do not match\n", fine_, missing_, mismatches_);
  return mismatches_ > 0 ? ExitCode::mismatch : ExitCode::done;
}

void Findings::add(const char* kind, int& count, const std::string& what) {
  print_result("{:<9} {}\n", kind, what);
  check_printed();  // a finding that cannot be printed must not count
  ++count;
}

const std::string& Hashes::of_file(const fs::path& path) {
  return remember("file " + path.string(), [&] { return sha256_file(path); });
}

const std::string& Hashes::of_model(const fs::path& path) {
  return remember("model " + path.string(), [&] {
    // A config.json identifies the model of random weights that it describes.
    if (fs::is_regular_file(path)) return sha256_file(path);
    const WeightsSource source = locate_model(runtime_, path);
    return model_sha256(source, runtime_, llama_units(source.config, 1));
  });
}

const std::string& Hashes::remember(const std::string& key, const std::function<std::string()>& hash) {
  const auto [place, added] = known_.try_emplace(key);
  try {
    if (added) place->second = hash();
  } catch (const Error& error) {
    if (error.code() != ExitCode::bad_input) throw;
  }
  return place->second;
}

void check_origin(const Origin& origin, Hashes& hashes, Findings& findings) {
  const RunOptions options = read_run_options(origin.config, "the recorded config");
  const std::string model = original_model(options), tokens = options.input.tokens.string();
  findings.compare("the original model, " + model, origin.model_sha256, hashes.of_model(model));
  findings.compare("the token file, " + tokens, origin.tokens_sha256, hashes.of_file(tokens));
}

void check_history(const Runtime& runtime, const std::vector<FormerRun>& history, Hashes& hashes, Findings& findings) {
  for (const FormerRun& run : history) {
    const bool exported = run.how == FormerRun::kExport;
    const fs::path record = fs::path(run.from) / (exported ? kExportRecord : kManifest);
    const bool accidents = !exported && fs::exists(record) && !is_bound(run.from);
    findings.compare(fmt::format("began from {}, step {} of {}{}", run.from, run.step, method_of(run.options()),
                                 accidents ? ", whose manifest detects only accidents" : ""),
                     run.sha256, hashes.of_file(record));
    if (exported || !fs::exists(record)) continue;
    if (const std::string damage = damage_of(runtime, run.from); !damage.empty())
      findings.mismatch(fmt::format("{}: {}", run.from, damage));
  }
  if (history.empty()) return;
  const FormerRun& first = history.front();
  const std::string model = original_model(first.options());
  findings.compare("the original model of all, " + model, first.model_sha256, hashes.of_model(model));
}

}  // namespace expunge
