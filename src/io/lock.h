// Locks of open files, shared by file locks, staging folders and logs.
#pragma once

namespace expunge {

enum class LockResult { taken, busy, unsupported };

/// Locks the whole open file for writing (fcntl F_OFD_SETLK); never waits. `unsupported` leaves the reason in errno.
LockResult lock_file(int file);

}  // namespace expunge
