/* A task that sleeps for as many milliseconds as its file has bytes, times NAP_FACTOR: `nap FILE`. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

int main(int argc, char **argv) {
    struct stat file;
    if (argc < 2 || stat(argv[1], &file) != 0) {
        perror(argc < 2 ? "nap FILE" : argv[1]);
        return 1;
    }
    const char *factor = getenv("NAP_FACTOR");
    double seconds = file.st_size / 1000.0 * (factor ? atof(factor) : 1.0);
    struct timespec left = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) != 0)
        ;
    return 0;
}
