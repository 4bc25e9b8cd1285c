/* A task that prints a result: `found [BYTES]`, with BYTES of log lines before it. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    long bytes = argc > 1 ? atol(argv[1]) : 0;
    for (; bytes > 0; bytes -= 64)
        puts("one line of what a talkative script says, sixty-four bytes long");
    puts("{\"stars_detected\": 42, \"background\": 512.25, \"noise\": 4.75}");
    return 0;
}
