// Sends and answers the questions that find missing ranks.
#include "comm/missing_ranks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

namespace expunge {
namespace {

enum Tag { kQuestion = 1, kAnswer = 2 };
constexpr std::size_t kHostBytes = 64;

void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

}  // namespace

MissingRanks::MissingRanks() {
  MPI_Comm_dup(MPI_COMM_WORLD, &comm_);
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  char mine[kHostBytes] = {};
  gethostname(mine, sizeof(mine) - 1);
  std::vector<char> all(kHostBytes * static_cast<std::size_t>(size_));
  MPI_Allgather(mine, kHostBytes, MPI_CHAR, all.data(), kHostBytes, MPI_CHAR, comm_);
  for (std::size_t r = 0; r < static_cast<std::size_t>(size_); ++r) hosts_.emplace_back(all.data() + r * kHostBytes);
}

MissingRanks::~MissingRanks() { MPI_Comm_free(&comm_); }

void MissingRanks::send(int rank, int tag, std::uint64_t count, const char* collective) {
  Message& message = sent_.emplace_back();
  message.position.count = count;
  std::strncpy(message.position.collective, collective, sizeof(message.position.collective) - 1);
  MPI_Isend(&message.position, sizeof(Position), MPI_BYTE, rank, tag, comm_, &message.request);
}

/// Receives a waiting message; returns its sender, or -1 if there is none.
int MissingRanks::receive(int tag, Position& position) {
  int there = 0;
  MPI_Status status{};
  if (MPI_Iprobe(MPI_ANY_SOURCE, tag, comm_, &there, &status) != MPI_SUCCESS || !there) return -1;
  MPI_Recv(&position, sizeof(Position), MPI_BYTE, status.MPI_SOURCE, tag, comm_, MPI_STATUS_IGNORE);
  return status.MPI_SOURCE;
}

bool MissingRanks::answer(std::uint64_t count, const char* collective) {
  Position unused;
  bool asked = false;
  for (int from = 0; (from = receive(kQuestion, unused)) >= 0; asked = true) send(from, kAnswer, count, collective);
  return asked;
}

std::string MissingRanks::find(std::uint64_t count, const char* collective, double waited_s) {
  using Clock = std::chrono::steady_clock;
  for (int r = 0; r < size_; ++r)
    if (r != rank_) send(r, kQuestion, count, collective);
  std::vector<std::optional<Position>> present(static_cast<std::size_t>(size_));
  Position position;
  bool another_calls = false;
  const auto seconds = [](double s) { return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s)); };
  for (const auto end = Clock::now() + seconds(kAnswerSeconds); Clock::now() < end; nap()) {
    for (int from = 0; (from = receive(kAnswer, position)) >= 0;) present[static_cast<std::size_t>(from)] = position;
    for (int from = 0; (from = receive(kQuestion, position)) >= 0;) {
      send(from, kAnswer, count, collective);
      another_calls |= from < rank_;
    }
  }
  // If several ranks ask at once, only the lowest reports; it ends the job while the others wait.
  for (const auto end = Clock::now() + seconds(another_calls ? kVerdictSeconds : 0); Clock::now() < end; nap())
    (void)answer(count, collective);

  std::vector<std::string> missing, waiting;
  for (int r = 0; r < size_; ++r) {
    if (r == rank_) continue;
    const auto i = static_cast<std::size_t>(r);
    if (present[i])
      waiting.push_back(fmt::format("rank {} in {} number {}", r, present[i]->collective, present[i]->count));
    else
      missing.push_back(fmt::format("rank {} (host {})", r, hosts_[i]));
  }
  const std::string what =
      fmt::format("no progress in {} number {} for {:.0f} s (--collective-timeout)", collective, count, waited_s);
  if (missing.empty())
    return fmt::format("{}: no rank is missing, all are waiting ({}): a message between them was lost", what,
                       fmt::join(waiting, ", "));
  return fmt::format("{}: {} of {} ranks missing: {}; stopped, hung, or cut off from the network", what, missing.size(), size_,
                     fmt::join(missing, ", "));
}

}  // namespace expunge
