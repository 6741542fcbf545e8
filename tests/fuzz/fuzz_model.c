/* SPDX-License-Identifier: MIT
 * Any bytes as a model file: an error, or a scorer or monitor that works. The checksums are set right first where the
 * header can be read, so that the fuzzer gets behind them. */
#include "fuzz.h"
#include "io/io.h"

#include <stdio.h>
#include <stdlib.h>

static dum_context *context;

/* Writes digest over the value of `key`, if that is in its usual place in the header. */
static void set_digest(unsigned char *bytes, size_t size, const char *key, const char *digest)
{
    char wanted[48];
    const size_t length = (size_t)snprintf(wanted, sizeof wanted, "\"%s\":\"", key);
    for (size_t i = 0; i + length + 64 < size; i++) {
        if (memcmp(bytes + i, wanted, length) == 0) {
            memcpy(bytes + i + length, digest, 64);
            return;
        }
    }
}

static void set_digests(unsigned char *bytes, size_t size)
{
    dumi_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return;
    reader->context = context;
    if (dumi_header_parse(reader, bytes, size) == DUM_OK) {
        uint64_t header = 0;
        for (int i = 7; i >= 0; i--)
            header = header << 8 | bytes[i];
        char digest[65];
        dumi_sha256 hash;
        dumi_sha256_init(&hash);
        dumi_sha256_add(&hash, bytes + 8 + header, size - 8 - (size_t)header);
        dumi_sha256_text(&hash, digest);
        set_digest(bytes, size, "dum.data_sha256", digest);
        dumi_free(context, reader->texts);
        memset(reader, 0, sizeof *reader);
        reader->context = context;
        if (dumi_header_parse(reader, bytes, size) == DUM_OK) {
            dumi_header_digest(reader->meta, reader->metadata, reader->tensor, reader->tensors, digest);
            set_digest(bytes, size, "dum.meta_sha256", digest);
        }
    }
    dumi_free(context, reader->texts);
    free(reader);
}

static void use(dum_scorer *scorer)
{
    const int32_t cols = dum_scorer_cols(scorer);
    float *row = calloc((size_t)cols * 2, sizeof *row);
    double score;
    if (row != NULL && dum_scorer_score(scorer, row, 1, cols, 0, &score) == DUM_OK)
        (void)!dum_scorer_explain(scorer, row, 1, cols, 0, row + cols, NULL);
    free(row);
}

/* Enough scores for a window to be tested, and to be read. */
static void use_monitor(dum_monitor *monitor)
{
    dum_monitor_state state;
    DUM_INIT(state);
    int32_t alarm;
    for (int i = 0; i < 40; i++) {
        const double scores[4] = {i, -i, 0.5, 1e9};
        (void)!dum_monitor_push_scores(monitor, scores, 4, &alarm);
    }
    (void)!dum_monitor_read(monitor, &state);
    int64_t rows[4], count;
    double best[4];
    (void)!dum_monitor_read_top(monitor, 4, rows, best, &count);
    (void)!dum_monitor_reset(monitor);
    dum_monitor_destroy(monitor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (context == NULL) {
        dum_context_options options;
        DUM_INIT(options);
        options.threads = 1;
        options.max_bytes = 256 << 20;
        if (dum_context_create(&options, &context) != DUM_OK)
            abort();
    }
    unsigned char *bytes = malloc(size + 1);
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data, size);
    for (int fix = 0; fix < 2; fix++) {
        dum_scorer *scorer;
        dum_head *head;
        if (dum_scorer_load_memory(context, bytes, size, &scorer) == DUM_OK)
            use(scorer);
        dum_scorer_destroy(scorer);
        if (dum_head_load_memory(context, bytes, size, &head) == DUM_OK)
            dum_head_destroy(head);
        dum_monitor *monitor;
        if (dum_monitor_load_memory(context, bytes, size, &monitor) == DUM_OK)
            use_monitor(monitor);
        set_digests(bytes, size);
    }
    free(bytes);
    return 0;
}
