// A program that does one and the same piece of work whenever it is asked to: ours or a peer's.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace expunge::bench {

/// What a run of a contestant said.
struct Run {
  double seconds = 0;
  nlohmann::json answer;  ///< "seconds", "peak_bytes", and what else it tells
};

/// A child process with a line protocol: to each line "run" it answers with one line of JSON; the end of its input ends it.
class Contestant {
 public:
  /// Starts `command`, found along PATH. `work` is its last argument.
  Contestant(std::string name, std::vector<std::string> command, const nlohmann::json& work);
  Contestant(Contestant&& other) noexcept;
  Contestant& operator=(Contestant&&) = delete;
  ~Contestant();

  const std::string& name() const { return name_; }
  /// Throws Error(internal) when the program has ended.
  Run run();

 private:
  std::string name_;
  pid_t child_ = 0;
  std::FILE *to_ = nullptr, *from_ = nullptr;
};

/// One contestant's runs.
struct Result {
  std::string name;
  std::vector<Run> runs;
  /// The run of median time.
  const Run& median() const;
  double seconds() const { return median().seconds; }
  double peak_bytes() const;
};

/// Lets the contestants run in turn: once each to warm up, then `rounds` times. A first run that takes more than `long_run_s`
/// counts: what it spends on getting ready is lost in it, and a median of many passes over it. One that has used more than
/// `limit_s` seconds takes no further turn.
std::vector<Result> compete(std::vector<Contestant> contestants, int rounds, double limit_s, double long_run_s = 5);

}  // namespace expunge::bench
