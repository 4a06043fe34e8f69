// Names a run after its settings.
#include "run/run_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "io/files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

std::string domain_name(const RunOptions& config) {
  if (!config.input.domain.empty()) return config.input.domain;
  std::vector<std::string> domains;
  for (const std::string& split : config.input.splits)
    if (const std::string domain = split.substr(0, split.find('/')); std::ranges::find(domains, domain) == domains.end())
      domains.push_back(domain);
  return fmt::format("{}", fmt::join(domains, "+"));
}

/// The last folder of a path, with or without a slash at its end.
std::string last_folder(const fs::path& path) {
  const fs::path whole = whole_path(path);
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

/// "2.0e_5" of 2e-5.
std::string rate_name(double rate) {
  const std::string text = fmt::format("{:.1e}", rate);
  const auto e = text.find('e');
  const std::string digits = text.substr(e + 2);  // past the sign
  const auto first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
  return text.substr(0, e + 1) + (text[e + 1] == '-' ? "_" : "") + digits.substr(first);
}

}  // namespace

fs::path run_name(const RunOptions& config, int world_size) {
  const std::int64_t at_once = world_size * config.batch.per_device;
  const std::int64_t accumulation = config.batch.global > 0 ? (config.batch.global + at_once - 1) / at_once
                                                            : std::max<std::int64_t>(config.batch.accumulation, 1);
  const std::string settings =
      fmt::format("{}_rank_bs_{}_gas_{}_lr_{}_epoch{}{}{}", world_size, config.batch.per_device, accumulation,
                  rate_name(config.schedule.learning_rate), config.schedule.num_train_epochs,
                  config.samples.retain.general ? "_general" : "", config.labels.rm_groundtruth ? "_rmgt" : "");
  const std::string model = config.input.model.empty() ? last_folder(fs::absolute(config.input.init_config).parent_path())
                                                       : last_folder(config.input.model);
  const fs::path folder = fs::path("output") / domain_name(config) / model / settings;
  return config.command == "unlearn" ? folder / "unlearn" / config.method.name : folder / "train";
}

}  // namespace expunge
