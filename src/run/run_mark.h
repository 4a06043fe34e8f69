// How a run folder is told from other people's, and which of its files are ours to remove.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "run/run_folder.h"

namespace expunge {

/// The file .expunge-run of a run folder. It is the first that a run writes there, and only expunge writes one.
struct RunMark {
  std::map<std::string, std::string> files;  ///< path in the folder to SHA-256, of what is written once
  std::vector<std::string> logs;             ///< files of --log-jsonl, anywhere, that the run began
  std::string id;                            ///< by which the run knows its lines in them; empty in former runs
};
/// The mark, where there is a whole one. Whoever forged it loses by it at most what lies in the folder.
std::optional<RunMark> read_mark(const RunFolder& run);
/// A name that no other run has.
std::string new_run_id();
/// The name that a run's mark says.
std::string run_id(const RunFolder& run);

/// Writes it anew. Throws Error(output).
void write_mark(const RunFolder& run, const RunMark& mark);
/// Says that the run is about to write a file of its folder, of these bytes. Throws Error(output).
void mark_file(const RunFolder& run, const std::string& name, const std::string& sha256);

struct RunContent {
  enum class Kind {
    nothing,  ///< no folder, an empty one, or what a start leaves that is killed at once
    run,      ///< marked
    former,   ///< of a version without marks: a checkpoint recorded the options that `config` holds
    foreign   ///< anything else
  } kind = Kind::nothing;
  RunMark mark;         ///< of a run; of a former one, what its checkpoint says
  std::string foreign;  ///< the first entry that is not ours, and what is wrong with it
};
/// Looks at names, the mark, and for a former run at checkpoints' indexes; changes nothing. Throws Error(output) where the path
/// is no folder.
RunContent look_into(const RunFolder& run);

/// Removes what expunge wrote there, and nothing else; the mark last. Throws Error(output), before anything is removed, where
/// another file has a name that a run needs, or where a link stands for one of its folders.
void clear_run(const RunFolder& run, const RunMark& mark);
/// Throws Error(output) where a link stands for one of the run's folders, unless this user made it.
void refuse_links(const RunFolder& run);

}  // namespace expunge
