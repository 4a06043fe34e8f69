// Who is missing when a collective does not end: ranks that wait answer whoever asks, and the missing ones are silent.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <list>
#include <string>
#include <vector>

namespace expunge {

/// Point-to-point messages on a communicator of its own, sent only when a rank has waited for its time limit. They cost nothing
/// before that, need no folder that all see, and take the way that the collectives take: a rank that is stopped, hangs in its
/// own work or is cut off from the network does not answer, whatever the reason. Used from the thread that polls collectives.
class RollCall {
 public:
  /// Collective.
  RollCall();
  ~RollCall();
  RollCall(const RollCall&) = delete;
  RollCall& operator=(const RollCall&) = delete;

  /// To be called often while this rank waits in its collective number `count`: answers ranks that ask. True when one did: it
  /// will end the job, and this rank should give it `kVerdictSeconds` to.
  bool answer(std::uint64_t count, const char* collective);
  /// Asks all ranks, and says who is missing, for an error message.
  std::string call(std::uint64_t count, const char* collective, double waited_s);

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
  std::list<Message> sent_;  // never waited for: those to a missing rank may not end
};

}  // namespace expunge
