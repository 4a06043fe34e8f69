// The mark of a run folder, which tells it from other folders and says which of its files expunge may remove.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "run/run_folder.h"

namespace expunge {

/// The file .expunge-run of a run folder. A run writes it first, and only expunge writes one.
struct RunMark {
  std::map<std::string, std::string> files;  ///< path in the folder to SHA-256, of files that are written once
  std::vector<std::string> logs;             ///< files of --log-jsonl, anywhere, that the run began
  std::string id;                            ///< identifies the run's lines in the logs; empty for earlier versions
};
/// Reads the mark; nothing if it is missing or not whole. A forged mark risks only files inside the folder.
std::optional<RunMark> read_mark(const RunFolder& run);
/// An identifier that no other run has.
std::string new_run_id();
/// The identifier in a run's mark.
std::string run_id(const RunFolder& run);

/// Replaces the mark. Throws Error(output).
void write_mark(const RunFolder& run, const RunMark& mark);
/// Records in the mark that the run will write a file with this hash. Throws Error(output).
void mark_file(const RunFolder& run, const std::string& name, const std::string& sha256);

struct RunContent {
  enum class Kind {
    nothing,  ///< no folder, an empty one, or files of a start that was killed at once
    run,      ///< marked
    former,   ///< of a version without marks: a checkpoint recorded the options in `config`
    foreign   ///< anything else
  } kind = Kind::nothing;
  RunMark mark;         ///< of a run; for a former one, from its checkpoint
  std::string foreign;  ///< names the first entry that is not ours, and the reason
};
/// Looks at names, the mark, and for a former run at checkpoints' indexes; changes nothing. Throws Error(output) if the path
/// is no folder.
RunContent look_into(const RunFolder& run);

/// Removes only what expunge wrote there, the mark last. Throws Error(output) if another file has a name that a run needs, or
/// if one of its folders is a link; then nothing is removed.
void clear_run(const RunFolder& run, const RunMark& mark);
/// Throws Error(output) if one of the run's folders is a link that another user made.
void refuse_links(const RunFolder& run);

}  // namespace expunge
