// The commands that run or handle models; each returns when done and throws Error otherwise.
#pragma once

#include <filesystem>
#include <optional>

#include "commands/options.h"
#include "expunge/dtype.h"
#include "expunge/error.h"
#include "plan/options.h"
#include "report/options.h"
#include "session/session.h"

namespace expunge {

/// `expunge eval`.
void run_evaluation(Session& session, const EvalConfig& config);
/// `expunge generate`.
void run_generation(Session& session, const GenerateConfig& config);
/// Where it says how its output was made.
std::filesystem::path record_of_generation(const std::filesystem::path& output);
/// `expunge task`.
void run_task(Session& session, const TaskConfig& config);
/// `expunge export`: the newest good checkpoint of a run, or one checkpoint, as a Hugging Face folder. Weights are stored as
/// `dtype`, or as the model's config.json says.
void run_export(Session& session, const std::filesystem::path& checkpoint, const std::filesystem::path& output,
                std::optional<DType> dtype);
/// `expunge verify`: prints for every hash that a run folder, or a folder of run_export, names whether it still holds.
/// ExitCode::mismatch when one does not; what is missing is said, and is no mismatch. Throws Error(bad_input) at the end for a
/// run without a good checkpoint, and Error(output) at a line that could not be printed.
ExitCode run_verify(Session& session, const std::filesystem::path& path);
/// `expunge plan`: prints what a run would take. Throws Error(usage) with the reason where it does not fit. Without MPI.
void run_plan(const PlanConfig& config);
/// `expunge report`: an HTML page, the same as Markdown beside it, and the figures as SVG files. One process, without MPI.
void run_report(const ReportConfig& config);
/// The Markdown and the folder of figures of a report whose page is `page`.
std::vector<std::filesystem::path> files_beside_report(const std::filesystem::path& page);

}  // namespace expunge
