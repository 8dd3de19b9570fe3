/* Loaded before the C library (LD_PRELOAD): keeps of every file of one folder what it held at its last sync, and lets
   syncs fail on demand. What a machine that loses power may lose is what lies between the two.

   UNSYNCED_FOLDER  the folder that is watched
   UNSYNCED_IMAGE   where a file's content goes when it is synced, under the same name; a file never synced is not there
   UNSYNCED_FAIL    while this file is there, syncs fail with EIO, and nothing of theirs is kept
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns the name within the folder of what a descriptor is open on; NULL for anything else. */
static const char *name_of(int descriptor, char *path) {
    const char *folder = getenv("UNSYNCED_FOLDER");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (folder == NULL || length < 0)
        return NULL;
    path[length] = '\0';
    size_t prefix = strlen(folder);
    if (strncmp(path, folder, prefix) != 0 || path[prefix] != '/' || strchr(path + prefix + 1, '/') != NULL)
        return NULL;
    return path + prefix + 1;
}

/* Keeps a file as it is now; by a rename, so that a process killed meanwhile leaves what was kept before. */
static int keep(const char *path, const char *name) {
    char target[PATH_MAX], unfinished[PATH_MAX], block[65536];
    const char *image = getenv("UNSYNCED_IMAGE");
    if (image == NULL)
        return 0;
    snprintf(target, sizeof target, "%s/%s", image, name);
    snprintf(unfinished, sizeof unfinished, "%s/.%s.%d", image, name, (int)gettid());
    int from = open(path, O_RDONLY | O_CLOEXEC);
    int to = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t length = -1;
    if (from >= 0 && to >= 0)
        while ((length = read(from, block, sizeof block)) > 0)
            if (write(to, block, (size_t)length) != length) {
                length = -1;
                break;
            }
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return length < 0 ? -1 : rename(unfinished, target);
}

static int synced(int descriptor, const char *function) {
    char path[PATH_MAX];
    const char *name = name_of(descriptor, path), *fail = getenv("UNSYNCED_FAIL");
    if (name != NULL && fail != NULL && access(fail, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    int (*sync)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
    int status = sync(descriptor);
    if (status == 0 && name != NULL && keep(path, name) != 0)
        abort();
    return status;
}

int fsync(int descriptor) { return synced(descriptor, "fsync"); }
int fdatasync(int descriptor) { return synced(descriptor, "fdatasync"); }
