// Memory and copies of a GPU for core/device.cpp; a build without CUDA links core/no_cuda instead.
#pragma once

#include <cstddef>

#include "expunge/device.h"

namespace expunge::cuda {

void* pool_allocate(int index, std::size_t bytes);
void pool_free(int index, void* block);
PoolUse pool_use(int index);
void copy_bytes(Stream& stream, void* to, const void* from, std::size_t bytes);
void copy_to_device(Stream& stream, void* to, const void* from, std::size_t bytes);
void copy_to_host(Stream& stream, void* to, const void* from, std::size_t bytes);
void zero_bytes(Stream& stream, void* to, std::size_t bytes);

}  // namespace expunge::cuda
