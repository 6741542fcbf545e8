/* SPDX-License-Identifier: MIT
 * dum: deep uncertainty models at the terminal. Built on the public header alone. */
#include "tool.h"

#include <string.h>

static const char help[] =
    "dum: how far to trust an embedding\n"
    "\n"
    "  dum fit      --data X.npy|X.csv --model m.dum [--scorer dum] [--set name=value]... [--seed N]\n"
    "               [--threads N] [--backend NAME] [--holdout SHARE] [--pairs P.npy] [--max-seconds S]\n"
    "  dum score    --model m.dum --data X [--out s.npy|s.csv|-] [--pvalue] [--false-alarm-rate R]\n"
    "  dum eval     --scores s.npy --labels y.npy [--label-column NAME] [--bootstrap N]\n"
    "  dum compare  --reference a.npy --sample b.npy --model m.dum\n"
    "  dum info     m.dum\n"
    "  dum scorers\n"
    "  dum backends\n"
    "\n"
    "CSV: --header or --no-header (found out by default), --label-column NAME|NUMBER (not a feature).\n"
    "--quiet: nothing on stderr but errors. Exit code: 0, 1 (data or file at fault), 2 (usage).\n";

static int print_help(FILE *to, int status)
{
    fputs(help, to);
    return to == stdout ? finish_output(status) : status;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {{"fit", command_fit},          {"score", command_score}, {"eval", command_eval},
                    {"compare", command_compare},  {"info", command_info},   {"scorers", command_scorers},
                    {"backends", command_backends}};
    if (argc < 2)
        return print_help(stderr, TOOL_USAGE);
    if (strcmp(argv[1], "--version") == 0) {
        printf("dum %s\n", dum_version());
        return finish_output(TOOL_OK);
    }
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return print_help(stdout, TOOL_OK);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    fprintf(stderr, "dum: there is no command \"%s\" (see dum --help)\n", argv[1]);
    return TOOL_USAGE;
}
