/* Storage that fails on command: preloaded (LD_PRELOAD) into a process under test.
 *
 * What lives here: every call that changes files below one folder gets a name ("wal-write", "db-sync")
 * and a number. The call of a chosen number kills the process (before it, in the middle of what it
 * writes, after it), or it and all later ones fail with a chosen errno. With a snapshot folder, what
 * was synced is remembered by inode, so that a harness can put back what a power cut would leave.
 * What must not: any judgement; the harness (tests/crash) knows what must be true afterwards.
 *
 * Environment: IO_FAULTS_FOLDER (absolute, real path), IO_FAULTS_LOG (gets one name a line),
 * IO_FAULTS_AT (number, from 1), IO_FAULTS_ACTION (before, middle, after, or an errno),
 * IO_FAULTS_SNAPSHOT, and IO_FAULTS_HEALED (once a file of this name exists, nothing fails). A process that is running already calls io_faults_arm instead.
 * Build: cc -shared -fPIC -O1 -o io_faults.so io_faults.c -ldl
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum action { NOTHING, BEFORE, MIDDLE, AFTER, FAIL };

static char root[4096], snapshot[4096], healed[4096];
static size_t root_length;
static int log_handle = -1, fail_errno;
static long chosen, count, held;
static enum action action;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

void io_faults_arm(const char *folder, const char *log, long at, const char *what, const char *snapshots)
{
    action = !strcmp(what, "before") ? BEFORE : !strcmp(what, "middle") ? MIDDLE
           : !strcmp(what, "after") ? AFTER : atoi(what) ? FAIL : NOTHING;
    fail_errno = atoi(what);
    chosen = at;
    count = 0;
    snprintf(snapshot, sizeof snapshot, "%s", snapshots);
    log_handle = *log ? REAL(int, open64, const char *, int, ...)(
                            log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    snprintf(root, sizeof root, "%s", folder);
    root_length = strlen(root);
}

/* The disk works again. */
void io_faults_heal(void) { action = NOTHING; }

__attribute__((constructor)) static void arm_from_environment(void)
{
    const char *folder = getenv("IO_FAULTS_FOLDER"), *log = getenv("IO_FAULTS_LOG");
    const char *at = getenv("IO_FAULTS_AT"), *what = getenv("IO_FAULTS_ACTION");
    const char *snapshots = getenv("IO_FAULTS_SNAPSHOT");
    if (getenv("IO_FAULTS_HEALED"))
        snprintf(healed, sizeof healed, "%s", getenv("IO_FAULTS_HEALED"));
    if (folder)
        io_faults_arm(folder, log ? log : "", at ? atol(at) : 0, what ? what : "", snapshots ? snapshots : "");
}

/* -- which file is it ------------------------------------------------------------------------- */

static int is_ours(const char *path)
{
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int handle_is_ours(int handle, char *path, size_t size)
{
    char link[64];
    if (!root_length)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, size - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return is_ours(path);
}

static const char *kind_of(const char *path)
{
    const char *name = strrchr(path, '/');
    struct stat found;
    name = name ? name + 1 : path;
    if (strstr(name, ".db-wal"))
        return "wal";
    if (strstr(name, ".db-shm"))
        return "shm";
    if (strstr(name, ".db-journal"))
        return "journal";
    if (strstr(name, ".db-commits"))
        return "mark";
    if (strstr(name, ".db"))
        return "db";
    if (strstr(name, ".key"))
        return "key";
    if (!strcmp(name, "lock"))
        return "lock";
    return !lstat(path, &found) && S_ISDIR(found.st_mode) ? "folder" : "other";
}

/* -- what happens now ------------------------------------------------------------------------- */

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int is_full(void) { return fail_errno == ENOSPC || fail_errno == EDQUOT; }

/* Count and name the call; die, or say what the caller must do. */
static enum action gate(const char *path, const char *verb)
{
    char line[128];
    pthread_mutex_lock(&one_at_a_time);
    long number = ++count;
    if (log_handle >= 0) {
        int length = snprintf(line, sizeof line, "%s-%s\n", kind_of(path), verb);
        if (REAL(ssize_t, write, int, const void *, size_t)(log_handle, line, (size_t)length) != length)
            abort();
    }
    if (action == FAIL && *healed && !access(healed, F_OK))
        action = NOTHING;
    enum action now = action;
    pthread_mutex_unlock(&one_at_a_time);
    if (now == FAIL && is_full() && (!strcmp(verb, "unlink") || !strcmp(verb, "sync")))
        return NOTHING; /* a full disk still takes files away and keeps what it has taken */
    if (now == FAIL && number >= chosen) {
        errno = fail_errno;
        return FAIL;
    }
    if (number != chosen || now == NOTHING || now == FAIL)
        return NOTHING;
    if (now == BEFORE)
        die();
    return now;
}

#define FINISH(now, result)                    \
    do {                                       \
        if ((now) == AFTER || (now) == MIDDLE) \
            die();                             \
        return (result);                       \
    } while (0)

/* -- what a power cut would leave ------------------------------------------------------------- */

static void remember_file(int handle, ino_t inode)
{
    char path[4200], link[64], buffer[65536];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    snprintf(path, sizeof path, "%s/data-%lu", snapshot, (unsigned long)inode);
    int from = REAL(int, open64, const char *, int, ...)(link, O_RDONLY | O_CLOEXEC);
    int to = REAL(int, open64, const char *, int, ...)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t length;
    if (from < 0 || to < 0)
        abort();
    while ((length = read(from, buffer, sizeof buffer)) > 0)
        if (REAL(ssize_t, write, int, const void *, size_t)(to, buffer, (size_t)length) != length)
            abort();
    close(from);
    close(to);
}

static void remember_names(const char *folder, ino_t inode)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/names-%lu", snapshot, (unsigned long)inode);
    DIR *names = opendir(folder);
    FILE *out = fopen(path, "w");
    struct dirent *entry;
    if (!names || !out)
        abort();
    while ((entry = readdir(names)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            fprintf(out, "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
    fclose(out);
    closedir(names);
}

static void remember_synced(int handle, const char *path)
{
    struct stat found;
    if (!*snapshot || fstat(handle, &found))
        return;
    if (S_ISDIR(found.st_mode))
        remember_names(path, found.st_ino);
    else
        remember_file(handle, found.st_ino);
}

/* A file that loses its name keeps its inode number, which is its name in the snapshot. */
static void hold(const char *path)
{
    char kept[4200];
    snprintf(kept, sizeof kept, "%s/held-%ld", snapshot, ++held);
    if (*snapshot)
        (void)!REAL(int, link, const char *, const char *)(path, kept);
}

/* -- the calls -------------------------------------------------------------------------------- */

static int open_gated(const char *name, const char *path, int flags, mode_t mode)
{
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))real(name);
    enum action now = NOTHING;
    if (is_ours(path)) {
        if ((flags & O_CREAT) && access(path, F_OK))
            now = gate(path, "create");
        else if ((flags & O_ACCMODE) != O_RDONLY && action == FAIL && fail_errno == EROFS && count >= chosen) {
            errno = EROFS;
            now = FAIL;
        }
    }
    if (now == FAIL)
        return -1;
    int handle = next(path, flags, mode);
    FINISH(now, handle);
}

#define OPEN(name)                                      \
    int name(const char *path, int flags, ...)          \
    {                                                   \
        mode_t mode = 0;                                \
        if (flags & (O_CREAT | __O_TMPFILE)) {          \
            va_list rest;                               \
            va_start(rest, flags);                      \
            mode = va_arg(rest, mode_t);                \
            va_end(rest);                               \
        }                                               \
        return open_gated(#name, path, flags, mode);    \
    }

OPEN(open)
OPEN(open64)

ssize_t write(int handle, const void *data, size_t size)
{
    ssize_t (*next)(int, const void *, size_t) = REAL(ssize_t, write, int, const void *, size_t);
    char path[4096];
    enum action now = handle_is_ours(handle, path, sizeof path) ? gate(path, "write") : NOTHING;
    if (now == FAIL)
        return -1;
    ssize_t written = next(handle, data, now == MIDDLE ? size / 2 : size);
    FINISH(now, written);
}

#define PWRITE(name, offset_type)                                                                  \
    ssize_t name(int handle, const void *data, size_t size, offset_type offset)                    \
    {                                                                                              \
        ssize_t (*next)(int, const void *, size_t, offset_type) =                                  \
            REAL(ssize_t, name, int, const void *, size_t, offset_type);                           \
        char path[4096];                                                                           \
        enum action now = handle_is_ours(handle, path, sizeof path) ? gate(path, "write") : NOTHING; \
        if (now == FAIL)                                                                           \
            return -1;                                                                             \
        ssize_t written = next(handle, data, now == MIDDLE ? size / 2 : size, offset);             \
        FINISH(now, written);                                                                      \
    }

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define FTRUNCATE(name, offset_type)                                                                  \
    int name(int handle, offset_type size)                                                            \
    {                                                                                                 \
        char path[4096];                                                                              \
        enum action now = handle_is_ours(handle, path, sizeof path) ? gate(path, "truncate") : NOTHING; \
        if (now == FAIL)                                                                              \
            return -1;                                                                                \
        int result = REAL(int, name, int, offset_type)(handle, size);                                 \
        FINISH(now, result);                                                                          \
    }

FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                                                  \
    int name(int handle)                                                                            \
    {                                                                                               \
        char path[4096];                                                                            \
        int ours = handle_is_ours(handle, path, sizeof path);                                       \
        enum action now = ours ? gate(path, "sync") : NOTHING;                                      \
        if (now == FAIL)                                                                            \
            return -1;                                                                              \
        int result = REAL(int, name, int)(handle);                                                  \
        if (ours && !result)                                                                        \
            remember_synced(handle, path);                                                          \
        FINISH(now, result);                                                                        \
    }

SYNC(fsync)
SYNC(fdatasync)

#define TWO_NAMES(name)                                                   \
    int name(const char *from, const char *to)                            \
    {                                                                     \
        enum action now = is_ours(to) ? gate(to, #name) : NOTHING;        \
        if (now == FAIL)                                                  \
            return -1;                                                    \
        if (is_ours(to))                                                  \
            hold(to);                                                     \
        int result = REAL(int, name, const char *, const char *)(from, to); \
        FINISH(now, result);                                              \
    }

TWO_NAMES(rename)
TWO_NAMES(link)

int unlink(const char *path)
{
    enum action now = is_ours(path) && !access(path, F_OK) ? gate(path, "unlink") : NOTHING;
    if (now == FAIL)
        return -1;
    if (is_ours(path))
        hold(path);
    int result = REAL(int, unlink, const char *)(path);
    FINISH(now, result);
}

int mkdir(const char *path, mode_t mode)
{
    enum action now = is_ours(path) && access(path, F_OK) ? gate(path, "mkdir") : NOTHING;
    if (now == FAIL)
        return -1;
    int result = REAL(int, mkdir, const char *, mode_t)(path, mode);
    FINISH(now, result);
}
