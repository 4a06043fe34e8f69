// The mutator of targets that have none of their own.
#include "mutate.h"

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  return expunge::fuzz::mutate(data, size, most, seed);
}
