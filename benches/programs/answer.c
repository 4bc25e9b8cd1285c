/* A warm worker that answers at once: `answer [BYTES]`, with BYTES of log lines before each answer. Where ANSWER_UNTIL is set,
 * it fails from this index on. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char LINE[] = "one line of what a talkative script says, sixty-four bytes long\n";
static const char FAILED[] = "{\"error\": \"not this time\"}\n";
static const char RESULT[] = "{\"stars_detected\": 42, \"background\": 512.25, \"noise\": 4.75}\n";

static char said[1 << 20];
static size_t length;

static void add(const char *text, size_t bytes) {
    if (length + bytes > sizeof said)
        return;
    memcpy(said + length, text, bytes);
    length += bytes;
}

static void write_all(const char *text, size_t left) {
    while (left > 0) {
        ssize_t written = write(STDOUT_FILENO, text, left);
        if (written <= 0)
            exit(1);
        text += written;
        left -= (size_t)written;
    }
}

static int fails(const char *line) {
    const char *until = getenv("ANSWER_UNTIL");
    const char *index = until != NULL ? strstr(line, "\"index\":") : NULL;
    return index != NULL && atol(index + sizeof "\"index\":" - 1) >= atol(until);
}

int main(int argc, char **argv) {
    for (long bytes = argc > 1 ? atol(argv[1]) : 0; bytes > 0; bytes -= (long)sizeof LINE - 1)
        add(LINE, sizeof LINE - 1);
    add(RESULT, sizeof RESULT - 1);
    static char asked[1 << 16];
    ssize_t got;
    while ((got = read(STDIN_FILENO, asked, sizeof asked - 1)) > 0) {
        asked[got] = '\0';
        for (ssize_t i = 0; i < got; i++)
            if (asked[i] == '\n' && fails(asked))
                write_all(FAILED, sizeof FAILED - 1);
            else if (asked[i] == '\n')
                write_all(said, length);
    }
    return 0;
}
