// Counter-based random numbers: a value depends only on its key, not on earlier draws or on the rank.
#pragma once

#include <cstdint>
#include <string_view>

namespace expunge {

/// 64 random bits for (seed, stream, counter). Splitmix64 finaliser (Steele et al. 2014) over the three words in turn.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter);
/// Uniform in [0, 1) with 53 random bits.
double random_uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter);
/// Uniform integer in [0, bound), bound > 0, without bias beyond 2^-64 bound.
std::uint64_t random_below(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter, std::uint64_t bound);
/// Standard normal (Box and Muller 1958).
double random_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter);
/// A stream number for a name (FNV-1a).
std::uint64_t random_stream(std::string_view name);

}  // namespace expunge
