// Ranks, streams and communicator of a job, from the start of a command to its end.
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
  /// Initialises MPI, the number of threads, logging and this rank's device. A collective without progress for
  /// compute.collective_timeout seconds ends the job. Throws Error(usage) if the device does not exist, or if two ranks would
  /// share it without --comm staged.
  Session(const ComputeConfig& compute, bool quiet);

  const Runtime& runtime() const { return runtime_; }
  int rank() const { return mpi_.rank(); }
  int world_size() const { return mpi_.size(); }
  int threads() const { return threads_; }
  /// The device of a rank: "2 threads", or the GPU's name.
  std::string device_text() const;
  /// The distinct instruction sets or GPUs of all ranks, such as "AVX2, oneDNN avx2". Others may round differently.
  const std::string& kernels() const { return kernels_; }
  /// Transport between ranks: "mpi", "nccl" or "staged".
  const std::string& comm_name() const { return engine_.comm_name; }
  /// Element type of a job without --dtype: bfloat16 on GPUs or if every rank's processor multiplies it, else float32.
  /// Collective.
  DType default_dtype() const;
  /// The same for evaluations, whose results must not depend on the processor: float32 on the CPU. Collective.
  DType evaluation_dtype() const;
  /// Ends all ranks at once.
  [[noreturn]] static void abort(ExitCode code);
  /// Bytes of device memory that this rank may use: its share of the free memory if ranks share the device; of host memory,
  /// four fifths of its share.
  std::size_t available_memory() const;

 private:
  /// Device, streams and communicator of this rank.
  struct Engine {
    Device device;
    std::unique_ptr<Stream> compute, communication;
    std::unique_ptr<Communicator> comm;
    int sharers = 1;  ///< ranks on this device, including this one
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
