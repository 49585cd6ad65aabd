/*
 * The least that a shim per job can cost: a small single-threaded parent keeps
 * IN_FLIGHT children, each of which starts the stub, waits for it and leaves.
 *
 *   cycles IN_FLIGHT MILLISECONDS STUB URL
 *
 * Prints how many cycles it made, how many nanoseconds they took, and how many
 * microseconds of CPU time.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static long long cpu_us(int whose)
{
    struct rusage usage;
    getrusage(whose, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* Never returns in the child. */
static void cycle(char **command)
{
    pid_t shim = fork();
    if (shim < 0)
        exit(71);
    if (shim > 0)
        return;

    pid_t stub = fork();
    if (stub == 0) {
        execv(command[0], command);
        _exit(127);
    }
    int status = 0;
    if (stub < 0 || waitpid(stub, &status, 0) != stub)
        _exit(71);
    _exit(status != 0);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 64;
    long in_flight = atol(argv[1]);
    uint64_t span_ns = (uint64_t)atol(argv[2]) * 1000000u;
    char *command[] = {argv[3], argv[4], NULL};
    uint64_t began_ns = now_ns();
    long count = 0;

    for (long i = 0; i < in_flight; i++)
        cycle(command);
    for (;;) {
        int status = 0;
        if (wait(&status) < 0)
            break;
        if (status != 0)
            return 70;
        count++;
        if (now_ns() - began_ns < span_ns)
            cycle(command);
    }
    printf("%ld %llu %lld\n", count, (unsigned long long)(now_ns() - began_ns),
           cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN));
    return 0;
}
