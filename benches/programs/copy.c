/* A task that copies a file and needs no shared library to do it: `copy FROM TO`. */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int from = open(argv[1], O_RDONLY), to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    char bytes[65536];
    ssize_t got;
    if (from < 0 || to < 0)
        return 1;
    while ((got = read(from, bytes, sizeof bytes)) > 0)
        if (write(to, bytes, got) != got)
            return 1;
    return got < 0;
}
