// Owns MPI's initialisation and finalisation in this process.
#pragma once

namespace expunge {

/// Initialises MPI with thread support and finalises it. One per process.
class MpiEnvironment {
 public:
  /// Ends the process with exit code 6 and a message if MPI does not connect the ranks within `timeout_s` seconds. Otherwise
  /// a rank that dies during its start would leave the others waiting.
  explicit MpiEnvironment(double timeout_s);
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Number of ranks on this host, and this rank's number among them.
  int local_size() const { return local_size_; }
  int local_rank() const { return local_rank_; }

  /// True between initialisation and finalisation.
  static bool active();
  /// Ends all ranks with `code` as the job's exit status.
  [[noreturn]] static void abort(int code);

 private:
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
};

/// Number of threads for this rank: OMP_NUM_THREADS if set, else the cores it is bound to. Ranks of a host that are bound to
/// the same cores share them. Throws Error(usage) for an invalid OMP_NUM_THREADS.
int threads_per_rank(const MpiEnvironment&);

}  // namespace expunge
