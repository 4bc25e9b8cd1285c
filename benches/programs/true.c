/* A task that does nothing, and needs no shared library to do it. */
int main(void) { return 0; }
