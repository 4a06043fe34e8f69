// HDF5 datasets: flat ranges of 1-D and 2-D data, and virtual datasets over other files.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>

#include "expunge/error.h"
#include "io/hdf5.h"
#include "io/hdf5_handle.h"

namespace expunge {
namespace {

using namespace hdf5;

/// A source dataset of a virtual dataset.
struct VirtualSource {
  std::string file, dataset;
  std::uint64_t last;   ///< index of the last element in use
  std::uint64_t count;  ///< number of elements in use
};

/// A text from a library call that returns the length, or fills a buffer if it gets one.
template <typename Get>
std::string text_of(const ObjectPlace& place, const Get& get) {
  const auto length = get(nullptr, std::size_t{0});
  place.read(length >= 0, "read the name of a source");
  std::string text(static_cast<std::size_t>(length), '\0');
  place.read(get(text.data(), text.size() + 1) == length, "read the name of a source");
  return text;
}

/// The sources of a virtual dataset, which must lie in its own folder. HDF5 would also search elsewhere, treat % as a pattern
/// and "." as the file itself.
std::vector<VirtualSource> sources_of(const ObjectPlace& place, hid_t properties) {
  std::size_t maps = 0;
  place.read(H5Pget_virtual_count(properties, &maps) >= 0, "read the list of sources");
  std::vector<VirtualSource> sources;
  for (std::size_t i = 0; i < maps; ++i) {
    const auto file = [&](char* name, std::size_t size) { return H5Pget_virtual_filename(properties, i, name, size); };
    const auto dataset = [&](char* name, std::size_t size) { return H5Pget_virtual_dsetname(properties, i, name, size); };
    VirtualSource source{text_of(place, file), text_of(place, dataset), 0, 0};
    if (source.file.find_first_of("/%") != std::string::npos || source.file == "." || source.file == "..")
      place.bad(fmt::format("its source {} is not the name of a file in the same folder", source.file));
    const Handle shown(H5Pget_virtual_vspace(properties, i), H5Sclose);
    const Handle taken(H5Pget_virtual_srcspace(properties, i), H5Sclose);
    std::array<hsize_t, H5S_MAX_RANK> low{}, high{};
    place.read(shown && taken && H5Sget_simple_extent_ndims(taken.get()) == 1, "read the range of a source");
    const hssize_t count = H5Sget_select_npoints(shown.get());
    if (count < 0 || H5Sget_select_npoints(taken.get()) < 0) place.bad("it shows a range without an end");
    place.read(H5Sget_select_bounds(taken.get(), low.data(), high.data()) >= 0, "read the range of a source");
    source.last = high[0];
    source.count = static_cast<std::uint64_t>(count);
    sources.push_back(std::move(source));
  }
  return sources;
}

/// Opens a dataset whose data lie in this file or, for an index, in the same folder. Checks that first, because asking for
/// the shape of a virtual dataset may already open other files.
Handle open_dataset(hid_t file, const ObjectPlace& place, bool index) {
  Handle dataset(exists(file, place) ? H5Dopen2(file, place.object.c_str(), H5P_DEFAULT) : H5I_INVALID_HID, H5Dclose);
  if (!dataset) place.bad("there is no such dataset");
  const Handle properties(H5Dget_create_plist(dataset.get()), H5Pclose);
  place.read(bool(properties), "read how it is stored");
  if (H5Pget_external_count(properties.get()) != 0) place.bad("its data lie in another file, which is not read");
  if (H5Pget_layout(properties.get()) != H5D_VIRTUAL) return dataset;
  if (!index) place.bad("it is a virtual dataset, which shows data of other files; expected one with data of its own");
  (void)sources_of(place, properties.get());
  return dataset;
}

std::vector<hsize_t> shape_of(const ObjectPlace& place, hid_t dataset) {
  const Handle space(H5Dget_space(dataset), H5Sclose);
  place.read(bool(space) && H5Sis_simple(space.get()) > 0, "read the shape");
  const int rank = H5Sget_simple_extent_ndims(space.get());
  place.read(rank >= 0, "read the shape");
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  place.read(H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr) >= 0, "read the shape");
  return dims;
}

std::uint64_t elements(const ObjectPlace& place, const std::vector<hsize_t>& dims) {
  std::uint64_t product = 1;
  for (const hsize_t dim : dims) {
    if (dim != 0 && product > std::numeric_limits<std::uint64_t>::max() / dim)
      place.bad(fmt::format("impossible shape ({})", fmt::join(dims, ", ")));
    product *= dim;
  }
  return product;
}

/// A rectangle of a 1-D or 2-D dataset.
struct Rectangle {
  std::array<hsize_t, 2> start, count;
  std::uint64_t size;  ///< elements
};

/// Splits a flat range into at most three rectangles, in order: the end of a row, whole rows, the beginning of a row.
std::vector<Rectangle> rectangles(const std::vector<hsize_t>& dims, std::uint64_t begin, std::uint64_t count) {
  if (count == 0) return {};
  if (dims.size() == 1) return {{{begin, 0}, {count, 1}, count}};
  const std::uint64_t width = dims[1];
  std::vector<Rectangle> result;
  for (const std::uint64_t end = begin + count; begin < end;) {
    const std::uint64_t row = begin / width, column = begin % width, left = end - begin;
    const std::uint64_t rows = column == 0 ? left / width : 0;
    const std::uint64_t across = rows > 0 ? width : std::min(left, width - column);
    result.push_back({{row, column}, {std::max<std::uint64_t>(rows, 1), across}, std::max<std::uint64_t>(rows, 1) * across});
    begin += result.back().size;
  }
  return result;
}

/// Checks that [begin, begin + count) lies in a dataset of rank 1 or 2.
void check_range(const ObjectPlace& place, const std::vector<hsize_t>& dims, std::uint64_t begin, std::uint64_t count) {
  if (dims.size() != 1 && dims.size() != 2) place.bad(fmt::format("expected 1 or 2 dimensions, found {}", dims.size()));
  const std::uint64_t total = elements(place, dims);
  if (begin > total || count > total - begin) {
    place.bad(fmt::format("expected elements {} to {}, found {} elements", begin, begin + count, total));
  }
}

Handle simple_space(const std::vector<hsize_t>& dims) {
  return Handle(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
}

/// The selection of a flat range in the file. HDF5 walks a union of rectangles row by row, which is the flat order.
Handle select(const ObjectPlace& place, const std::vector<hsize_t>& dims, std::uint64_t begin, std::uint64_t count) {
  Handle space = simple_space(dims);
  H5S_seloper_t how = H5S_SELECT_SET;
  bool good = bool(space);
  for (const Rectangle& r : rectangles(dims, begin, count)) {
    good = good && H5Sselect_hyperslab(space.get(), how, r.start.data(), nullptr, r.count.data(), nullptr) >= 0;
    how = H5S_SELECT_OR;
  }
  if (!good) fail(ExitCode::internal, fmt::format("{}: cannot select a range: {}", place.name(), library_reason().text));
  return space;
}

template <typename T>
void create_object(hid_t file, const ObjectPlace& place, hid_t space, hid_t properties) {
  const Handle links = with_parents();
  const Handle dataset(H5Dcreate2(file, place.object.c_str(), type_of<T>(), space, links.get(), properties, H5P_DEFAULT),
                       H5Dclose);
  place.written(bool(dataset), "create the dataset");
}

}  // namespace

const Hdf5File& Hdf5File::source(const std::string& file) const {
  std::unique_ptr<Hdf5File>& opened = sources_[file];
  if (!opened) opened = std::make_unique<Hdf5File>(open(path_.parent_path() / file));
  return *opened;
}

/// Throws unless every source of a virtual dataset exists, is large enough and all cover `expected` elements together.
template <Hdf5Element T>
void Hdf5File::check_sources(const std::string& dataset, std::int64_t properties, std::uint64_t expected) const {
  const ObjectPlace place{path_, dataset};
  std::map<std::pair<std::string, std::string>, std::uint64_t> needed;  // (file, dataset) -> last element
  std::uint64_t covered = 0;
  for (const VirtualSource& each : sources_of(place, properties)) {
    if (each.count > expected - covered) place.bad(fmt::format("its sources hold more than {} elements", expected));
    covered += each.count;
    std::uint64_t& last = needed[{each.file, each.dataset}];
    last = std::max(last, each.last);
  }
  if (covered != expected) place.bad(fmt::format("its sources hold {} of {} elements", covered, expected));
  for (const auto& [key, last] : needed) {
    const Hdf5File& file = source(key.first);
    const ObjectPlace there{file.path_, key.second};
    const Handle handle = open_dataset(file.id_, there, false);
    const std::vector<hsize_t> found = shape_of(there, handle.get());
    if (found.size() != 1 || found[0] <= last)
      place.bad(fmt::format("its source {}: {} has shape ({}), expected ({})", key.first, key.second, fmt::join(found, ", "),
                            last + 1));
    file.check_storage<T>(key.second, handle.get());
  }
}

/// Throws unless a non-virtual dataset holds what its shape claims, in a permitted form.
template <Hdf5Element T>
void Hdf5File::check_storage(const std::string& dataset, std::int64_t handle) const {
  constexpr std::uint64_t kBestCompression = 1100;  // deflate reaches 1032
  const ObjectPlace place{path_, dataset};
  const Handle type(H5Dget_type(handle), H5Tclose);
  check_type(place, type.get(), type_of<T>());
  const std::vector<hsize_t> dims = shape_of(place, handle);
  const Handle properties(H5Dget_create_plist(handle), H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(properties.get());
  for (int i = 0; i < H5Pget_nfilters(properties.get()); ++i) {
    unsigned flags = 0, config = 0;
    std::size_t parameters = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(properties.get(), static_cast<unsigned>(i), &flags, &parameters, nullptr, 0, nullptr, &config);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
      place.bad("it is stored with another filter than gzip, shuffle and fletcher32");
  }
  hsize_t file_bytes = 0;
  place.read(H5Fget_filesize(id_, &file_bytes) >= 0, "read the size of the file");
  const std::uint64_t size = elements(place, dims), stored = H5Dget_storage_size(handle);
  std::uint64_t largest = size;  // elements that the library or the caller allocates at once
  if (layout == H5D_CHUNKED && size > 0) {
    std::vector<hsize_t> chunk(dims.size());
    place.read(H5Pget_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data()) >= 0,
               "read the size of its chunks");
    largest = std::max(largest, elements(place, chunk));
  }
  if (stored > file_bytes) place.bad(fmt::format("it claims {} of the {} bytes of the file", stored, file_bytes));
  if (largest / kBestCompression > stored / sizeof(T))
    place.bad(fmt::format("its shape ({}) does not fit the {} bytes it stores", fmt::join(dims, ", "), stored));
}

/// Number of elements of an open dataset, after checks of its type and its stored data.
template <Hdf5Element T>
std::uint64_t Hdf5File::checked_size(const std::string& dataset, std::int64_t handle) const {
  const ObjectPlace place{path_, dataset};
  const std::uint64_t size = elements(place, shape_of(place, handle));
  const Handle properties(H5Dget_create_plist(handle), H5Pclose);
  if (H5Pget_layout(properties.get()) == H5D_VIRTUAL) {
    const Handle type(H5Dget_type(handle), H5Tclose);
    check_type(place, type.get(), type_of<T>());
    check_sources<T>(dataset, properties.get(), size);
  } else {
    check_storage<T>(dataset, handle);
  }
  return size;
}

template <Hdf5Element T>
void Hdf5File::create_dataset(const std::string& dataset, const std::vector<std::uint64_t>& shape) {
  const Handle space = simple_space({shape.begin(), shape.end()});
  create_object<T>(id_, {path_, dataset}, space.get(), H5P_DEFAULT);
}

template <Hdf5Element T>
std::uint64_t Hdf5File::allocate_dataset(const std::string& dataset, std::uint64_t size) {
  const ObjectPlace place{path_, dataset};
  const Handle space = simple_space({size}), properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER);
  create_object<T>(id_, place, space.get(), properties.get());
  const haddr_t offset = H5Dget_offset(open_dataset(id_, place, index_).get());
  place.written(offset != HADDR_UNDEF, "allocate");
  return offset;
}

template <Hdf5Element T>
void Hdf5File::create_extendible(const std::string& dataset, std::uint64_t chunk) {
  const hsize_t none = 0, unlimited = H5S_UNLIMITED, chunk_size = chunk;
  const Handle space(H5Screate_simple(1, &none, &unlimited), H5Sclose);
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(properties.get(), 1, &chunk_size);
  create_object<T>(id_, {path_, dataset}, space.get(), properties.get());
}

template <Hdf5Element T>
void Hdf5File::create_virtual(const std::string& dataset, const std::vector<std::uint64_t>& shape,
                              const std::vector<VirtualRange>& ranges) {
  const ObjectPlace place{path_, dataset};
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  const Handle space = simple_space(dims), properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  for (const VirtualRange& range : ranges) {
    check_range(place, dims, range.begin, range.count);
    check((range.source_file + range.source_dataset).find('%') == std::string::npos, "no %: HDF5 reads it as a pattern");
    std::uint64_t source = range.source_begin;
    for (const Rectangle& r : rectangles(dims, range.begin, range.count)) {
      // The source's length is unknown here, so its space ends with the range.
      const Handle from = select(place, {source + r.size}, source, r.size);
      place.written(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, r.start.data(), nullptr, r.count.data(), nullptr) >= 0 &&
                        H5Pset_virtual(properties.get(), space.get(), range.source_file.c_str(), range.source_dataset.c_str(),
                                       from.get()) >= 0,
                    "map a range");
      source += r.size;
    }
  }
  H5Sselect_all(space.get());
  create_object<T>(id_, place, space.get(), properties.get());
}

std::vector<std::uint64_t> Hdf5File::shape(const std::string& dataset) const {
  const ObjectPlace place{path_, dataset};
  const std::vector<hsize_t> dims = shape_of(place, open_dataset(id_, place, index_).get());
  return {dims.begin(), dims.end()};
}

template <Hdf5Element T>
std::uint64_t Hdf5File::size(const std::string& dataset) const {
  return checked_size<T>(dataset, open_dataset(id_, {path_, dataset}, index_).get());
}

template <Hdf5Element T>
void Hdf5File::write(const std::string& dataset, std::uint64_t begin, std::span<const T> values) {
  const ObjectPlace place{path_, dataset};
  const Handle handle = open_dataset(id_, place, index_);
  const std::vector<hsize_t> dims = shape_of(place, handle.get());
  check_range(place, dims, begin, values.size());
  if (values.empty()) return;
  const Handle to = select(place, dims, begin, values.size()), from = simple_space({values.size()});
  // Flush cached chunks now: closing the dataset would write them but lose an error.
  place.written(H5Dwrite(handle.get(), type_of<T>(), from.get(), to.get(), H5P_DEFAULT, values.data()) >= 0 &&
                    H5Dflush(handle.get()) >= 0,
                "write");
}

template <Hdf5Element T>
void Hdf5File::append(const std::string& dataset, std::span<const T> values) {
  const std::uint64_t before = size<T>(dataset);
  truncate(dataset, before + values.size());
  write<T>(dataset, before, values);
}

void Hdf5File::truncate(const std::string& dataset, std::uint64_t size) {
  const ObjectPlace place{path_, dataset};
  const hsize_t extent = size;
  place.written(H5Dset_extent(open_dataset(id_, place, index_).get(), &extent) >= 0, "change the size");
}

template <Hdf5Element T>
void Hdf5File::read(const std::string& dataset, std::uint64_t begin, std::span<T> values) const {
  const ObjectPlace place{path_, dataset};
  const Handle handle = open_dataset(id_, place, index_);
  checked_size<T>(dataset, handle.get());
  const std::vector<hsize_t> dims = shape_of(place, handle.get());
  check_range(place, dims, begin, values.size());
  if (values.empty()) return;
  const Handle from = select(place, dims, begin, values.size()), to = simple_space({values.size()});
  place.read(H5Dread(handle.get(), type_of<T>(), to.get(), from.get(), H5P_DEFAULT, values.data()) >= 0, "read");
}

template <Hdf5Element T>
std::vector<T> Hdf5File::read_all(const std::string& dataset) const {
  std::vector<T> values(size<T>(dataset));
  read<T>(dataset, 0, values);
  return values;
}

#define EXPUNGE_HDF5_ELEMENT(T)                                                                     \
  template void Hdf5File::create_dataset<T>(const std::string&, const std::vector<std::uint64_t>&); \
  template std::uint64_t Hdf5File::allocate_dataset<T>(const std::string&, std::uint64_t);          \
  template void Hdf5File::create_extendible<T>(const std::string&, std::uint64_t);                  \
  template void Hdf5File::create_virtual<T>(const std::string&, const std::vector<std::uint64_t>&,  \
                                            const std::vector<VirtualRange>&);                      \
  template std::uint64_t Hdf5File::size<T>(const std::string&) const;                               \
  template void Hdf5File::write<T>(const std::string&, std::uint64_t, std::span<const T>);          \
  template void Hdf5File::append<T>(const std::string&, std::span<const T>);                        \
  template void Hdf5File::read<T>(const std::string&, std::uint64_t, std::span<T>) const;           \
  template std::vector<T> Hdf5File::read_all<T>(const std::string&) const;
EXPUNGE_HDF5_ELEMENT(float)
EXPUNGE_HDF5_ELEMENT(double)
EXPUNGE_HDF5_ELEMENT(std::uint8_t)
EXPUNGE_HDF5_ELEMENT(std::int32_t)
EXPUNGE_HDF5_ELEMENT(std::uint32_t)
EXPUNGE_HDF5_ELEMENT(std::int64_t)
EXPUNGE_HDF5_ELEMENT(std::uint64_t)
#undef EXPUNGE_HDF5_ELEMENT

}  // namespace expunge
