// How libFuzzer changes inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

#include "grow.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace expunge::fuzz {

/// As libFuzzer does, and now and then by grow(): what it learns itself are short inputs.
inline std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  constexpr unsigned kSeldom = 64;
  if (seed % kSeldom != 0) return LLVMFuzzerMutate(data, size, most);
  std::mt19937 random(seed);
  const std::string grown = grow(std::string(reinterpret_cast<const char*>(data), size), most, random);
  if (grown.size() > most) return size;
  std::memcpy(data, grown.data(), grown.size());
  return grown.size();
}

}  // namespace expunge::fuzz
