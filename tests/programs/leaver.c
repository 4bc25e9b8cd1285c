/* Leaves processes behind, one for each word, and ends. A word's letters say how: `s` calls setsid, `d` forks once more
 * and lets the parent end, `t` ignores SIGTERM, SIGINT and SIGHUP, `k` keeps the output open; a word that
 * begins with anything else (a path, a number) is passed over. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void stay(const char *how)
{
    if (strchr(how, 't')) {
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
    }
    if (!strchr(how, 'k')) {
        close(1);
        close(2);
    }
    if (strchr(how, 's'))
        setsid();
    if (strchr(how, 'd') && fork() != 0)
        _exit(0);
    /* Far longer than any test, and not for ever where one fails. */
    alarm(300);
    for (;;)
        pause();
}

int main(int count, char **words)
{
    for (int word = 1; word < count; word++) {
        if (!strchr("sdtk", words[word][0]))
            continue;
        switch (fork()) {
        case -1:
            return 1;
        case 0:
            stay(words[word]);
        }
    }
    return 0;
}
