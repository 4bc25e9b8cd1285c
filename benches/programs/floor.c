/* What capturing output and keeping a journal cost at least: the loop of spawn_loop.c that also gives each task two
 * pipes, learns of its end by a pidfd, reads both pipes to their end, and appends two lines to a journal.
 * `floor JOBS PROGRAM JOURNAL < LIST`. Memory is fixed; output is thrown away. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#define MOST 64
enum { STDOUT, STDERR, ENDED, WATCHED };

extern char **environ;
static struct pollfd watched[MOST * WATCHED];
static char started[160], ended[560];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void append(int journal, const char *line, size_t bytes) {
    if (write(journal, line, bytes) != (ssize_t)bytes)
        fail("journal");
}

static void start(struct pollfd *slot, char *program, char *argument) {
    int out[2], err[2];
    pid_t pid;
    char *words[] = {program, argument, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
        fail("pipe2");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    if (posix_spawn(&pid, program, &actions, &attributes, words, environ) != 0)
        fail("posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(out[1]);
    close(err[1]);
    slot[STDOUT] = (struct pollfd){.fd = out[0], .events = POLLIN};
    slot[STDERR] = (struct pollfd){.fd = err[0], .events = POLLIN};
    slot[ENDED] = (struct pollfd){.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    if (slot[ENDED].fd < 0)
        fail("pidfd_open");
}

/* Whether the task has ended and all that it said is read. */
static int serve(struct pollfd *slot) {
    static char read_here[1 << 16];
    for (int i = STDOUT; i <= STDERR; i++)
        if (slot[i].fd >= 0 && slot[i].revents && read(slot[i].fd, read_here, sizeof read_here) <= 0) {
            close(slot[i].fd);
            slot[i].fd = -1;
        }
    if (slot[ENDED].fd >= 0 && slot[ENDED].revents) {
        siginfo_t info;
        if (waitid(P_PIDFD, (id_t)slot[ENDED].fd, &info, WEXITED) != 0 || info.si_status != 0)
            fail("waitid");
        close(slot[ENDED].fd);
        slot[ENDED].fd = -1;
    }
    return slot[STDOUT].fd < 0 && slot[STDERR].fd < 0 && slot[ENDED].fd < 0;
}

int main(int argc, char **argv) {
    int jobs = argc == 4 ? atoi(argv[1]) : 0, busy[MOST] = {0}, running = 0, more = 1;
    if (jobs < 1 || jobs > MOST)
        return 2;
    int journal = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    char *line = NULL;
    size_t room = 0;
    memset(started, 's', sizeof started);
    memset(ended, 'e', sizeof ended);
    started[sizeof started - 1] = ended[sizeof ended - 1] = '\n';
    for (int i = 0; i < jobs * WATCHED; i++)
        watched[i].fd = -1;
    while (more || running > 0) {
        for (int slot = 0; slot < jobs; slot++)
            if (!busy[slot] && more && (more = getline(&line, &room, stdin) > 0)) {
                line[strcspn(line, "\n")] = 0;
                append(journal, started, sizeof started);
                start(watched + slot * WATCHED, argv[2], line);
                busy[slot] = 1;
                running++;
            }
        if (running > 0 && poll(watched, (nfds_t)(jobs * WATCHED), -1) < 0)
            fail("poll");
        for (int slot = 0; slot < jobs; slot++)
            if (busy[slot] && serve(watched + slot * WATCHED)) {
                append(journal, ended, sizeof ended);
                busy[slot] = 0;
                running--;
            }
    }
    return fsync(journal) != 0;
}
