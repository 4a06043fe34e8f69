// The MPI library's life in this process.
#pragma once

namespace expunge {

/// Initialises MPI with thread support and finalises it. One a process.
class MpiEnvironment {
 public:
  /// Ends the process with exit code 6 and a message when the ranks have not found each other after `timeout_s` seconds: one
  /// that dies while it starts leaves the others waiting for it.
  explicit MpiEnvironment(double timeout_s);
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Ranks on this host, and this rank's number among them.
  int local_size() const { return local_size_; }
  int local_rank() const { return local_rank_; }

  /// True between initialisation and finalisation.
  static bool active();
  /// Ends all ranks with `code` as the job's exit status.
  [[noreturn]] static void abort(int code);

 private:
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
};

/// Threads this rank should use: OMP_NUM_THREADS, else the cores it is bound to, shared among the host's ranks when they
/// are not bound apart.
int threads_per_rank(const MpiEnvironment&);

}  // namespace expunge
