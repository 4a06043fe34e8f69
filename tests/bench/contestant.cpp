// Child processes over a pair of pipes.
#include "bench/contestant.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "expunge/error.h"

namespace expunge::bench {

Contestant::Contestant(std::string name, std::vector<std::string> command, const nlohmann::json& work)
    : name_(std::move(name)) {
  command.push_back(work.dump());
  int in[2], out[2];
  check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "pipe2");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const int error = posix_spawnp(&child_, arguments.front(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  to_ = fdopen(in[1], "w");
  from_ = fdopen(out[0], "r");
  if (error != 0) fail(ExitCode::internal, fmt::format("cannot start {}: {}", command.front(), std::strerror(error)));
}

Contestant::Contestant(Contestant&& other) noexcept
    : name_(std::move(other.name_)),
      child_(std::exchange(other.child_, 0)),
      to_(std::exchange(other.to_, nullptr)),
      from_(std::exchange(other.from_, nullptr)) {}

Contestant::~Contestant() {
  if (to_) std::fclose(to_);
  if (from_) std::fclose(from_);
  if (child_ > 0) waitpid(child_, nullptr, 0);
}

Run Contestant::run() {
  std::fputs("run\n", to_);
  std::fflush(to_);
  char* line = nullptr;
  std::size_t room = 0;
  const ssize_t length = getline(&line, &room, from_);
  const std::string text = length > 0 ? std::string(line, static_cast<std::size_t>(length)) : "";
  std::free(line);
  if (text.empty()) fail(ExitCode::internal, fmt::format("{} ended without an answer", name_));
  Run run{0, nlohmann::json::parse(text)};
  run.seconds = run.answer.at("seconds");
  return run;
}

const Run& Result::median() const {
  std::vector<const Run*> order;
  for (const Run& run : runs) order.push_back(&run);
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(order.size() / 2);
  std::nth_element(order.begin(), middle, order.end(), [](const Run* a, const Run* b) { return a->seconds < b->seconds; });
  return **middle;
}

double Result::peak_bytes() const { return runs.back().answer.at("peak_bytes"); }

std::vector<Result> compete(std::vector<Contestant> contestants, int rounds, double limit_s, double long_run_s) {
  std::vector<Result> results;
  std::vector<double> used(contestants.size());
  for (const Contestant& contestant : contestants) results.push_back({contestant.name(), {}});
  for (int round = -1; round < rounds; ++round)
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      std::vector<Run>& runs = results[i].runs;
      if (runs.size() == static_cast<std::size_t>(rounds) || (used[i] > limit_s && !runs.empty())) continue;
      const Run run = contestants[i].run();
      used[i] += run.seconds;
      if (round >= 0 || run.seconds > long_run_s) runs.push_back(run);
    }
  return results;
}

}  // namespace expunge::bench
