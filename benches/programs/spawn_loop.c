/* The least that starting tasks can cost: posix_spawn, two or more at a time, and nothing but waiting for them.
 * `spawn_loop JOBS PROGRAM < LIST` starts PROGRAM LINE for each line. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static void wait_for_one(void) {
    int status;
    if (wait(&status) < 0 || status != 0)
        exit(1);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int jobs = atoi(argv[1]), running = 0;
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (running == jobs) {
            wait_for_one();
            running--;
        }
        char *words[] = {argv[2], line, NULL};
        pid_t pid;
        if (posix_spawn(&pid, argv[2], NULL, NULL, words, environ) != 0)
            return 1;
        running++;
    }
    while (running-- > 0)
        wait_for_one();
    return 0;
}
