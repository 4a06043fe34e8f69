// Writes a log of steps as JSON lines.
#include "run/jsonl_log.h"

#include <fmt/format.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "expunge/error.h"
#include "io/files.h"

namespace expunge {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 32;

constexpr std::string_view kLineBegin = "{\"step\":";

/// The lines of steps up to `last`, without a torn last line. Checks every line.
std::string keep_until(const std::filesystem::path& path, std::int64_t last, const std::string& run) {
  const std::string text = read_file(path, kMostBytes);
  std::size_t end = 0, number = 1;
  bool kept = true;
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t line_end = text.find('\n', begin);
    const nlohmann::json row =
        nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                              text.begin() + static_cast<std::ptrdiff_t>(std::min(line_end, text.size())), nullptr, false);
    const std::string_view line(text.data() + begin, std::min(line_end, text.size()) - begin);
    if (line_end == std::string::npos && row.is_discarded() && line.starts_with(kLineBegin.substr(0, line.size()))) break;
    if (!row.is_object() || !row.contains("step") || !row["step"].is_number_integer())
      fail(ExitCode::output, fmt::format("--log-jsonl {}: line {} is not a step that expunge logged; give another name or "
                                         "remove the file",
                                         path.string(), number));
    if (const nlohmann::json its = row.value("run", nlohmann::json("")); its != run)
      fail(ExitCode::output, fmt::format("--log-jsonl {}: line {} is of another run ({}); give another name or move the file",
                                         path.string(), number, excerpt(its.dump())));
    if (line_end == std::string::npos) break;
    kept = kept && row["step"].get<std::int64_t>() <= last;
    begin = line_end + 1;
    if (kept) end = begin;
  }
  return text.substr(0, end);
}

nlohmann::ordered_json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

}  // namespace

void JsonlLog::check(const std::filesystem::path& path, const std::string& run) {
  if (std::filesystem::is_regular_file(std::filesystem::symlink_status(path)))
    (void)keep_until(path, std::numeric_limits<std::int64_t>::max(), run);
}

JsonlLog::JsonlLog(const std::filesystem::path& path, std::int64_t last_step, std::string run)
    : path_(path), run_(std::move(run)) {
  if (path.has_parent_path()) make_folder(path.parent_path());
  file_.emplace(path);
  if (std::filesystem::is_regular_file(std::filesystem::symlink_status(path)))
    file_->shorten(keep_until(path, last_step, run_).size());
}

void JsonlLog::append(const StepMetrics& metrics) {
  nlohmann::ordered_json row;
  for_each_metric([&]<typename V>(const char* name, V StepMetrics::*member) {
    if constexpr (std::is_same_v<V, double>)
      row[name] = number_or_null(metrics.*member);
    else
      row[name] = metrics.*member;
  });
  name_run(row);
  write(row.dump());
}

void JsonlLog::append(std::int64_t step, const NamedMetrics& metrics) {
  nlohmann::ordered_json row{{"step", step}};
  for (const auto& [name, value] : metrics) row[name] = number_or_null(value);
  name_run(row);
  write(row.dump());
}

void JsonlLog::name_run(nlohmann::ordered_json& row) const {
  if (!run_.empty()) row["run"] = run_;
}

void JsonlLog::write(const std::string& line) { file_->write(line + "\n"); }

}  // namespace expunge
