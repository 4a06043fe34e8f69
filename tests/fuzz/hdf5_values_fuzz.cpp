// Fuzzes what well-formed HDF5 files say: an input is a good file's number and a list of changes made through the library.
#include <hdf5.h>

#include <cstring>

#include "hdf5_files.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

/// Takes an input apart; zeros when it is used up.
class Bytes {
 public:
  explicit Bytes(std::string_view data) : data_(data) {}
  bool left() const { return !data_.empty(); }
  std::uint64_t take(std::size_t width) {
    std::uint64_t value = 0;
    const std::size_t got = std::min(width, data_.size());
    std::memcpy(&value, data_.data(), got);
    data_.remove_prefix(got);
    return value;
  }
  std::size_t below(std::size_t n) { return take(1) % n; }

 private:
  std::string_view data_;
};

/// The paths of all objects of a file, root first.
std::vector<std::string> objects(hid_t file) {
  std::vector<std::string> paths;
  const auto add = [](hid_t, const char* name, const H5O_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->push_back(name);
    return 0;
  };
  H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, add, &paths, H5O_INFO_BASIC);
  return paths;
}

std::vector<std::string> attributes(hid_t object) {
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->push_back(name);
    return 0;
  };
  hsize_t at = 0;
  H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &at, add, &names);
  return names;
}

/// A type of an element of at most 64 bytes, to be closed.
hid_t pick_type(Bytes& bytes) {
  const hid_t plain[] = {H5T_STD_U8LE,   H5T_STD_I32LE,  H5T_STD_U32LE,  H5T_STD_I64LE,     H5T_STD_U64LE,
                         H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F64BE, H5T_STD_I64BE,     H5T_STD_REF_OBJ,
                         H5T_C_S1,       H5T_STD_B64LE,  H5T_STD_U16LE,  H5T_NATIVE_LDOUBLE};
  const std::size_t which = bytes.below(19);
  if (which < 14) return H5Tcopy(plain[which]);
  hid_t type = -1;
  switch (which) {
    case 14:
      type = H5Tcopy(H5T_C_S1);
      H5Tset_size(type, 1 + bytes.below(64));
      break;
    case 15:  // fewer bits than bytes
      type = H5Tcopy(H5T_STD_I64LE);
      H5Tset_precision(type, 1 + bytes.below(64));
      break;
    case 16: {
      const hsize_t n = 1 + bytes.below(8);
      type = H5Tarray_create2(H5T_STD_I64LE, 1, &n);
      break;
    }
    case 17:
      type = H5Tcreate(H5T_COMPOUND, 8);
      H5Tinsert(type, "a", 0, H5T_STD_I32LE);
      break;
    default:
      type = H5Tenum_create(H5T_STD_I32LE);
      std::int32_t value = 1;
      H5Tenum_insert(type, "one", &value);
  }
  return type;
}

void change_attribute(Bytes& bytes, hid_t object, const std::string& name) {
  const std::size_t how = bytes.below(4);
  if (how == 0) {
    H5Adelete(object, name.c_str());
    return;
  }
  hid_t attribute = H5Aopen(object, name.c_str(), H5P_DEFAULT);
  hid_t type = H5Aget_type(attribute);
  if (how >= 2) {  // another type or shape
    H5Aclose(attribute);
    H5Tclose(type);
    H5Adelete(object, name.c_str());
    type = pick_type(bytes);
    const hsize_t n = bytes.below(4);
    const hid_t space = n == 1 ? H5Screate(H5S_SCALAR) : n == 2 ? H5Screate(H5S_NULL) : H5Screate_simple(1, &n, nullptr);
    attribute = H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Sclose(space);
  }
  if (H5Tis_variable_str(type) <= 0) {
    std::uint64_t values[64] = {};
    for (std::size_t i = 0; i < 3; ++i) values[i] = bytes.take(8);
    H5Awrite(attribute, type, values);
  }
  H5Tclose(type);
  H5Aclose(attribute);
}

/// Properties of a new dataset of that shape: layout, filters, data outside.
hid_t pick_properties(Bytes& bytes, int rank, const hsize_t* dims, hid_t space) {
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  const char* const files[] = {"shard-00000-of-00001.h5", "../tokens.h5", "/etc/passwd", ".", "tokens.h5", "%b.h5"};
  const char* const file = files[bytes.below(6)];
  switch (bytes.below(7)) {
    case 0:
      H5Pset_layout(properties, H5D_COMPACT);
      break;
    case 1:
    case 2: {
      hsize_t chunk[3];
      for (int i = 0; i < rank; ++i) chunk[i] = 1 + bytes.take(2) % 4096;
      H5Pset_chunk(properties, rank, chunk);
      const unsigned filters = static_cast<unsigned>(bytes.take(1));
      if (filters & 1) H5Pset_shuffle(properties);
      if (filters & 2) H5Pset_deflate(properties, 6);
      if (filters & 4) H5Pset_fletcher32(properties);
      if (filters & 8) H5Pset_nbit(properties);
      if (filters & 16) H5Pset_scaleoffset(properties, H5Z_SO_INT, 0);
      break;
    }
    case 3:
      H5Pset_external(properties, file, 0, H5F_UNLIMITED);
      break;
    case 4:
    case 5: {
      const char* const sources[] = {"/parameters/block0", "/parameters/norm", "/books/forget/ids", "/"};
      hsize_t n = 1;
      for (int i = 0; i < rank; ++i) n *= dims[i];
      const hid_t from = H5Screate_simple(1, &n, nullptr);
      H5Pset_virtual(properties, space, file, sources[bytes.below(4)], from);
      H5Sclose(from);
      break;
    }
    default:
      break;
  }
  return properties;
}

void replace_dataset(Bytes& bytes, hid_t file, const std::string& path) {
  const hid_t type = pick_type(bytes);
  const int rank = static_cast<int>(bytes.below(4));
  hsize_t dims[3] = {}, most[3] = {};
  for (int i = 0; i < rank; ++i) dims[i] = bytes.take(1) % 16, most[i] = H5S_UNLIMITED;
  const hid_t space = H5Screate_simple(rank, dims, nullptr);
  const hid_t properties = pick_properties(bytes, rank, dims, space);
  if (H5Pget_layout(properties) == H5D_CHUNKED) H5Sset_extent_simple(space, rank, dims, most);
  H5Ldelete(file, path.c_str(), H5P_DEFAULT);
  const hid_t dataset = H5Dcreate2(file, path.c_str(), type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  if (dataset >= 0 && H5Pget_layout(properties) == H5D_CHUNKED && bytes.below(8) == 0) {  // claims more than it stores
    for (int i = 0; i < rank; ++i) dims[i] = bytes.take(8);
    H5Dset_extent(dataset, dims);
  } else if (dataset >= 0 && H5Pget_layout(properties) != H5D_VIRTUAL && H5Pget_external_count(properties) == 0) {
    std::string values(std::size_t{16} * 16 * 16 * 64, '\0');
    for (std::size_t i = 0; i < 64; ++i) values[i] = static_cast<char>(bytes.take(1));
    H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  }
  H5Dclose(dataset);
  H5Pclose(properties);
  H5Sclose(space);
  H5Tclose(type);
}

void change_element(Bytes& bytes, hid_t dataset) {
  const hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
  const hsize_t n = static_cast<hsize_t>(std::max<hssize_t>(H5Sget_simple_extent_npoints(space), 1)), at = bytes.take(1) % n;
  const hsize_t one = 1;
  const std::uint64_t value = bytes.take(8);
  const hid_t memory = H5Screate_simple(1, &one, nullptr);
  if (H5Sget_simple_extent_ndims(space) == 1 && H5Tget_size(type) <= 8 &&
      H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, nullptr, &one, nullptr) >= 0)
    H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, &value);
  H5Sclose(memory);
  H5Tclose(type);
  H5Sclose(space);
}

void replace_link(Bytes& bytes, hid_t file, const std::string& path, const std::string& other) {
  H5Ldelete(file, path.c_str(), H5P_DEFAULT);
  switch (bytes.below(5)) {
    case 0:
      H5Lcreate_soft(other.c_str(), file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 1:
      H5Lcreate_soft(path.c_str(), file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 2:
      H5Lcreate_hard(file, other.c_str(), file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 3:
      H5Gclose(H5Gcreate2(file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
      break;
    default:  // gone
      break;
  }
}

void change(Bytes& bytes, hid_t file) {
  const std::vector<std::string> paths = objects(file);
  const std::string path = paths[bytes.below(paths.size())], other = paths[bytes.below(paths.size())];
  const hid_t object = H5Oopen(file, path.c_str(), H5P_DEFAULT);
  if (object < 0) return;
  const std::vector<std::string> names = attributes(object);
  const bool is_dataset = H5Iget_type(object) == H5I_DATASET;
  const std::size_t what = bytes.below(8);
  if (what < 3 && !names.empty())
    change_attribute(bytes, object, names[bytes.below(names.size())]);
  else if (what < 5 && is_dataset)
    change_element(bytes, object);
  H5Oclose(object);
  if (what == 5 || what == 6) {
    if (is_dataset) replace_dataset(bytes, file, path);
  } else if (what == 7 && path != ".") {
    replace_link(bytes, file, path, other);
  }
}

}  // namespace
}  // namespace expunge::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  Bytes bytes(text(data, size));
  const std::size_t which = bytes.below(good_files().size());
  const auto path = folder().write("changed.h5", good_files()[which].bytes);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  while (bytes.left()) change(bytes, file);
  H5Fclose(file);
  // Chunks of 4096 elements a side make a file that is slow to read and says nothing more.
  if (std::filesystem::file_size(path) > (std::size_t{64} << 20)) return 0;
  read_all_ways(which, expunge::slurp(path));
  return 0;
}
