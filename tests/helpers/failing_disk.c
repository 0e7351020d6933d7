/* A disk that fails: preloaded (LD_PRELOAD), it counts what is done to files below a folder and lets the n-th fail.
 *
 * The file that FAILING_DISK names is mapped by every process that inherits it: so they count together, and whoever
 * started them chooses the folder, the number and the error before, and reads what was hit after. See stage_server.py.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITES = 1, READS = 2 };

static struct control {
    long fail_at; /* which one fails, from 1 on; 0: none; -1: nothing is counted */
    long count, error, kinds;
    long sticky; /* all that follow fail as well */
    char folder[512], hit[1024];
} *control;

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("FAILING_DISK");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *found = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found != MAP_FAILED)
        control = found;
}

static int fails(int kind, const char *what, const char *path)
{
    size_t length;
    long number;
    if (!control || control->fail_at < 0 || !(control->kinds & kind))
        return 0;
    length = strlen(control->folder);
    if (!length || strncmp(path, control->folder, length) || path[length] != '/')
        return 0;
    number = __sync_add_and_fetch(&control->count, 1);
    if (!control->fail_at || number < control->fail_at || (number > control->fail_at && !control->sticky))
        return 0;
    if (number == control->fail_at)
        snprintf(control->hit, sizeof control->hit, "%s %s", what, path + length + 1);
    errno = (int)control->error;
    return 1;
}

static int path_fails(int kind, const char *what, int folder, const char *path)
{
    char full[2 * PATH_MAX];
    if (!control || control->fail_at < 0)
        return 0;
    if (*path == '/') {
        snprintf(full, sizeof full, "%s", path);
    } else {
        char link[64], base[PATH_MAX];
        ssize_t size;
        if (folder == AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        size = readlink(link, base, sizeof base - 1);
        if (size < 0)
            return 0;
        base[size] = 0;
        snprintf(full, sizeof full, "%s/%s", base, path);
    }
    return fails(kind, what, full);
}

static int file_fails(int kind, const char *what, int file)
{
    char link[64], path[PATH_MAX];
    ssize_t size;
    if (!control || control->fail_at < 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return fails(kind, what, path);
}

static int is_for_writing(int file)
{
    int flags = fcntl(file, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

#define OPEN(name, folder_declared, folder, call)                                                                      \
    int name(folder_declared const char *path, int flags, ...)                                                         \
    {                                                                                                                  \
        mode_t mode = 0;                                                                                               \
        REAL(name);                                                                                                    \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                                           \
            va_list more;                                                                                              \
            va_start(more, flags);                                                                                     \
            mode = va_arg(more, mode_t);                                                                               \
            va_end(more);                                                                                              \
        }                                                                                                              \
        if ((flags & O_ACCMODE) != O_RDONLY && path_fails(WRITES, "open", folder, path))                               \
            return -1;                                                                                                 \
        return call;                                                                                                   \
    }
#define NOTHING
OPEN(open, NOTHING, AT_FDCWD, real(path, flags, mode))
OPEN(open64, NOTHING, AT_FDCWD, real(path, flags, mode))
#define FOLDER int folder,
OPEN(openat, FOLDER, folder, real(folder, path, flags, mode))
OPEN(openat64, FOLDER, folder, real(folder, path, flags, mode))

#define FOPEN(name)                                                                                                    \
    FILE *name(const char *path, const char *mode)                                                                     \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        if (strpbrk(mode, "wa+") && path_fails(WRITES, "open", AT_FDCWD, path))                                        \
            return NULL;                                                                                               \
        return real(path, mode);                                                                                       \
    }
FOPEN(fopen)
FOPEN(fopen64)

#define ON_FILE(kind, type, name, parameters, ...)                                                                     \
    type name parameters                                                                                               \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        if (file_fails(kind, #name, file))                                                                             \
            return -1;                                                                                                 \
        return real(__VA_ARGS__);                                                                                      \
    }
ON_FILE(WRITES, ssize_t, write, (int file, const void *data, size_t size), file, data, size)
ON_FILE(WRITES, ssize_t, pwrite, (int file, const void *data, size_t size, off_t at), file, data, size, at)
ON_FILE(WRITES, ssize_t, pwrite64, (int file, const void *data, size_t size, off64_t at), file, data, size, at)
ON_FILE(WRITES, ssize_t, writev, (int file, const struct iovec *data, int count), file, data, count)
ON_FILE(WRITES, ssize_t, sendfile, (int file, int from, off_t *at, size_t size), file, from, at, size)
ON_FILE(WRITES, ssize_t, sendfile64, (int file, int from, off64_t *at, size_t size), file, from, at, size)
ON_FILE(WRITES, int, fsync, (int file), file)
ON_FILE(WRITES, int, fdatasync, (int file), file)
ON_FILE(WRITES, int, ftruncate, (int file, off_t size), file, size)
ON_FILE(WRITES, int, ftruncate64, (int file, off64_t size), file, size)
ON_FILE(READS, ssize_t, read, (int file, void *data, size_t size), file, data, size)
ON_FILE(READS, ssize_t, pread, (int file, void *data, size_t size, off_t at), file, data, size, at)
ON_FILE(READS, ssize_t, pread64, (int file, void *data, size_t size, off64_t at), file, data, size, at)
ON_FILE(READS, ssize_t, readv, (int file, const struct iovec *data, int count), file, data, count)

#define RESERVE(name, offset)                                                                                          \
    int name(int file, offset at, offset size)                                                                         \
    {                                                                                                                  \
        REAL(name);                                                                                                    \
        if (file_fails(WRITES, #name, file))                                                                           \
            return errno;                                                                                              \
        return real(file, at, size);                                                                                   \
    }
RESERVE(posix_fallocate, off_t)
RESERVE(posix_fallocate64, off64_t)

int close(int file)
{
    REAL(close);
    if (is_for_writing(file) && file_fails(WRITES, "close", file)) {
        int error = errno;
        real(file);
        errno = error;
        return -1;
    }
    return real(file);
}

int fclose(FILE *stream)
{
    int file = fileno(stream);
    REAL(fclose);
    if (is_for_writing(file) && file_fails(WRITES, "close", file)) {
        int error = errno;
        real(stream);
        errno = error;
        return EOF;
    }
    return real(stream);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return path_fails(WRITES, "rename", AT_FDCWD, to) ? -1 : real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    REAL(renameat);
    return path_fails(WRITES, "rename", to_folder, to) ? -1 : real(from_folder, from, to_folder, to);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    if (access(path, F_OK) && path_fails(WRITES, "mkdir", AT_FDCWD, path))
        return -1;
    return real(path, mode);
}
