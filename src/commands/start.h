// How commands start: MPI, the element type where none is named, and what outputs say of the options.
#pragma once

#include <string>
#include <type_traits>

#include "commands/file_uses.h"
#include "core/standard_streams.h"
#include "expunge/error.h"
#include "session/launcher.h"
#include "session/session.h"
#include "session/version.h"

namespace expunge {

/// Runs `work` with MPI up; a failure is reported before MPI comes down, so that the other ranks end too.
template <typename Work>
int in_session(const ComputeConfig& compute, bool quiet, Work work) {
  Session session(compute, quiet);
  return guarded({session.rank(), session.world_size()}, [&] {
    ExitCode code = ExitCode::done;
    if constexpr (std::is_void_v<std::invoke_result_t<Work, Session&>>)
      work(session);
    else
      code = work(session);
    check_printed();
    barrier(session.runtime());  // MPI_Finalize would wait without a time limit for a rank that hangs
    return static_cast<int>(code);
  });
}

inline void check_files(const Session& session, const OptionTable& given) {
  on_root(session.runtime(), [&] { check_file_uses(given); });
}

/// The same as in_session() for a command that runs a model as config.compute says; where that names no element type,
/// `default_dtype` does.
template <typename Config, typename Work>
int with_model(Config& config, DType (Session::*default_dtype)() const, Work work) {
  return in_session(config.compute, config.quiet, [&](Session& session) {
    if (config.compute.dtype_by_device) config.compute.dtype = (session.*default_dtype)();
    config.compute.dtype_by_device = false;  // the options that outputs name have it
    config.libraries = version_text(session.kernels());
    return work(session);
  });
}

/// Runs a command that leaves a model as it is.
template <typename Config>
int start_inference(Config& config, const OptionTable& given, OptionTable (*options)(Config&),
                    void (*run)(Session&, const Config&)) {
  return with_model(config, &Session::evaluation_dtype, [&](Session& session) {
    config.resolved = options(config).text();  // what outputs say of the options
    check_files(session, given);
    run(session, config);
  });
}

}  // namespace expunge
