// Counter-based random numbers by the splitmix64 finaliser.
#include "core/random.h"

#include <cmath>
#include <numbers>

namespace expunge {
namespace {

constexpr std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

constexpr double kTwoToMinus53 = 0x1p-53;

}  // namespace

std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  return mix(mix(mix(seed) ^ stream) ^ counter);
}

double random_uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  return static_cast<double>(random_bits(seed, stream, counter) >> 11) * kTwoToMinus53;
}

std::uint64_t random_below(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter, std::uint64_t bound) {
  __extension__ using wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<wide>(random_bits(seed, stream, counter)) * bound) >> 64);
}

double random_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  // Two independent uniforms from disjoint counters; 1 - u lies in (0, 1], so the logarithm is finite.
  const double radius = std::sqrt(-2 * std::log(1 - random_uniform(seed, stream, 2 * counter)));
  return radius * std::cos(2 * std::numbers::pi * random_uniform(seed, stream, 2 * counter + 1));
}

std::uint64_t random_stream(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

}  // namespace expunge
