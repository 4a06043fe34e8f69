// Starts commands: MPI, the default element type, and the record of the options for outputs.
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

/// Runs `work` between start and end of MPI. Reports a failure before the end of MPI, so that the other ranks end too.
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
    barrier(session.runtime());  // because MPI_Finalize waits for a hanging rank without a time limit
    return static_cast<int>(code);
  });
}

inline void check_files(const Session& session, const OptionTable& given) {
  on_root(session.runtime(), [&] { check_file_uses(given); });
}

/// The same as in_session(), for a command that runs a model with config.compute. If no element type is given, it is
/// `default_dtype`.
template <typename Config, typename Work>
int with_model(Config& config, DType (Session::*default_dtype)() const, Work work) {
  return in_session(config.compute, config.quiet, [&](Session& session) {
    if (config.compute.dtype_by_device) config.compute.dtype = (session.*default_dtype)();
    config.compute.dtype_by_device = false;  // so that the options in outputs name the element type
    config.libraries = version_text(session.kernels());
    return work(session);
  });
}

/// Runs a command that does not change the model.
template <typename Config>
int start_inference(Config& config, const OptionTable& given, OptionTable (*options)(Config&),
                    void (*run)(Session&, const Config&)) {
  return with_model(config, &Session::evaluation_dtype, [&](Session& session) {
    config.resolved = options(config).text();  // the record of the options for outputs
    check_files(session, given);
    run(session, config);
  });
}

}  // namespace expunge
