// For tests: a disk that is full from its N-th change on. Preloaded into a program, it lets the first EXPUNGE_DISK_ROOM changes to
// files under EXPUNGE_DISK pass and fails those after them, as a full file system does: creating, writing, flushing, renaming.
// With EXPUNGE_DISK_LOG the number of changes is written there at exit.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long changes;

static int on_disk(const char* path) {
  const char* const disk = getenv("EXPUNGE_DISK");
  return disk && strncmp(path, disk, strlen(disk)) == 0;
}

static int file_on_disk(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
  const ssize_t n = readlink(link, path, sizeof(path) - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return on_disk(path);
}

/// Counts a change; true when there is no room for it.
static int full(void) {
  const char* const room = getenv("EXPUNGE_DISK_ROOM");
  const long number = atomic_fetch_add(&changes, 1);
  if (!room || number < atol(room)) return 0;
  errno = ENOSPC;
  return 1;
}

__attribute__((destructor)) static void report(void) {
  const char* const log = getenv("EXPUNGE_DISK_LOG");
  FILE* const file = log && changes > 0 ? fopen(log, "w") : NULL;
  if (!file) return;
  fprintf(file, "%ld\n", (long)changes);
  fclose(file);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ON_FILE(result, name, parameters, arguments)          \
  result name parameters {                                    \
    if (file_on_disk(file) && full()) return -1;              \
    return NEXT(name) arguments;                              \
  }
ON_FILE(ssize_t, write, (int file, const void* data, size_t n), (file, data, n))
ON_FILE(ssize_t, pwrite, (int file, const void* data, size_t n, off_t at), (file, data, n, at))
ON_FILE(ssize_t, pwrite64, (int file, const void* data, size_t n, off64_t at), (file, data, n, at))
ON_FILE(ssize_t, writev, (int file, const struct iovec* parts, int n), (file, parts, n))
ON_FILE(ssize_t, sendfile, (int file, int from, off_t* at, size_t n), (file, from, at, n))
ON_FILE(ssize_t, sendfile64, (int file, int from, off64_t* at, size_t n), (file, from, at, n))
ON_FILE(int, ftruncate, (int file, off_t size), (file, size))
ON_FILE(int, ftruncate64, (int file, off64_t size), (file, size))
ON_FILE(int, fsync, (int file), (file))

int rename(const char* from, const char* to) {
  if (on_disk(to) && full()) return -1;
  return NEXT(rename)(from, to);
}

int mkdir(const char* path, mode_t mode) {
  if (on_disk(path) && full()) return -1;
  return NEXT(mkdir)(path, mode);
}

#define OPEN(name)                                                        \
  int name(const char* path, int flags, ...) {                            \
    va_list rest;                                                         \
    va_start(rest, flags);                                                \
    const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;       \
    va_end(rest);                                                         \
    if (flags & O_CREAT && on_disk(path) && full()) return -1;            \
    return NEXT(name)(path, flags, mode);                                 \
  }
OPEN(open)
OPEN(open64)

#define FOPEN(name)                                                              \
  FILE* name(const char* path, const char* mode) {                               \
    if (mode[0] != 'r' && on_disk(path) && full()) return NULL;                  \
    return NEXT(name)(path, mode);                                               \
  }
FOPEN(fopen)
FOPEN(fopen64)
