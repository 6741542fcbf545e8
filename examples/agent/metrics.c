/* SPDX-License-Identifier: MIT
 * The state as Prometheus reads it, and HTTP enough to ask for it. */
#define _POSIX_C_SOURCE 200809L
#include "agent.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    const char *name, *type, *help;
    double value;
} metric;

static void put_number(FILE *file, double value)
{
    if (isfinite(value))
        fprintf(file, "%.17g\n", value);
    else
        fprintf(file, "%s\n", isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
}

static void put_about(FILE *file, const agent *a)
{
    const char *test = "";
    if (dum_monitor_get_text(a->monitor, "test", &test) != DUM_OK)
        test = "";
    fprintf(file,
            "# HELP dum_agent_info What runs.\n# TYPE dum_agent_info gauge\n"
            "dum_agent_info{monitor=\"%s\",version=\"%s\",scorer=\"%s\",test=\"%s\",model=\"%.12s\"} 1\n",
            a->args.name, dum_version(), dum_scorer_kind(a->in.scorer), test, a->model);
}

void put_metrics(FILE *file, const void *what)
{
    const agent *a = what;
    dum_monitor_state s;
    DUM_INIT(s);
    if (dum_monitor_read(a->monitor, &s) != DUM_OK)
        return;
    const metric metrics[] = {
        {"dum_rows_total", "counter", "Rows received, since the monitor was fitted.", (double)s.rows},
        {"dum_bad_rows_total", "counter", "Of them not finite or malformed.", (double)s.bad_rows},
        {"dum_used_rows_total", "counter", "Of them seen by the test.", (double)s.used_rows},
        {"dum_malformed_rows_total", "counter", "Rows that were no row of numbers, since the agent's start.",
         (double)a->malformed_rows},
        {"dum_alarms_total", "counter", "Alarms, since the monitor was fitted.", (double)s.alarms},
        {"dum_alarm", "gauge", "1 while an alarm holds.", (double)s.alarm},
        {"dum_alarm_row", "gauge", "Number of the row with which the latest alarm began.", (double)s.alarm_row},
        {"dum_statistic", "gauge", "Statistic of the test.", s.statistic},
        {"dum_threshold", "gauge", "Where the statistic is an alarm.", s.threshold},
        {"dum_repeats", "gauge", "How often the latest score has come in a row.", (double)s.repeats},
        {"dum_reference_rows", "gauge", "Rows of the reference.", (double)s.reference_rows},
        {"dum_reference_mean", "gauge", "Mean score of the reference.", s.reference_mean},
        {"dum_reference_sd", "gauge", "Standard deviation of the reference's scores.", s.reference_sd},
        {"dum_window_rows", "gauge", "Rows in the window of the latest ones.", (double)s.window_rows},
        {"dum_window_mean", "gauge", "Mean score of the window.", s.mean},
        {"dum_window_p05", "gauge", "5 % quantile of the window's scores.", s.quantile_05},
        {"dum_window_p50", "gauge", "Median of the window's scores.", s.median},
        {"dum_window_p95", "gauge", "95 % quantile of the window's scores.", s.quantile_95},
        {"dum_window_auroc", "gauge", "Window against reference: 0.5 is alike.", s.auroc},
        {"dum_window_effect_size", "gauge", "Cohen's d: difference of means in standard deviations.",
         s.cohens_d},
        {"dum_window_log10_p", "gauge", "Of the t-test of the window against the reference.", s.log10_p},
        {"dum_clients", "gauge", "Streams of rows that are open.", (double)a->clients_now},
        {"dum_clients_total", "counter", "Streams of rows so far, since the agent's start.",
         (double)a->clients},
        {"dum_refused_clients_total", "counter",
         "Of them those whose header names other columns than the model's.", (double)a->refused},
        {"dum_write_errors_total", "counter",
         "Files and alarms that could not be written, since the agent's start.", (double)a->write_errors},
        /* The last two where there is a state to save. */
        {"dum_saved_rows", "gauge", "Rows in the state saved last: rows after these are lost by a crash.",
         (double)a->saved_rows},
        {"dum_saved_timestamp_seconds", "gauge", "When the state was saved last.", a->saved_at},
    };
    const size_t count = sizeof metrics / sizeof metrics[0] - (a->args.state == NULL ? 2 : 0);
    put_about(file, a);
    for (size_t i = 0; i < count; i++) {
        const metric *m = &metrics[i];
        fprintf(file, "# HELP %s %s\n# TYPE %s %s\n%s{monitor=\"%s\"} ", m->name, m->help, m->name, m->type,
                m->name, a->args.name);
        put_number(file, m->value);
    }
}

/* ---- HTTP --------------------------------------------------------------------------------- */

/* A viewer that takes longer is in the way of others. */
static const double PATIENCE = 10;

void viewer_open(int file, viewer *v)
{
    *v = (viewer){.file = file, .until = now() + PATIENCE};
}

void viewer_close(viewer *v)
{
    if (v->file >= 0)
        close(v->file);
    free(v->answer);
    *v = (viewer){.file = -1};
}

short viewer_events(const viewer *v)
{
    return v->answer == NULL ? POLLIN : POLLOUT;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* False: out of memory. */
static bool make_answer(const agent *a, viewer *v)
{
    char *body = NULL;
    size_t size = 0;
    const char *status = "200 OK";
    FILE *file = open_memstream(&body, &size);
    if (file == NULL)
        return false;
    if (!begins(v->request, "GET "))
        status = "405 Method Not Allowed";
    else if (!begins(v->request, "GET /metrics ") && !begins(v->request, "GET /metrics?"))
        status = "404 Not Found";
    else
        put_metrics(file, a);
    if (fclose(file) != 0) {
        free(body);
        return false;
    }
    v->answer = malloc(size + 256);
    if (v->answer != NULL) {
        const int head = snprintf(v->answer, 256,
                                  "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                                  "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                                  status, size);
        memcpy(v->answer + head, body, size);
        v->size = (size_t)head + size;
    }
    free(body);
    return v->answer != NULL;
}

/* False: done, one way or the other. */
static bool read_request(const agent *a, viewer *v)
{
    const ssize_t got = read(v->file, v->request + v->got, sizeof v->request - 1 - v->got);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    v->got += (size_t)got;
    v->request[v->got] = '\0';
    if (strstr(v->request, "\r\n\r\n") != NULL || strstr(v->request, "\n\n") != NULL)
        return make_answer(a, v);
    return got > 0 && v->got < sizeof v->request - 1;
}

static bool send_answer(viewer *v)
{
    const ssize_t sent = send(v->file, v->answer + v->sent, v->size - v->sent, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    v->sent += (size_t)sent;
    return v->sent < v->size;
}

void viewer_go_on(const agent *a, viewer *v)
{
    const bool goes_on = v->answer == NULL ? read_request(a, v) : send_answer(v);
    if (!goes_on)
        viewer_close(v);
}
