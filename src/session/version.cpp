// Collects the versions of the program, its compiler and its libraries.
#include "session/version.h"

#include <dnnl_version.h>
#include <fmt/format.h>
#include <hdf5.h>
#include <mpi.h>

#include <string_view>

#include "expunge/communicator.h"
#include "expunge/device.h"

namespace expunge {
namespace {

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

std::string version_text(const std::string& kernels) {
  return fmt::format(
      "expunge {}\n"
      "  kernels    {}\n"
      "  compiler   {}\n"
      "  device     {}\n"
      "  oneDNN     {}.{}.{}\n"
      "  HDF5       {}.{}.{}\n"
      "  MPI        {}\n",
      EXPUNGE_VERSION, kernels, __VERSION__, devices(), DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH,
      H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE, mpi_version());
}

}  // namespace expunge
