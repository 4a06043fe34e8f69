// A job's ranks, streams and communicator, from the start of a command to its end.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "expunge/comm/communicator.h"
#include "expunge/comm/mpi_environment.h"

namespace expunge {

class Session {
 public:
  /// Initialises MPI, sets the number of threads and who logs. A collective that makes no progress for `collective_timeout_s`
  /// ends the job. Throws Error(usage) for a device this build lacks.
  Session(const std::string& device, bool quiet, double collective_timeout_s = 1800);

  const Runtime& runtime() const { return runtime_; }
  int rank() const { return mpi_.rank(); }
  int world_size() const { return mpi_.size(); }
  int threads() const { return threads_; }
  /// Memory that this rank may count on: what the host has free, shared among its ranks. Bytes.
  std::size_t available_memory() const;

 private:
  MpiEnvironment mpi_;
  int threads_;
  std::unique_ptr<Stream> compute_ = make_inline_stream(), communication_ = make_thread_stream();
  std::unique_ptr<Communicator> comm_;
  Runtime runtime_;
};

}  // namespace expunge
