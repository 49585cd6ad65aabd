/*
 * A stand-in for a browser: behaves by the path of the URL in its last
 * argument, and can note when it began and when it ended.
 *
 *   /exit          ends at once
 *   /after/MS      ends after MS milliseconds
 *   /sleep         stays until it is killed
 *   /family/N      the same, with N children that do so too
 *   ?slot=N        notes CLOCK_MONOTONIC, in ns, as two 64-bit numbers at
 *                  16 * N in CLOCK_FILE: the first act and the last
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void behave(const char *path)
{
    if (strncmp(path, "/family/", 8) == 0) {
        for (long left = atol(path + 8); left > 0; left--)
            if (fork() == 0)
                break;
        for (;;)
            pause();
    }
    if (strncmp(path, "/after/", 7) == 0) {
        long ms = atol(path + 7);
        struct timespec span = {ms / 1000, ms % 1000 * 1000000};
        nanosleep(&span, NULL);
    } else if (strncmp(path, "/sleep", 6) == 0) {
        for (;;)
            pause();
    }
}

int main(int argc, char **argv)
{
    uint64_t began_ns = now_ns();
    const char *url = argv[argc - 1];
    const char *scheme_end = strstr(url, "://");
    const char *path = scheme_end ? strchr(scheme_end + 3, '/') : NULL;
    const char *slot = strstr(url, "slot=");

    if (path == NULL)
        return 64;
    if (slot == NULL) {
        behave(path);
        _exit(0);
    }

    int file = open(CLOCK_FILE, O_WRONLY);
    off_t at = 16 * atol(slot + 5);
    if (pwrite(file, &began_ns, sizeof began_ns, at) != sizeof began_ns)
        return 74;
    behave(path);
    uint64_t ended_ns = now_ns();
    if (pwrite(file, &ended_ns, sizeof ended_ns, at + 8) != sizeof ended_ns)
        return 74;
    _exit(0);
}
