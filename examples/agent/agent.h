/* SPDX-License-Identifier: MIT
 * dum-agent: what its parts share. One thread, one poll loop; all memory is taken at the start, or once a client. */
#ifndef AGENT_H
#define AGENT_H

#include "../dum/tool.h"

#include <poll.h>

enum { CHUNK_ROWS = 256, MAX_CLIENTS = 64, MAX_VIEWERS = 16 };

typedef struct {
    arguments args;
    inputs in;
    dum_monitor *monitor;
    char model[80]; /* SHA-256 of its tensors */
    int32_t cols;
    bool is_binary;

    /* Rows that wait to be scored together. */
    float *rows;
    bool malformed[CHUNK_ROWS];
    int64_t filled;

    /* Since the start. */
    int64_t malformed_rows, clients, refused, write_errors;
    int64_t clients_now;
    int64_t saved_rows;
    double saved_at; /* on the wall's clock */

    bool holds; /* an alarm */
    double rearm_at;
} agent;

/* Seconds on a clock that never jumps. */
double now(void);

/* ---- input.c ------------------------------------------------------------------------------ */

/* -1: the library failed, after a message. */
int end_alarm(agent *a);

/* A stream of rows. */
typedef struct {
    int file; /* -1: none */
    char *buffer;
    size_t filled;
    uint64_t taken;        /* bytes */
    bool has_begun, skips; /* a line was seen; the rest of a line that is too long is passed over */
    bool is_cut;           /* we end it: a part of a row is none */
    bool is_refused;       /* its columns are not the model's */
} source;

/* False: out of memory. */
bool source_open(const agent *a, int file, source *s);
void source_close(source *s);
/* Reads once, at most `most` bytes (0: as many as there is room for). 1: go on; 0: the stream has ended, all is taken, or
 * it is refused, after a message; -1: the library failed, after a message. */
int source_read(agent *a, source *s, size_t most);

/* ---- metrics.c ---------------------------------------------------------------------------- */

/* Text exposition; `what` is an agent. */
void put_metrics(FILE *file, const void *what);

/* One who asks for them by HTTP. */
typedef struct {
    int file; /* -1: none */
    char request[4096], *answer;
    size_t got, size, sent;
    double until;
} viewer;

void viewer_open(int file, viewer *v);
void viewer_close(viewer *v);
/* What to poll for. */
short viewer_events(const viewer *v);
/* Reads or writes what can be without waiting; closes what is done. */
void viewer_go_on(const agent *a, viewer *v);

#endif
