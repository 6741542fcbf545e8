/* SPDX-License-Identifier: MIT
 * dum-agent: a monitor as a service. Rows come on standard input or a Unix socket; alarms go out as JSON lines, the
 * state as Prometheus metrics. Built on the public header alone. */
#define _GNU_SOURCE /* POLLRDHUP */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

const char tool_name[] = "dum-agent";

static const char help[] =
    "dum-agent: watches the scores of a stream of rows\n"
    "\n"
    "  dum-agent --model m.dum --reference R.npy|R.csv [--set name=value]... [--state s.dum]\n"
    "            [--socket PATH] [--format csv|float32] [--metrics FILE] [--port N] [--alarms FILE]\n"
    "            [--name NAME] [--interval S] [--rearm S] [--threads N] [--backend NAME] [--quiet]\n"
    "\n"
    "Rows come from standard input, or from clients of the Unix socket at PATH, as lines of CSV (default) or "
    "as\n"
    "little-endian float32. --state: goes on from that file where there is one (then --reference is not "
    "needed) and is\n"
    "saved there. --metrics: Prometheus' text format, for a textfile collector. --port: the same at\n"
    "http://127.0.0.1:N/metrics; 0: any free port. State and metrics are written every --interval seconds (10) "
    "and at\n"
    "the end. Alarms are JSON lines on standard output, or appended to --alarms. An alarm holds for --rearm "
    "seconds (60).\n"
    "--name: the label `monitor` of the metrics (default \"dum\"). SIGTERM: takes what has been sent, saves, "
    "ends.\n"
    "SIGHUP: opens --alarms anew, and the model where it has changed. docs/agent.md has more.\n"
    "Exit code: 0, 1 (data or file at fault), 2 (usage).\n";

/* ---- Signals ------------------------------------------------------------------------------ */

static int signal_pipe[2];

static void on_signal(int number)
{
    const int error = errno;
    const char code = (char)number;
    (void)!write(signal_pipe[1], &code, 1);
    errno = error;
}

static bool set_flags(int file)
{
    return fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK) == 0 &&
           fcntl(file, F_SETFD, FD_CLOEXEC) == 0;
}

static int catch_signals(void)
{
    static const int caught[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (pipe(signal_pipe) != 0 || !set_flags(signal_pipe[0]) || !set_flags(signal_pipe[1]))
        return fail("pipe: %s", strerror(errno));
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        if (sigaction(caught[i], &action, NULL) != 0)
            return fail("sigaction: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    return TOOL_OK;
}

/* ---- Sockets ------------------------------------------------------------------------------ */

/* A socket that nobody listens to was left by one who was killed. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat about;
    if (stat(address->sun_path, &about) != 0 || !S_ISSOCK(about.st_mode))
        return false;
    const int file = socket(AF_UNIX, SOCK_STREAM, 0);
    const bool refused = file >= 0 && connect(file, (const struct sockaddr *)address, sizeof *address) != 0 &&
                         errno == ECONNREFUSED;
    if (file >= 0)
        close(file);
    return refused;
}

static int listen_to_rows(const char *path, int *out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return fail("--socket %s: the path is longer than %zu bytes", path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (is_stale(&address))
        unlink(path);
    const int file = socket(AF_UNIX, SOCK_STREAM, 0);
    if (file < 0 || !set_flags(file) || bind(file, (const struct sockaddr *)&address, sizeof address) != 0) {
        const int error = errno;
        if (file >= 0)
            close(file);
        return fail("cannot make the socket %s: %s", path, strerror(error));
    }
    /* From here on the path is ours, to be removed at the end. */
    *out = file;
    if (chmod(path, 0660) != 0 || listen(file, MAX_CLIENTS) != 0)
        return fail("cannot listen on %s: %s", path, strerror(errno));
    return TOOL_OK;
}

static int listen_to_viewers(const arguments *args, int *out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)args->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const int yes = 1;
    *out = socket(AF_INET, SOCK_STREAM, 0);
    if (*out < 0 || !set_flags(*out) || setsockopt(*out, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(*out, (const struct sockaddr *)&address, size) != 0 || listen(*out, MAX_VIEWERS) != 0 ||
        getsockname(*out, (struct sockaddr *)&address, &size) != 0)
        return fail("cannot listen on port %d: %s", args->port, strerror(errno));
    if (!args->quiet)
        complain("metrics at http://127.0.0.1:%d/metrics", (int)ntohs(address.sin_port));
    return TOOL_OK;
}

/* ---- Model, monitor, files ---------------------------------------------------------------- */

static int identify(const agent *a, char *model)
{
    dum_model_info info;
    DUM_INIT(info);
    if (dum_model_inspect(a->in.context, a->args.model, &info) != DUM_OK)
        return fail_library(a->args.model);
    memcpy(model, info.sha256, sizeof info.sha256);
    return TOOL_OK;
}

/* Appended to; standard output is that file from now on. */
static int open_alarms(const agent *a)
{
    if (a->args.alarms == NULL)
        return TOOL_OK;
    const int file = open(a->args.alarms, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0)
        return fail("cannot open %s: %s", a->args.alarms, strerror(errno));
    const int moved = dup2(file, STDOUT_FILENO);
    close(file);
    return moved >= 0 ? TOOL_OK : fail("cannot write %s: %s", a->args.alarms, strerror(errno));
}

/* An alarm that was told before holds anew: how long ago it was is not known, clocks may have jumped. */
static int take_state(agent *a)
{
    dum_monitor_state s;
    DUM_INIT(s);
    if (dum_monitor_read(a->monitor, &s) != DUM_OK ||
        dum_monitor_push_rows(a->monitor, a->in.scorer, NULL, 0, a->cols, 0, NULL) != DUM_OK)
        return fail_library("monitor");
    a->holds = s.alarm != 0;
    a->rearm_at = now() + a->args.rearm;
    return TOOL_OK;
}

static int open_monitor(agent *a)
{
    const char *state = a->args.state;
    if (state == NULL || access(state, F_OK) != 0)
        return fit_monitor(&a->args, &a->in, &a->monitor);
    if (dum_monitor_load(a->in.context, state, &a->monitor) != DUM_OK)
        return fail_library(state);
    const bool says_options = a->args.reference != NULL || a->args.setting_count > 0;
    return says_options ? check_settings(&a->args, &a->in, a->monitor) : TOOL_OK;
}

static int open_all(agent *a)
{
    int status = open_model(&a->args, &a->in);
    if (status == TOOL_OK)
        status = identify(a, a->model);
    if (status != TOOL_OK)
        return status;
    a->cols = dum_scorer_cols(a->in.scorer);
    a->rows = calloc((size_t)CHUNK_ROWS * (size_t)a->cols, sizeof *a->rows);
    status = a->rows != NULL ? open_monitor(a) : fail("out of memory");
    if (status == TOOL_OK)
        status = take_state(a);
    if (status == TOOL_OK)
        status = open_alarms(a);
    return status;
}

/* Streams were compared with the names of the old one. */
static bool has_names(const dum_scorer *next, const dum_scorer *old)
{
    for (int32_t j = 0; j < dum_scorer_cols(old); j++) {
        const char *name = dum_scorer_feature_name(next, j), *known = dum_scorer_feature_name(old, j);
        if (name != NULL && known != NULL && strcmp(name, known) != 0) {
            complain("column %d (from 0) of the new model is \"%.60s\", of the old one \"%.60s\"", j, name,
                     known);
            return false;
        }
    }
    return true;
}

/* A model that has changed needs its own reference: the monitor begins anew. Whatever fails, the old ones go on. */
static void reload_model(agent *a)
{
    char model[sizeof a->model] = "";
    inputs next = {.context = a->in.context};
    dum_monitor *monitor = NULL;
    if (identify(a, model) != TOOL_OK || strcmp(model, a->model) == 0)
        return;
    if (dum_scorer_load(next.context, a->args.model, &next.scorer) != DUM_OK)
        (void)fail_library(a->args.model);
    else if (dum_scorer_cols(next.scorer) != a->cols)
        complain("%s has %d columns now, not %d: the old model goes on", a->args.model,
                 dum_scorer_cols(next.scorer), a->cols);
    else if (!has_names(next.scorer, a->in.scorer) || fit_monitor(&a->args, &next, &monitor) != TOOL_OK)
        complain("the old model goes on");
    else {
        dum_scorer *const scorer = a->in.scorer;
        dum_monitor *const old = a->monitor;
        a->in.scorer = next.scorer;
        a->monitor = monitor;
        memcpy(a->model, model, sizeof model);
        a->holds = false;
        next.scorer = scorer;
        monitor = old;
    }
    dum_scorer_destroy(next.scorer);
    dum_monitor_destroy(monitor);
}

/* Files that are kept open, so that there are descriptors for a save however many clients there are. */
static int spare[3] = {-1, -1, -1};

static void keep_spare(void)
{
    for (size_t i = 0; i < sizeof spare / sizeof spare[0]; i++)
        if (spare[i] < 0)
            spare[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void use_spare(void)
{
    for (size_t i = 0; i < sizeof spare / sizeof spare[0]; i++) {
        if (spare[i] >= 0)
            close(spare[i]);
        spare[i] = -1;
    }
}

/* The state first: rows in the metrics' file are never more than those saved. */
static int save(agent *a)
{
    int status = TOOL_OK;
    dum_monitor_state s;
    DUM_INIT(s);
    if (dum_monitor_read(a->monitor, &s) != DUM_OK)
        return fail_library("monitor");
    if (a->args.state != NULL && dum_monitor_save(a->monitor, a->args.state) != DUM_OK) {
        status = fail_library(a->args.state);
        a->write_errors++;
    } else {
        a->saved_rows = s.rows;
        a->saved_at = (double)time(NULL);
    }
    if (status == TOOL_OK && a->args.metrics != NULL &&
        write_output(a->args.metrics, put_metrics, a) != TOOL_OK) {
        status = TOOL_FAILED;
        a->write_errors++;
    }
    return status;
}

/* ---- The loop ----------------------------------------------------------------------------- */

typedef struct {
    int rows, viewers; /* listening; -1: not */
    double rest_until; /* there were no more descriptors: nobody is let in before */
    bool is_full;      /* that has been said */
    source sources[MAX_CLIENTS];
    viewer watching[MAX_VIEWERS];
} doors;

static int free_source(const doors *d)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (d->sources[i].file < 0)
            return i;
    return -1;
}

static int free_viewer(const doors *d)
{
    for (int i = 0; i < MAX_VIEWERS; i++)
        if (d->watching[i].file < 0)
            return i;
    return -1;
}

/* A door that nobody can be let in by stays ready: poll would return at once, for ever. */
static int open_door(doors *d, int door)
{
    const int file = accept(door, NULL, NULL);
    const bool is_full =
        file < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM);
    if (is_full) {
        d->rest_until = now() + 1;
        if (!d->is_full)
            complain("cannot let in who connects: %s; they wait", strerror(errno));
    }
    d->is_full = is_full || (d->is_full && file < 0);
    return file;
}

static bool accept_rows(agent *a, doors *d, int at)
{
    const int file = open_door(d, d->rows);
    if (file < 0)
        return false;
    (void)fcntl(file, F_SETFD, FD_CLOEXEC);
    if (!source_open(a, file, &d->sources[at])) {
        complain("out of memory for a client");
        close(file);
        return true;
    }
    a->clients++;
    a->clients_now++;
    return true;
}

static void accept_viewer(doors *d, int at)
{
    const int file = open_door(d, d->viewers);
    if (file < 0)
        return;
    if (set_flags(file))
        viewer_open(file, &d->watching[at]);
    else
        close(file);
}

/* As source_read; closes what has ended. */
static int read_source(agent *a, source *s, size_t most)
{
    const int got = source_read(a, s, most);
    if (got == 0) {
        source_close(s);
        a->clients_now--;
    }
    return got;
}

/* The rest, after which a client's next write fails, so that it knows how much was taken. */
static int drain_client(agent *a, source *s)
{
    struct pollfd state = {.fd = s->file, .events = POLLRDHUP};
    s->is_cut = poll(&state, 1, 0) == 0;
    shutdown(s->file, SHUT_RD);
    int got;
    while ((got = read_source(a, s, 0)) > 0)
        ;
    return got;
}

/* A pipe cannot be shut: what it holds at this moment is read. A file stays where it is. */
static int drain_input(agent *a, source *s)
{
    struct stat about;
    int left = 0, got = 1;
    if (s->file < 0 || fstat(s->file, &about) != 0 || S_ISREG(about.st_mode) ||
        ioctl(s->file, FIONREAD, &left) != 0)
        return 0;
    for (const uint64_t end = s->taken + (uint64_t)left; s->taken < end && got > 0;)
        got = read_source(a, s, (size_t)(end - s->taken));
    return got;
}

/* All that has been sent before now. */
static int drain(agent *a, doors *d)
{
    if (d->rows < 0)
        return drain_input(a, &d->sources[0]);
    unlink(a->args.socket);
    shutdown(d->rows, SHUT_RD);
    int got = 0;
    for (int at = 0; at < MAX_CLIENTS && got >= 0; at++)
        if (d->sources[at].file >= 0)
            got = drain_client(a, &d->sources[at]);
    /* Clients that were still waiting at the door: now there is room. */
    while (got >= 0 && accept_rows(a, d, 0))
        if (d->sources[0].file >= 0)
            got = drain_client(a, &d->sources[0]);
    return got;
}

enum {
    SIGNALS,
    ROWS,
    VIEWERS,
    FIRST_SOURCE,
    FIRST_VIEWER = FIRST_SOURCE + MAX_CLIENTS,
    ALL = FIRST_VIEWER + MAX_VIEWERS
};

static void fill_polls(const doors *d, struct pollfd *polls)
{
    const bool rests = now() < d->rest_until;
    polls[SIGNALS] = (struct pollfd){.fd = signal_pipe[0], .events = POLLIN};
    /* Where there is no room they wait at the door. */
    polls[ROWS] = (struct pollfd){.fd = !rests && free_source(d) >= 0 ? d->rows : -1, .events = POLLIN};
    polls[VIEWERS] = (struct pollfd){.fd = !rests && free_viewer(d) >= 0 ? d->viewers : -1, .events = POLLIN};
    for (int i = 0; i < MAX_CLIENTS; i++)
        polls[FIRST_SOURCE + i] = (struct pollfd){.fd = d->sources[i].file, .events = POLLIN};
    for (int i = 0; i < MAX_VIEWERS; i++)
        polls[FIRST_VIEWER + i] =
            (struct pollfd){.fd = d->watching[i].file, .events = viewer_events(&d->watching[i])};
}

/* Of those that are open: poll takes no more than there may be descriptors. */
static int poll_open(struct pollfd *polls, int wait)
{
    struct pollfd open[ALL];
    nfds_t count = 0;
    for (int i = 0; i < ALL; i++)
        if (polls[i].fd >= 0)
            open[count++] = polls[i];
    const int result = poll(open, count, wait);
    for (int i = ALL - 1; i >= 0 && result >= 0; i--)
        if (polls[i].fd >= 0)
            polls[i].revents = open[--count].revents;
    return result;
}

/* False: the end. */
static bool take_signals(agent *a)
{
    char codes[64];
    const ssize_t got = read(signal_pipe[0], codes, sizeof codes);
    bool goes_on = true, again = false;
    for (ssize_t i = 0; i < got; i++) {
        again = again || codes[i] == SIGHUP;
        goes_on = goes_on && codes[i] == SIGHUP;
    }
    if (again && goes_on) {
        use_spare();
        (void)open_alarms(a);
        reload_model(a);
        keep_spare();
    }
    return goes_on;
}

/* -1: the library failed. */
static int serve(agent *a, doors *d, const struct pollfd *polls)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (polls[FIRST_SOURCE + i].revents != 0 && read_source(a, &d->sources[i], 0) < 0)
            return -1;
    for (int i = 0; i < MAX_VIEWERS; i++) {
        viewer *v = &d->watching[i];
        if (v->file >= 0 && polls[FIRST_VIEWER + i].revents != 0)
            viewer_go_on(a, v);
        if (v->file >= 0 && now() > v->until)
            viewer_close(v);
    }
    if (polls[ROWS].revents != 0)
        (void)accept_rows(a, d, free_source(d));
    if (polls[VIEWERS].revents != 0)
        accept_viewer(d, free_viewer(d));
    return 0;
}

static int rearm(agent *a)
{
    if (!a->holds || now() < a->rearm_at)
        return 0;
    return end_alarm(a);
}

/* TOOL_OK at the end of the input, if that is not refused, and after SIGTERM. */
static int run(agent *a, doors *d)
{
    double next_save = now() + a->args.interval;
    struct pollfd polls[ALL];
    while (d->rows >= 0 || d->sources[0].file >= 0) {
        fill_polls(d, polls);
        double until = a->holds && a->rearm_at < next_save ? a->rearm_at : next_save;
        /* Some viewer may have to go, or the doors are to be opened again. */
        if (free_viewer(d) != 0 || now() < d->rest_until)
            until = fmin(until, now() + 1);
        const double left = fmax(0, until - now());
        if (poll_open(polls, (int)ceil(1000 * fmin(left, 3600))) < 0) {
            if (errno == EINTR)
                continue;
            return fail("poll: %s", strerror(errno));
        }
        if (polls[SIGNALS].revents != 0 && !take_signals(a))
            return drain(a, d) >= 0 ? TOOL_OK : TOOL_FAILED;
        if (serve(a, d, polls) < 0 || rearm(a) < 0)
            return TOOL_FAILED;
        if (now() >= next_save) {
            use_spare();
            (void)save(a);
            keep_spare();
            next_save = now() + a->args.interval;
        }
    }
    return a->refused == 0 ? TOOL_OK : TOOL_FAILED;
}

static int open_doors(agent *a, doors *d)
{
    int status = TOOL_OK;
    if (a->args.port >= 0)
        status = listen_to_viewers(&a->args, &d->viewers);
    if (status == TOOL_OK && a->args.socket != NULL)
        return listen_to_rows(a->args.socket, &d->rows);
    if (status == TOOL_OK && !source_open(a, STDIN_FILENO, &d->sources[0]))
        return fail("out of memory");
    a->clients = a->clients_now = 1;
    return status;
}

static void close_doors(doors *d)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        source_close(&d->sources[i]);
    for (int i = 0; i < MAX_VIEWERS; i++)
        viewer_close(&d->watching[i]);
    if (d->rows >= 0)
        close(d->rows);
    if (d->viewers >= 0)
        close(d->viewers);
}

/* The socket comes last: who finds it there is served. */
static int work(agent *a)
{
    static doors d = {.rows = -1, .viewers = -1};
    for (int i = 0; i < MAX_CLIENTS; i++)
        d.sources[i].file = -1;
    for (int i = 0; i < MAX_VIEWERS; i++)
        d.watching[i].file = -1;
    int status = open_all(a);
    /* Written before the first row, so that a path that cannot be written is an error at once. */
    if (status == TOOL_OK)
        status = save(a);
    if (status == TOOL_OK)
        status = open_doors(a, &d);
    if (status == TOOL_OK) {
        keep_spare();
        status = run(a, &d);
        use_spare();
        const int saved = save(a);
        status = status != TOOL_OK ? status : saved;
    }
    if (d.rows >= 0)
        unlink(a->args.socket);
    close_doors(&d);
    return status;
}

static int check_arguments(arguments *args, bool *is_binary)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-";
    args->interval = args->interval > 0 ? args->interval : 10;
    args->rearm = args->rearm >= 0 ? args->rearm : 60;
    /* Chunks are small: more threads only wait for each other. */
    args->threads = args->threads > 0 ? args->threads : 1;
    args->name = args->name != NULL ? args->name : "dum";
    *is_binary = args->format != NULL && strcmp(args->format, "float32") == 0;
    if (args->format != NULL && !*is_binary && strcmp(args->format, "csv") != 0)
        return bad_value("--format", args->format, "csv or float32");
    if (args->name[strspn(args->name, letters)] != '\0')
        return bad_value("--name", args->name, "letters, digits and _.:/-");
    return TOOL_OK;
}

int main(int argc, char **argv)
{
    static const char *const accepted[] = {
        "--model",  "--reference", "--set",          "--state",    "--socket", "--format",  "--metrics",
        "--port",   "--alarms",    "--name",         "--interval", "--rearm",  "--threads", "--backend",
        "--header", "--no-header", "--label-column", "--quiet",    NULL};
    static agent a;
    for (int i = 1; i < argc; i++) {
        if (is_help(argv[i]) || strcmp(argv[i], "--version") == 0) {
            if (is_help(argv[i]))
                fputs(help, stdout);
            else
                printf("dum-agent %s\n", dum_version());
            return finish_output(TOOL_OK);
        }
    }
    int status = parse_arguments(argc - 1, argv + 1, accepted, 0, &a.args);
    if (status == TOOL_OK)
        status = check_arguments(&a.args, &a.is_binary);
    if (status == TOOL_OK)
        status = catch_signals();
    if (status == TOOL_OK)
        status = work(&a);
    dum_monitor_destroy(a.monitor);
    close_inputs(&a.in);
    free(a.rows);
    return finish_output(status);
}
