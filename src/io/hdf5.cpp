// HDF5 files, groups and attributes over the C interface; every failure becomes an Error.
#include "io/hdf5.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "expunge/error.h"
#include "io/content_kind.h"
#include "io/files.h"
#include "io/hdf5_handle.h"

namespace expunge {
namespace hdf5 {

Reason library_reason() {
  std::string reason;
  const auto innermost = [](unsigned depth, const H5E_error2_t* entry, void* out) -> herr_t {
    if (depth == 0 && entry->desc) *static_cast<std::string*>(out) = entry->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &reason);
  constexpr std::string_view kMark = "error message = '";
  const auto at = reason.find(kMark);
  const bool of_system = at != std::string::npos, of_lock = reason.find("unable to lock file") != std::string::npos;
  if (of_system) {
    reason.erase(0, at + kMark.size());
    reason.erase(std::min(reason.find('\''), reason.size()));
  }
  const bool in_use = of_lock && reason == system_reason(EWOULDBLOCK);
  return {reason.empty() ? "unknown reason" : reason, of_system, in_use};
}

std::string type_name(hid_t type) {
  const std::size_t bits = 8 * H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return fmt::format("{}int{}", H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "", bits);
    case H5T_FLOAT:
      return fmt::format("float{}", bits);
    case H5T_STRING:
      return "string";
    default:
      return "another type";
  }
}

void check_type(const ObjectPlace& place, hid_t stored, hid_t expected) {
  const std::string name = type_name(expected);
  if (type_name(stored) != name) place.bad(fmt::format("expected {}, found {}", name, type_name(stored)));
  const Handle swapped(H5Tcopy(expected), H5Tclose);
  H5Tset_order(swapped.get(), H5T_ORDER_BE);
  if (H5Tequal(stored, expected) <= 0 && H5Tequal(stored, swapped.get()) <= 0)
    place.bad(fmt::format("expected {}, found an unusual one", name));
}

bool exists(hid_t file, const ObjectPlace& place) {
  if (place.object == "/") return true;
  // H5Lexists requires that every parent group exists.
  for (std::size_t end = place.object.find('/', 1);; end = place.object.find('/', end + 1)) {
    const std::string name = place.object.substr(0, end);
    if (H5Lexists(file, name.c_str(), H5P_DEFAULT) <= 0) return false;
    H5L_info_t link;
    place.read(H5Lget_info(file, name.c_str(), &link, H5P_DEFAULT) >= 0, "read the link");
    if (link.type != H5L_TYPE_HARD && link.type != H5L_TYPE_SOFT)
      ObjectPlace{place.file, name}.bad("it is a link into another file, which is not followed");
    if (end == std::string::npos) return true;
  }
}

Handle with_parents() {
  Handle properties(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(properties.get(), 1);
  return properties;
}

}  // namespace hdf5

namespace {

using namespace hdf5;

static_assert(std::same_as<hid_t, std::int64_t>);

/// Starts the library before main(), so before MPI: otherwise it would clean up inside MPI_Finalize. That clean-up, like the
/// one at exit, crashes after a failed write and would hide the exit code. Neither is needed, because every file is closed by
/// its owner. The library's own messages are off; ObjectPlace puts them into errors. No file may make the library load a
/// plugin or follow a link into another file.
const bool kLibraryStarted = [] {
  H5dont_atexit();
  return H5open() >= 0 && H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0 && H5PLset_loading_state(0) >= 0 &&
         H5Lunregister(H5L_TYPE_EXTERNAL) >= 0;
}();

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

std::string read_text(const ObjectPlace& place, hid_t attribute, hid_t stored) {
  if (H5Tget_class(stored) != H5T_STRING) place.bad(fmt::format("expected a string, found {}", type_name(stored)));
  if (H5Tis_variable_str(stored) > 0) {
    const Handle type(H5Tcopy(stored), H5Tclose);
    char* text = nullptr;
    place.read(H5Aread(attribute, type.get(), &text) >= 0, "read the attribute");
    const std::unique_ptr<char, herr_t (*)(void*)> owner(text, [](void* block) { return H5free_memory(block); });
    return text ? text : "";
  }
  std::string text(std::min<std::size_t>(H5Tget_size(stored), 1 << 20), '\0');
  if (text.size() < H5Tget_size(stored)) place.bad("the string is too long");
  place.read(H5Aread(attribute, stored, text.data()) >= 0, "read the attribute");
  return text.c_str();  // padding ends the text
}

}  // namespace

Hdf5File Hdf5File::open(const std::filesystem::path& path, Mode mode, std::uint64_t alignment) {
  check(kLibraryStarted, "the HDF5 library starts");
  const bool fresh = mode == Mode::create, reads = mode == Mode::read || mode == Mode::read_index;
  // Opening a named pipe would wait for a writer.
  const std::string kind = fresh ? "" : other_kind(path);
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  check(H5Pset_alignment(access.get(), alignment, alignment) >= 0, "an alignment");
  hid_t id = H5I_INVALID_HID;
  if (fresh)
    id = H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access.get());
  else if (kind.empty())
    id = H5Fopen(path.c_str(), reads ? H5F_ACC_RDONLY : H5F_ACC_RDWR, H5P_DEFAULT);
  if (id < 0) {
    const Reason reason = kind.empty() ? library_reason() : Reason{fmt::format("it is {}", kind)};
    if (!fresh && kind.empty()) refuse_mistaken(path);
    std::string why = reason.text;
    if (reason.in_use) why = fmt::format("another program has it open{}; let that one close it", reads ? " for writing" : "");
    fail(reads ? ExitCode::bad_input : ExitCode::output,
         fmt::format("cannot {} {} as an HDF5 file: {}", fresh ? "create" : "open", path.string(), why));
  }
  return Hdf5File(path, id, mode == Mode::read_index);
}

Hdf5File Hdf5File::create(const std::filesystem::path& path, std::uint64_t alignment) {
  return open(path, Mode::create, alignment);
}
Hdf5File Hdf5File::open(const std::filesystem::path& path) { return open(path, Mode::read); }
Hdf5File Hdf5File::open_index(const std::filesystem::path& path) { return open(path, Mode::read_index); }
Hdf5File Hdf5File::open_for_update(const std::filesystem::path& path) { return open(path, Mode::update); }

Hdf5File::Hdf5File(Hdf5File&& other) noexcept
    : path_(std::move(other.path_)), id_(std::exchange(other.id_, H5I_INVALID_HID)), index_(other.index_) {}

Hdf5File::~Hdf5File() {
  if (id_ >= 0) H5Fclose(id_);
}

void Hdf5File::flush() {
  const std::string root = "/";
  ObjectPlace{path_, root}.written(H5Fflush(id_, H5F_SCOPE_GLOBAL) >= 0, "write");
}

void Hdf5File::close() {
  flush();
  const std::string root = "/";
  ObjectPlace{path_, root}.written(H5Fclose(std::exchange(id_, H5I_INVALID_HID)) >= 0, "close");
}

bool Hdf5File::exists(const std::string& object) const { return hdf5::exists(id_, {path_, object}); }

bool Hdf5File::is_group(const std::string& object) const {
  if (!exists(object)) return false;
  const Handle handle(H5Oopen(id_, object.c_str(), H5P_DEFAULT), H5Oclose);
  return handle && H5Iget_type(handle.get()) == H5I_GROUP;
}

std::vector<std::string> Hdf5File::children(const std::string& group) const {
  const ObjectPlace place{path_, group};
  const Handle handle(exists(group) ? H5Gopen2(id_, group.c_str(), H5P_DEFAULT) : H5I_INVALID_HID, H5Gclose);
  if (!handle) place.bad("there is no such group");
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  place.read(H5Literate(handle.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names) >= 0, "list the group");
  return names;
}

void Hdf5File::create_group(const std::string& group) {
  if (exists(group)) return;
  const Handle links = with_parents();
  const Handle handle(H5Gcreate2(id_, group.c_str(), links.get(), H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  ObjectPlace{path_, group}.written(bool(handle), "create the group");
}

bool Hdf5File::has_attribute(const std::string& object, const std::string& name) const {
  return exists(object) && H5Aexists_by_name(id_, object.c_str(), name.c_str(), H5P_DEFAULT) > 0;
}

template <Hdf5Attribute T>
void Hdf5File::write_attribute(const std::string& object, const std::string& name, const T& value) {
  const std::string label = object + "@" + name;
  const ObjectPlace place{path_, label};
  if (has_attribute(object, name)) H5Adelete_by_name(id_, object.c_str(), name.c_str(), H5P_DEFAULT);
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const auto put = [&](hid_t type, const void* data) {
    const Handle attribute(
        H5Acreate_by_name(id_, object.c_str(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
        H5Aclose);
    place.written(attribute && H5Awrite(attribute.get(), type, data) >= 0, "write the attribute");
  };
  if constexpr (std::same_as<T, std::string>) {
    const char* text = value.c_str();
    put(text_type().get(), &text);
  } else {
    put(type_of<T>(), &value);
  }
}

template <Hdf5Attribute T>
T Hdf5File::read_attribute(const std::string& object, const std::string& name) const {
  const std::string label = object + "@" + name;
  const ObjectPlace place{path_, label};
  if (!has_attribute(object, name)) place.bad("there is no such attribute");
  const Handle attribute(H5Aopen_by_name(id_, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  place.read(bool(attribute), "open the attribute");
  const Handle space(H5Aget_space(attribute.get()), H5Sclose), type(H5Aget_type(attribute.get()), H5Tclose);
  if (H5Sget_simple_extent_npoints(space.get()) != 1) place.bad("expected one value");
  if constexpr (std::same_as<T, std::string>) {
    return read_text(place, attribute.get(), type.get());
  } else {
    check_type(place, type.get(), type_of<T>());
    T value{};
    place.read(H5Aread(attribute.get(), type_of<T>(), &value) >= 0, "read the attribute");
    return value;
  }
}

#define EXPUNGE_HDF5_ATTRIBUTE(T)                                                               \
  template void Hdf5File::write_attribute<T>(const std::string&, const std::string&, const T&); \
  template T Hdf5File::read_attribute<T>(const std::string&, const std::string&) const;
EXPUNGE_HDF5_ATTRIBUTE(std::string)
EXPUNGE_HDF5_ATTRIBUTE(std::int64_t)
EXPUNGE_HDF5_ATTRIBUTE(std::uint64_t)
EXPUNGE_HDF5_ATTRIBUTE(double)
#undef EXPUNGE_HDF5_ATTRIBUTE

}  // namespace expunge
