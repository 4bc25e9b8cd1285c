/* Takes memory as its input file says: four numbers, namely how many KiB at a time, milliseconds between two times,
 * how many KiB in all, and milliseconds to hold them. Every page is written to. Prints what it took as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int count, char **words)
{
    long step, pause_ms, all, hold_ms, taken = 0;
    FILE *file = count == 2 ? fopen(words[1], "r") : NULL;
    if (!file || fscanf(file, "%ld %ld %ld %ld", &step, &pause_ms, &all, &hold_ms) != 4) {
        fprintf(stderr, "hog: no file with four numbers\n");
        return 2;
    }
    fclose(file);
    while (taken < all) {
        long now = step < all - taken ? step : all - taken;
        void *pages = mmap(NULL, now * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) {
            perror("hog: no memory");
            return 1;
        }
        memset(pages, 1, now * 1024);
        taken += now;
        usleep(pause_ms * 1000);
    }
    usleep(hold_ms * 1000);
    printf("{\"taken_kib\": %ld}\n", taken);
    return 0;
}
