// Compares the files of options by device and inode.
#include "commands/file_uses.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <set>

#include "expunge/error.h"
#include "run/run_folder.h"
#include "store/checkpoint.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Identifies the file that a path leads to, independent of its name.
struct Identity {
  dev_t device;
  ino_t inode;
  auto operator<=>(const Identity&) const = default;
};

std::optional<Identity> identity(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino};
}

/// A file or folder that an option names.
struct Named {
  std::string key;
  FileUse use;
  fs::path path;
};

/// The path of `path` relative to `folder`; "." for the folder itself, nothing outside it. `path` need not exist.
std::optional<fs::path> place_below(const fs::path& path, const fs::path& folder) {
  const std::optional<Identity> sought = identity(folder);
  std::error_code unknown;
  const fs::path whole = fs::weakly_canonical(path, unknown), named = fs::weakly_canonical(folder, unknown);
  for (fs::path above = whole;; above = above.parent_path()) {
    if (sought ? identity(above) == sought : above == named) return whole.lexically_relative(above);
    if (above == above.parent_path()) return std::nullopt;
  }
}

bool is_run_folder(const fs::path& path) {
  const RunFolder run{path};
  std::error_code unknown;
  return fs::exists(run.mark(), unknown) ||
         (fs::is_regular_file(run.config(), unknown) && fs::is_directory(run.checkpoints(), unknown));
}

/// True if a run has a file or folder of its own at this place of its folder.
bool belongs_to_run(const fs::path& place) {
  const RunFolder run{};
  const fs::path first = *place.begin();
  const bool in_folder = first == run.checkpoints() || first == run.model() || first == run.tensorboard();
  const std::vector<fs::path> files = run.files();
  return in_folder || std::ranges::find(files, first) != files.end();
}

/// True if the file at this place of an input folder is part of that input, or would be once it exists.
bool consists_of(const Named& input, const fs::path& place) {
  switch (input.use) {
    case FileUse::model:
      return !is_run_folder(input.path) || belongs_to_run(place);
    case FileUse::run:
      return belongs_to_run(place) || (!place.has_parent_path() && place.extension() == ".h5");
    case FileUse::texts:
      return place.has_parent_path();  // texts lie in the folders of the domains
    default:
      return false;
  }
}

/// The identities of the files in the folder `input` that are parts of the input.
std::set<Identity> parts_of(const Named& input) {
  std::set<Identity> parts;
  std::error_code unknown;
  for (fs::recursive_directory_iterator it(input.path, fs::directory_options::skip_permission_denied, unknown), end;
       !unknown && it != end; it.increment(unknown))
    if (const auto part = identity(it->path()); part && consists_of(input, it->path().lexically_relative(input.path)))
      parts.insert(*part);
  return parts;
}

[[noreturn]] void refuse(const Named& output, const std::string& why) {
  fail(ExitCode::output,
       fmt::format("--{} {}: {}; nothing was written: give another name", output.key, output.path.string(), why));
}

void check_pair(const Named& output, const Named& input) {
  const std::optional<Identity> there = identity(output.path);
  if (there && there == identity(input.path)) refuse(output, fmt::format("is the input of --{}", input.key));
  std::error_code unknown;
  if (!fs::is_directory(input.path, unknown)) return;
  if (there && parts_of(input).contains(*there)) refuse(output, fmt::format("is a part of the input of --{}", input.key));
  // A new text changes only the next command; a new file in a model or a run changes this input.
  if (const auto place = place_below(output.path, input.path);
      place && input.use != FileUse::texts && consists_of(input, *place))
    refuse(output, fmt::format("lies in the input of --{}, {}", input.key, input.path.string()));
}

/// The output folder of a run may hold its inputs, unless it is cleared.
void check_folder(const Named& folder, const Named& input, bool overwritten) {
  const auto place = place_below(input.path, folder.path);
  if (!place) return;
  const bool of_same_run = input.key == "resume-from-checkpoint" || input.key == "config";
  if (overwritten || (belongs_to_run(*place) && !of_same_run))
    refuse(folder, fmt::format("holds {}, the input of --{}", input.path.string(), input.key));
}

/// Refuses an output at a place where any run keeps a file of its own.
void check_place_in_run(const Named& output) {
  std::error_code unknown;
  // The run may link to the folder of its checkpoints, so this climbs the path as given, too.
  for (const fs::path& whole : {fs::weakly_canonical(output.path, unknown), whole_path(output.path)})
    for (fs::path above = whole.parent_path(); above != above.parent_path(); above = above.parent_path()) {
      if (is_run_folder(above) && belongs_to_run(whole.lexically_relative(above)))
        refuse(output, fmt::format("is a place for files of the run in {}", above.string()));
      if (fs::exists(above / kManifest, unknown) && fs::exists(above / "checkpoint.h5", unknown))
        refuse(output, fmt::format("lies in the checkpoint {}", above.string()));
    }
}

bool is_output(const Named& file) {
  return file.use == FileUse::output || file.use == FileUse::output_folder || file.use == FileUse::log;
}

/// True if a value is a keyword of the option, as in "auto|none|PATH".
bool is_keyword(const Option& option, const std::string& value) {
  return ("|" + option.value_name + "|").find("|" + value + "|") != std::string::npos;
}

/// Adds the folders of a run, or of a checkpoint's run. They may be links to other places.
void add_parts(const std::string& key, const fs::path& path, std::vector<Named>& files) {
  std::error_code unknown;
  const fs::path whole = fs::weakly_canonical(path, unknown);
  for (const fs::path& root : {path, whole.parent_path().parent_path()})
    if (is_run_folder(root) && (root == path || fs::exists(path / kManifest, unknown)))
      for (const fs::path& folder : {RunFolder{root}.checkpoints(), RunFolder{root}.model()})
        files.push_back({key, FileUse::model, folder});
}

std::vector<Named> named_files(const OptionTable& options) {
  std::vector<Named> files;
  for (const Option& option : options.options()) {
    if (option.use == FileUse::none) continue;
    // The path as given: the resolved text drops "..", but behind a link that is another place.
    const bool single = option.kind == Option::Kind::value || option.kind == Option::Kind::positional;
    const std::string given = options.value(option.key);
    const std::vector<std::string> paths = single && !given.empty() ? std::vector{given} : option.get();
    for (const std::string& path : paths) {
      if (path.empty() || is_keyword(option, path)) continue;
      files.push_back({option.key, option.use, path});
      if (option.use == FileUse::model || option.use == FileUse::run) add_parts(option.key, path, files);
      if (option.beside)
        for (const fs::path& other : option.beside(path)) files.push_back({option.key, option.use, other});
    }
  }
  return files;
}

bool is_set(const OptionTable& options, std::string_view key) {
  return std::ranges::any_of(options.options(), [&](const Option& option) {
    return option.key == key && option.get() == std::vector<std::string>{"true"};
  });
}

}  // namespace

void check_file_uses(const OptionTable& options) {
  const std::vector<Named> files = named_files(options);
  std::error_code unknown;
  for (const Named& file : files) (void)fs::absolute(file.path);  // throws if the working folder of a relative path is gone
  const bool overwritten = is_set(options, "overwrite-output-dir");
  for (std::size_t o = 0; o < files.size(); ++o) {
    const Named& output = files[o];
    if (!is_output(output)) continue;
    check_place_in_run(output);
    for (std::size_t i = 0; i < files.size(); ++i) {
      const Named& other = files[i];
      if (!is_output(other)) {
        check_pair(output, other);
        if (output.use == FileUse::output_folder) check_folder(output, other, overwritten);
      } else if (other.use == FileUse::output_folder && i != o) {
        if (const auto place = place_below(output.path, other.path); place && belongs_to_run(*place))
          refuse(output, fmt::format("is a name that --{} needs", other.key));
      } else if (const fs::path whole = fs::weakly_canonical(output.path, unknown);
                 i < o && !whole.empty() && whole == fs::weakly_canonical(other.path, unknown)) {
        refuse(output, fmt::format("is also an output of --{}", other.key));
      }
    }
  }
}

}  // namespace expunge
