/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* flock */
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_file(const char *path, int flags, unsigned mode)
{
    return open(path, flags, (mode_t)mode);
}

static int64_t write_file(int file, const void *bytes, size_t size)
{
    return write(file, bytes, size);
}

const dumi_file_calls dumi_file_system = {open_file, write_file, fsync, close, rename, unlink};

dum_status dumi_file_fail(const char *what, const char *path, int error)
{
    char reason[80] = "";
    if (strerror_r(error, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "error %d", error);
    return dumi_fail(DUM_ERR_IO, "cannot %s %.140s: %s", what, path, reason);
}

static bool write_all(const dumi_file_calls *calls, int file, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        const int64_t written = calls->write(file, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            if (written == 0)
                errno = ENOSPC;
            return false;
        }
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

static bool sync_file(const dumi_file_calls *calls, int file)
{
    int result;
    do
        result = calls->fsync(file);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* The folder of `path`, with the slash at its end; "" for the current one. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

enum { MOST_LINKS = 40, LINK_SIZE = 4096 }; /* Linux follows no more, and knows no longer ones */

/* `at` is a path; it becomes what a symbolic link there leads to, whether there is a file yet or not. False: with errno. */
static bool follow_links(char *at, char *target)
{
    for (int links = 0; links <= MOST_LINKS; links++) {
        struct stat about;
        if (lstat(at, &about) != 0 || !S_ISLNK(about.st_mode))
            return true; /* what is wrong with it, opening a file beside it says */
        const ssize_t length = readlink(at, target, LINK_SIZE);
        if (length < 0)
            return false;
        const size_t folder = length > 0 && target[0] == '/' ? 0 : folder_length(at);
        if (folder + (size_t)length >= LINK_SIZE) {
            errno = ENAMETOOLONG;
            return false;
        }
        memcpy(at + folder, target, (size_t)length);
        at[folder + (size_t)length] = '\0';
    }
    errno = ELOOP;
    return false;
}

/* A link is written through, as by open: a file in its place would leave what it leads to as it was. The caller frees *out. */
static dum_status resolve(dum_context *context, const char *path, char **out)
{
    const size_t size = strlen(path) + 1;
    DUMI_TRY(DUMI_NEW(context, *out, (size > LINK_SIZE ? size : LINK_SIZE) + LINK_SIZE));
    memcpy(*out, path, size);
    if (size > LINK_SIZE || follow_links(*out, *out + LINK_SIZE))
        return DUM_OK;
    const dum_status status = dumi_file_fail("follow the link", path, errno);
    dumi_free(context, *out);
    return status;
}

/* Locked against other threads and processes, and empty. One that is not new must be ours alone; of a new one the owner
 * may be whoever the file system says, and where files cannot be locked, only a new one will do. */
static bool take_over(int file, const char *name, bool is_new)
{
    struct stat opened, named;
    int result;
    do
        result = flock(file, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    if (result != 0)
        return is_new && errno != EWOULDBLOCK;
    /* Before it was locked, another may have taken it over and renamed it. */
    if (lstat(name, &named) != 0)
        return false;
    return is_new || (fstat(file, &opened) == 0 && S_ISREG(named.st_mode) && opened.st_dev == named.st_dev &&
                      opened.st_ino == named.st_ino && named.st_nlink == 1 && named.st_uid == geteuid() &&
                      ftruncate(file, 0) == 0);
}

/* A file beside `path` that nobody else uses: a new one, or one that was left by who was killed. */
static int open_temporary(const dumi_file_calls *calls, const char *path, char *name, size_t capacity)
{
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        const int length = snprintf(name, capacity, "%s.%u.tmp", path, attempt);
        if (length < 0 || (size_t)length >= capacity) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int file = calls->open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        const bool is_new = file >= 0;
        if (!is_new && errno != EEXIST)
            return -1;
        if (!is_new)
            file = calls->open(name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
        if (file < 0)
            continue;
        if (take_over(file, name, is_new))
            return file;
        calls->close(file);
    }
    errno = EEXIST;
    return -1;
}

/* The rename itself is on disk only when its folder is. */
static bool sync_folder(const dumi_file_calls *calls, const char *path, char *folder)
{
    const size_t length = folder_length(path);
    memcpy(folder, path, length);
    memcpy(folder + length, ".", 2);
    const int file = calls->open(folder, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return false;
    const bool synced = sync_file(calls, file) || errno == EINVAL; /* some file systems cannot */
    const int error = errno;
    calls->close(file);
    errno = error;
    return synced;
}

/* path: what messages name; target: where it leads. */
static dum_status write_at(dum_context *context, const dumi_file_calls *calls, const char *path,
                           const char *target, const void *bytes, size_t size)
{
    const size_t capacity = strlen(target) + 48;
    char *name = dumi_alloc(context, capacity, 1);
    if (name == NULL)
        return dumi_status();
    dum_status status = DUM_OK;
    const int file = open_temporary(calls, target, name, capacity);
    if (file < 0) {
        status = dumi_file_fail("create a file beside", path, errno);
        dumi_free(context, name);
        return status;
    }
    bool written = write_all(calls, file, bytes, size) && sync_file(calls, file);
    int error = errno;
    /* Interrupted, the file is closed all the same, and on disk since fsync. */
    if (calls->close(file) != 0 && errno != EINTR && written) {
        written = false;
        error = errno;
    }
    if (!written)
        status = dumi_file_fail("write", path, error);
    else if (calls->rename(name, target) != 0)
        status = dumi_file_fail("rename the new file to", path, errno);
    if (status != DUM_OK)
        calls->unlink(name);
    else if (!sync_folder(calls, target, name))
        status = dumi_file_fail("sync the folder of", path, errno);
    dumi_free(context, name);
    return status;
}

dum_status dumi_file_write(dum_context *context, const dumi_file_calls *calls, const char *path,
                           const void *bytes, size_t size)
{
    /* rename would put a file in the place of a device or a FIFO. A link that the system does not let us follow (of somebody
     * else, in a folder of all) is none to be read, either. */
    struct stat about;
    const bool is_there = stat(path, &about) == 0;
    if (!is_there && errno == EACCES)
        return dumi_file_fail("write", path, errno);
    DUMI_REQUIRE(!is_there || S_ISREG(about.st_mode), DUM_ERR_IO, "%.160s is not a regular file", path);
    char *target;
    DUMI_TRY(resolve(context, path, &target));
    const dum_status status = write_at(context, calls, path, target, bytes, size);
    dumi_free(context, target);
    return status;
}

static dum_status read_all(dum_context *context, const char *path, int file, uint64_t most,
                           unsigned char **bytes, size_t *size)
{
    struct stat about;
    if (fstat(file, &about) != 0)
        return dumi_file_fail("read", path, errno);
    DUMI_REQUIRE(S_ISREG(about.st_mode), DUM_ERR_IO, "%.160s is not a regular file", path);
    if (most > SIZE_MAX)
        most = SIZE_MAX;
    DUMI_REQUIRE((uint64_t)about.st_size <= most, DUM_ERR_LIMIT, "%.160s has %lld bytes, at most %llu are read",
                 path, (long long)about.st_size, (unsigned long long)most);
    *size = (size_t)about.st_size;
    DUMI_TRY(DUMI_NEW(context, *bytes, *size));
    for (size_t done = 0; done < *size;) {
        const ssize_t now = read(file, *bytes + done, *size - done);
        if (now < 0 && errno == EINTR)
            continue;
        if (now <= 0) {
            const dum_status status = now < 0 ? dumi_file_fail("read", path, errno)
                                              : dumi_fail(DUM_ERR_IO, "%.160s became shorter while read", path);
            dumi_free(context, *bytes);
            *bytes = NULL;
            return status;
        }
        done += (size_t)now;
    }
    return DUM_OK;
}

dum_status dumi_file_read(dum_context *context, const char *path, uint64_t most, unsigned char **bytes,
                          size_t *size)
{
    *bytes = NULL;
    /* O_NONBLOCK: a FIFO must not make us wait. */
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return dumi_file_fail("open", path, errno);
    const dum_status status = read_all(context, path, file, most, bytes, size);
    close(file);
    return status;
}

dum_status dumi_save_bytes(dum_context *context, const char *path, unsigned char *bytes, size_t size)
{
    const dum_status status = dumi_file_write(context, &dumi_file_system, path, bytes, size);
    dumi_free(context, bytes);
    return status;
}

dum_status dumi_hand_out(dum_context *context, unsigned char *bytes, size_t needed, void *buffer,
                         size_t capacity, size_t *size)
{
    *size = needed;
    dum_status status = DUM_OK;
    if (buffer != NULL && capacity >= needed)
        memcpy(buffer, bytes, needed);
    else if (capacity >= needed)
        status = dumi_fail(DUM_ERR_ARGUMENT, "buffer is NULL, but capacity is %zu: pass 0 to ask for the size",
                           capacity);
    else if (buffer != NULL || capacity > 0)
        status = dumi_fail(DUM_ERR_ARGUMENT, "capacity is %zu, the model needs %zu bytes", capacity, needed);
    dumi_free(context, bytes);
    return status;
}

dum_status dumi_load_file(dum_context *context, const char *path,
                          dum_status (*load)(dum_context *context, const void *bytes, size_t size, void **out),
                          void **out)
{
    DUMI_NOT_NULL(context);
    DUMI_NOT_NULL(path);
    unsigned char *bytes;
    size_t size;
    DUMI_TRY(dumi_file_read(context, path, UINT64_MAX, &bytes, &size));
    const dum_status status = load(context, bytes, size, out);
    dumi_free(context, bytes);
    return status;
}
