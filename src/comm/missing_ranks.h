// Finds the missing ranks of a collective that hangs: waiting ranks answer a question, missing ranks do not.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <list>
#include <string>
#include <vector>

namespace expunge {

/// Point-to-point messages on a communicator of their own, sent only after a rank has reached its time limit. They cost
/// nothing before, need no shared folder, and take the same network path as the collectives. A rank that is stopped, hangs in
/// its own work or is cut off does not answer. Used by the thread that polls collectives.
class MissingRanks {
 public:
  /// Collective.
  MissingRanks();
  ~MissingRanks();
  MissingRanks(const MissingRanks&) = delete;
  MissingRanks& operator=(const MissingRanks&) = delete;

  /// Answers the questions of other ranks; called often while this rank waits in its collective number `count`. Returns true
  /// if a rank asked: that rank will end the job, so this one should wait `kVerdictSeconds` more.
  bool answer(std::uint64_t count, const char* collective);
  /// Asks all ranks and returns an error message that names the missing ones.
  std::string find(std::uint64_t count, const char* collective, double waited_s);

  static constexpr double kAnswerSeconds = 5, kVerdictSeconds = 15;

 private:
  struct Position {
    std::uint64_t count = 0;
    char collective[24] = {};
  };
  struct Message {
    Position position;
    MPI_Request request{};
  };
  void send(int rank, int tag, std::uint64_t count, const char* collective);
  int receive(int tag, Position& position);

  MPI_Comm comm_{};
  int rank_ = 0, size_ = 1;
  std::vector<std::string> hosts_;
  std::list<Message> sent_;  // never waited for: a send to a missing rank may not end
};

}  // namespace expunge
