// A job's ranks, streams and communicator, from the start of a command to its end.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "comm/mpi_environment.h"
#include "expunge/communicator.h"
#include "expunge/error.h"
#include "session/options.h"

namespace expunge {

class Session {
 public:
  /// Initialises MPI, sets the number of threads and who logs, and takes this rank's device. A collective that makes no
  /// progress for compute.collective_timeout seconds ends the job. Throws Error(usage) for a device that is not there, or that
  /// two ranks would share without asking for it.
  Session(const ComputeConfig& compute, bool quiet);

  const Runtime& runtime() const { return runtime_; }
  int rank() const { return mpi_.rank(); }
  int world_size() const { return mpi_.size(); }
  int threads() const { return threads_; }
  /// What a rank computes on: "2 threads", or the GPU's name.
  std::string device_text() const;
  /// By which instruction sets or GPUs the ranks compute: "AVX2, oneDNN avx2", each different one. Others may round
  /// differently.
  const std::string& kernels() const { return kernels_; }
  /// What ranks talk over: "mpi", "nccl" or "staged".
  const std::string& comm_name() const { return engine_.comm_name; }
  /// Element type of a job that names none: bfloat16 on GPUs, and where every rank's processor multiplies it; else float32.
  /// Collective.
  DType default_dtype() const;
  /// The same of figures, which are not to differ from processor to processor: float32 on the CPU. Collective.
  DType evaluation_dtype() const;
  /// Ends all ranks at once.
  [[noreturn]] static void abort(ExitCode code);
  /// Memory of the device that this rank may count on: of what is free, its share where ranks share the device, and of a host
  /// four fifths. Bytes.
  std::size_t available_memory() const;

 private:
  /// Streams and communicator of a device.
  struct Engine {
    Device device;
    std::unique_ptr<Stream> compute, communication;
    std::unique_ptr<Communicator> comm;
    int sharers = 1;  ///< ranks on the device, with this one
    std::string comm_name = "mpi";
  };
  static Engine make_engine(const MpiEnvironment& mpi, const ComputeConfig& compute);
  static void connect(Engine& engine);

  MpiEnvironment mpi_;
  int threads_;
  Engine engine_;
  Runtime runtime_;
  std::string kernels_;
};

}  // namespace expunge
