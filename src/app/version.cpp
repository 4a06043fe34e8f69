// Collecting versions.
#include "app/version.h"

#include <dnnl_version.h>
#include <fmt/format.h>
#include <hdf5.h>
#include <mpi.h>

#include <string_view>

#include "expunge/comm/communicator.h"
#include "expunge/core/device.h"

namespace expunge {
namespace {

// What the compiler was allowed to use; oneDNN chooses for itself at run time.
#if defined(__AVX512F__)
constexpr std::string_view kInstructions = "AVX-512";
#elif defined(__AVX2__)
constexpr std::string_view kInstructions = "AVX2";
#elif defined(__ARM_NEON)
constexpr std::string_view kInstructions = "NEON";
#else
constexpr std::string_view kInstructions = "baseline";
#endif

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);  // allowed before MPI_Init
  const std::string_view version(text, static_cast<std::size_t>(length));
  return std::string(version.substr(0, version.find_first_of(",\n")));
}

std::string devices() {
  const std::string cuda = cuda_version();
  return cuda.empty() ? "cpu" : fmt::format("cpu, CUDA {}{}", cuda, has_nccl() ? " with NCCL" : "");
}

}  // namespace

std::string version_text() {
  return fmt::format(
      "expunge {}\n"
      "  processor  {}\n"
      "  compiler   {}\n"
      "  device     {}\n"
      "  oneDNN     {}.{}.{}\n"
      "  HDF5       {}.{}.{}\n"
      "  MPI        {}\n",
      EXPUNGE_VERSION, kInstructions, __VERSION__, devices(), DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH,
      H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE, mpi_version());
}

}  // namespace expunge
