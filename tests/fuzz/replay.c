/* SPDX-License-Identifier: MIT
 * Feeds the corpus, and simple mutations of it, to a fuzz target: the ordinary test where there is no
 * libFuzzer. Usage: replay ROUNDS FOLDER... */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20 };

static uint32_t state = 1;

static uint32_t next(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void mutate(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        exit(1);
    memcpy(copy, data, size);
    for (uint32_t i = next() % 4; size > 0 && i < 4; i++)
        copy[next() % size] = next() % 2 ? (uint8_t)next() : (uint8_t) "0\"{}[]:,9\n"[next() % 10];
    LLVMFuzzerTestOneInput(copy, next() % 3 != 0 || size == 0 ? size : next() % size);
    free(copy);
}

/* Returns how many files there are. */
static int replay(const char *path, int rounds)
{
    static uint8_t data[MOST];
    int files = 0;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(name, "rb") : NULL;
        if (file == NULL)
            continue;
        const size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        state = (uint32_t)size; /* the same mutations of a file in whatever order the folder lists them */
        for (int i = 0; i < rounds; i++)
            mutate(data, size);
        files++;
    }
    if (folder != NULL)
        closedir(folder);
    return files;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: replay ROUNDS FOLDER...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        const int files = replay(argv[i], atoi(argv[1]));
        printf("%s: %d files\n", argv[i], files);
        if (files == 0)
            return 1;
    }
    return 0;
}
