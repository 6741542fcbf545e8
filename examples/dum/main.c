/* SPDX-License-Identifier: MIT
 * dum: deep uncertainty models at the terminal. Built on the public header alone. */
#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <signal.h>
#include <string.h>

const char tool_name[] = "dum";

typedef struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis;
} command;

static const command commands[] = {
    {"fit", command_fit,
     "--data X.npy|X.csv --model m.dum [--scorer dum] [--set name=value]... [--seed N]\n"
     "               [--threads N] [--backend NAME] [--holdout SHARE] [--pairs P.npy] [--max-seconds S]\n"
     "               [--checkpoint C.dum [--checkpoint-epochs N] [--resume]]\n"
     "               [--encoder e.dum [--output NAME]] [--labels y.npy]"},
    {"score", command_score,
     "--model m.dum --data X [--out s.npy|s.csv|-] [--pvalue] [--false-alarm-rate R]\n"
     "               [--threads N] [--backend NAME]"},
    {"explain", command_explain,
     "--model m.dum --data X [--top N] [--out e.csv|-] [--threads N] [--backend NAME]"},
    {"report", command_report,
     "--model m.dum --data X --out report.html [--top N] [--false-alarm-rate R]\n"
     "               [--threads N] [--backend NAME]"},
    {"eval", command_eval, "--scores s.npy --labels y.npy [--bootstrap N]"},
    {"compare", command_compare,
     "--reference a.npy --sample b.npy --model m.dum [--bootstrap N] [--threads N]\n"
     "               [--backend NAME]"},
    {"monitor", command_monitor,
     "--model m.dum --data X [--reference R] [--set name=value]... [--state s.dum] [--svg t.svg]\n"
     "               [--threads N] [--backend NAME]"},
    {"encoder", command_encoder,
     "DATA --out e.dum [--kind resnet|mlp] [--labels y.npy] [--set name=value]... [--seed N]\n"
     "               [--checkpoint C.dum [--checkpoint-epochs N] [--resume]] [--max-seconds S] [--threads N]\n"
     "               [--backend NAME]"},
    {"embed", command_embed, "e.dum DATA --out z.npy|z.csv|- [--output NAME] [--threads N] [--backend NAME]"},
    {"evaluate", command_evaluate,
     "e.dum --train X --train-labels y.npy --test X --test-labels y.npy [--neighbours N]\n"
     "               [--output NAME] [--json] [--threads N] [--backend NAME]"},
    {"certainty", command_certainty,
     "m.dum IMAGES.npy --out FOLDER [--labels y.npy] [--row I --views N] [--top N] [--scale N]\n"
     "               [--seed N] [--threads N] [--backend NAME]"},
    {"noise", command_noise,
     "m.dum HELD_OUT_A.npy HELD_OUT_B.npy --out FILE.md|.json|.svg... [--seed N] [--threads N]\n"
     "               [--delays FILE.md|.json|.svg... [--streams N] [--set name=value]...]\n"
     "               [--backend NAME]"},
    {"ood", command_ood,
     "--train X.npy --labels y.npy --test X.npy {--near|--far} NAME=X.npy... [--markdown t.md]\n"
     "               [--json t.json] [--models FOLDER] [--limit ROWS] [--set name=value]...\n"
     "               [--set-supervised ...]... [--set-simclr ...]... [--set-dum ...]... [--threads N]"},
    {"corrupt", command_corrupt,
     "IN.npy --out OUT.npy --corruption NAME --severity N [--seed N] [--threads N]"},
    {"sheet", command_sheet, "IMAGES.npy --rows I,J,... --out OUT.png [--columns N] [--scale N]"},
    {"info", command_info, "m.dum"},
    {"scorers", command_scorers, ""},
    {"encoders", command_encoders, ""},
    {"backends", command_backends, ""},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const char notes[] =
    "\n"
    "CSV: --header or --no-header (found out by default), --label-column NAME|NUMBER (not a feature; numbers\n"
    "start at 0). --set: the names are in dum scorers; --holdout calibrates, as --pvalue and\n"
    "--false-alarm-rate need. --bootstrap N: resamples of the intervals; without it, compare has DeLong's.\n"
    "--top: how many of the highest scores (10). report: the rate is 0.01 by default.\n"
    "--checkpoint: the state of training goes there every N epochs (1) and at the end; with --resume, "
    "training\n"
    "goes on from that file where there is one, to the same model.\n"
    "monitor: --data are replayed against --reference; a JSON line for each alarm and one at the end. --state: "
    "goes\n"
    "on from that file where there is one, and is saved there. --set: docs/monitor.md has the names. --svg: a "
    "picture of\n"
    "scores, statistic and alarms.\n"
    "encoder: images (N x H x W, or N x H x W x C) train a resnet of their size, tables an mlp. --set: the "
    "names "
    "are in\n"
    "dum encoders. --labels: for --set objective=supervised; of fit: for --scorer mds or flow. --encoder, "
    "embed,\n"
    "evaluate: an encoder's file, or that of a scorer that stands on one. --output: what it returns. "
    "--neighbours:\n"
    "200.\n"
    "certainty: m.dum stands on an encoder; sheets and a page of the images that it is most and least certain "
    "of, of each\n"
    "class, and of N random views of image I. FOLDER is new or empty.\n"
    "ood: are images of other sets told from those of --test? Trains three encoders (or loads them from "
    "--models) and\n"
    "compares scorers on them. Images are uint8, N x 32 x 32 x 3 or N x 28 x 28; --limit: the first rows of "
    "each; "
    "--set:\n"
    "of all encoders, --set-dum: of scorer dum.\n"
    "noise: are the corruptions of images noticed? t-tests and AUROC of A, corrupted, against A; B is the row "
    "without.\n"
    "Up to three --out: tables, numbers, picture. --delays: how many rows until a monitor, with the options of "
    "--set,\n"
    "raises the alarm, over N streams (100).\n"
    "corrupt, sheet: images are uint8, N x H x W or N x H x W x C; docs/images.md has the corruptions. "
    "Severity: 1\n"
    "to 5. --columns: images side by side (10); --scale: pixels a pixel (1).\n"
    "--quiet: nothing on stderr but errors. Exit code: 0, 1 (data or file at fault), 2 (usage).\n";

/* All commands, or one. */
static int print_help(FILE *to, const command *one, int status)
{
    if (one == NULL)
        fputs("dum: how far to trust an embedding\n\n", to);
    for (int i = 0; i < COMMANDS; i++)
        if (one == NULL || one == &commands[i])
            fprintf(to, "  dum %-9s %s\n", commands[i].name, commands[i].synopsis);
    fputs(notes, to);
    return to == stdout ? finish_output(status) : status;
}

int main(int argc, char **argv)
{
    /* A reader that goes away is an error of writing like any other. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2)
        return print_help(stderr, NULL, TOOL_USAGE);
    if (is_help(argv[1]))
        return print_help(stdout, NULL, TOOL_OK);
    if (strcmp(argv[1], "--version") == 0) {
        printf("dum %s\n", dum_version());
        return finish_output(TOOL_OK);
    }
    for (int c = 0; c < COMMANDS; c++) {
        if (strcmp(argv[1], commands[c].name) != 0)
            continue;
        for (int i = 2; i < argc; i++)
            if (is_help(argv[i]))
                return print_help(stdout, &commands[c], TOOL_OK);
        return commands[c].run(argc - 2, argv + 2);
    }
    fprintf(stderr, "dum: there is no command \"%s\" (see dum --help)\n", argv[1]);
    return TOOL_USAGE;
}
