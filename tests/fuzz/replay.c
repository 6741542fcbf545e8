/* SPDX-License-Identifier: MIT
 * Feeds the corpus, and simple mutations of it, to a fuzz target: the ordinary test where there is no
 * libFuzzer. Usage: replay ROUNDS FOLDER */
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

int main(int argc, char **argv)
{
    static uint8_t data[MOST];
    DIR *folder = argc == 3 ? opendir(argv[2]) : NULL;
    if (folder == NULL) {
        fprintf(stderr, "usage: replay ROUNDS FOLDER\n");
        return 2;
    }
    int files = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[2], entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "rb") : NULL;
        if (file == NULL)
            continue;
        const size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        state = (uint32_t)size; /* the same mutations of a file in whatever order the folder lists them */
        for (int i = 0; i < atoi(argv[1]); i++)
            mutate(data, size);
        files++;
    }
    closedir(folder);
    printf("%d files\n", files);
    return files > 0 ? 0 : 1;
}
