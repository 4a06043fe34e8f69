// How the ordinary build runs a fuzz target: once on each file of a folder and on some of GROWN bytes that are made of it, then
// for some seconds on random changes of them, the same ones each time. Usage: TARGET FOLDER SECONDS GROWN
#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>
#include <string>

#include "grow.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

/// A byte is replaced, inserted or removed, or all behind it is.
void change(std::string& input, std::mt19937& random) {
  const std::size_t at = random() % (input.size() + 1);
  const char byte = static_cast<char>(random());
  switch (input.empty() ? 1 : random() % 8) {
    case 0:
      input.resize(at);
      break;
    case 1:
    case 2:
      input.insert(at, 1, byte);
      break;
    case 3:
    case 4:
      input.erase(at, 1 + random() % 4);
      break;
    default:
      input[at % input.size()] = byte;
  }
}

std::string current;

/// An input that breaks a promise is shown, to be kept in the corpus.
void show_current(int) { std::fwrite(current.data(), 1, current.size(), stderr); }

void run(const std::string& input) {
  current = input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

}  // namespace
}  // namespace expunge::fuzz

int main(int argc, char** argv) {
  using namespace expunge::fuzz;
  using Clock = std::chrono::steady_clock;
  if (argc != 4) return 2;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  if (files.empty()) return 1;
  std::vector<std::string> inputs;
  for (const std::filesystem::path& file : files) {
    std::fprintf(stderr, "%s\n", file.c_str());
    run(inputs.emplace_back(expunge::slurp(file)));
  }
  std::mt19937 random(1);
  constexpr int kGrownOfEach = 4;
  for (const std::string& input : inputs)
    for (int i = 0; i < kGrownOfEach; ++i) run(grow(input, std::stoul(argv[3]), random));
  std::signal(SIGABRT, show_current);
  std::size_t runs = 0;
  for (const auto end = Clock::now() + std::chrono::seconds(std::stoi(argv[2])); Clock::now() < end; ++runs) {
    std::string input = inputs[random() % inputs.size()];
    for (std::size_t changes = 1 + random() % 4; changes > 0; --changes) change(input, random);
    run(input);
  }
  std::fprintf(stderr, "%zu files, %zu changes of them\n", files.size(), runs);
  return 0;
}
