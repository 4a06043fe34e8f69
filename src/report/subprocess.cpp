// Starts programs with posix_spawn. Temporary files carry input and output, because two pipes could block both sides.
#include "report/subprocess.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "expunge/error.h"

namespace expunge {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using TemporaryFile = std::unique_ptr<std::FILE, Close>;

/// A file without a name; closing it removes it.
TemporaryFile temporary_file(const std::string& content) {
  TemporaryFile file(std::tmpfile());
  if (!file || std::fwrite(content.data(), 1, content.size(), file.get()) != content.size() || std::fflush(file.get()) != 0)
    fail(ExitCode::output, fmt::format("cannot write a temporary file in {}: {}", P_tmpdir, std::strerror(errno)));
  std::rewind(file.get());
  return file;
}

std::string read_back(const TemporaryFile& file) {
  std::rewind(file.get());
  std::string content;
  char block[4096];
  for (std::size_t got = 0; (got = std::fread(block, 1, sizeof block, file.get())) > 0;) content.append(block, got);
  return content;
}

}  // namespace

std::optional<Finished> run_program(const std::vector<std::string>& command, const std::string& input) {
  const TemporaryFile files[] = {temporary_file(input), temporary_file(""), temporary_file("")};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int stream = 0; stream < 3; ++stream) posix_spawn_file_actions_adddup2(&actions, fileno(files[stream].get()), stream);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments.front(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) return std::nullopt;
  if (error != 0) fail(ExitCode::internal, fmt::format("cannot start {}: {}", command.front(), std::strerror(error)));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return Finished{WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_back(files[1]), read_back(files[2])};
}

}  // namespace expunge
