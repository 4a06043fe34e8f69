// `expunge report`: an HTML page, the same as Markdown beside it, and the plots as SVG files.
#pragma once

#include <filesystem>
#include <vector>

#include "commands/run_command.h"
#include "report/options.h"

namespace expunge {

/// The table refers to `config`, which must outlive it at the same address.
OptionTable report_options(ReportConfig& config);
/// The Markdown and the folder of plots of a report with this page.
std::vector<std::filesystem::path> files_beside_report(const std::filesystem::path& page);
Command report_command();

}  // namespace expunge
