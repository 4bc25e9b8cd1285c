/* Takes memory as its input file says: four numbers, namely how many KiB at a time, milliseconds between two times,
 * how many KiB in all, and milliseconds to hold them. Every page is written to. Prints what it took as JSON.
 * Without a file it is a warm worker: it reads requests, and gives back what it took after each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int take(const char *name)
{
    long step, pause_ms, all, hold_ms, taken = 0;
    FILE *file = fopen(name, "r");
    if (!file || fscanf(file, "%ld %ld %ld %ld", &step, &pause_ms, &all, &hold_ms) != 4) {
        fprintf(stderr, "hog: no file with four numbers\n");
        return 2;
    }
    fclose(file);
    char *pages = mmap(NULL, all * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) {
        perror("hog: no memory");
        return 1;
    }
    while (taken < all) {
        long now = step < all - taken ? step : all - taken;
        memset(pages + taken * 1024, 1, now * 1024);
        taken += now;
        usleep(pause_ms * 1000);
    }
    usleep(hold_ms * 1000);
    munmap(pages, all * 1024);
    printf("{\"taken_kib\": %ld}\n", taken);
    fflush(stdout);
    return 0;
}

int main(int count, char **words)
{
    char request[4096], path[4096];
    if (count == 2)
        return take(words[1]);
    while (fgets(request, sizeof request, stdin)) {
        if (sscanf(request, "{\"path\":\"%4095[^\"]", path) != 1) {
            fprintf(stderr, "hog: no request: %s", request);
            return 2;
        }
        int code = take(path);
        if (code)
            return code;
    }
    return 0;
}
