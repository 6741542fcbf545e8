/* SPDX-License-Identifier: MIT
 * A host as it was compiled against the header of the first release (0.1.0/dum.h): it runs against today's
 * library, and what it knows of the structs has not moved. */
#ifndef HEADER
#define HEADER "0.1.0/dum.h"
#endif
#include HEADER

#include <stdio.h>
#include <stdlib.h>

#define IS_AT(type, member, offset)                                                                            \
    _Static_assert(sizeof(void *) != 8 || offsetof(type, member) == (offset), #type "." #member)
IS_AT(dum_context_options, module_dir, 72);
IS_AT(dum_fit_options, resume_size, 88);
IS_AT(dum_progress, seconds_left, 56);
IS_AT(dum_backend_info, reason, 24);
IS_AT(dum_param_info, help, 64);
IS_AT(dum_model_info, sha256, 80);
IS_AT(dum_interval_options, seed, 24);
/* abidiff takes an exchange of members of one type for a change of names. */
IS_AT(dum_estimate, value, 8);
IS_AT(dum_estimate, low, 16);
IS_AT(dum_estimate, high, 24);
IS_AT(dum_ttest_result, t, 8);
IS_AT(dum_ttest_result, df, 16);
IS_AT(dum_ttest_result, p, 24);
IS_AT(dum_ttest_result, log10_p, 32);
IS_AT(dum_ttest_result, mean_difference, 40);
IS_AT(dum_ttest_result, cohens_d, 48);
IS_AT(dum_progress, step, 8);
IS_AT(dum_progress, steps, 16);
IS_AT(dum_progress, epoch, 24);
IS_AT(dum_progress, epochs, 32);
IS_AT(dum_progress, loss, 40);
IS_AT(dum_progress, seconds, 48);
IS_AT(dum_fit_options, warm_start, 40);
IS_AT(dum_fit_options, checkpoint_epochs, 44);
IS_AT(dum_fit_options, resume, 72);
IS_AT(dum_fit_options, ranks, 104);
IS_AT(dum_fit_options, rank, 108);
IS_AT(dum_fit_options, reduce, 112);
IS_AT(dum_param_info, min, 32);
IS_AT(dum_param_info, max, 40);
IS_AT(dum_param_info, default_text, 48);
IS_AT(dum_param_info, choices, 56);
IS_AT(dum_interval_options, method, 16);
IS_AT(dum_interval_options, resamples, 20);
IS_AT(dum_model_info, format, 8);
IS_AT(dum_model_info, min_reader, 12);
IS_AT(dum_model_info, writer, 16);
IS_AT(dum_model_info, kind, 48);
IS_AT(dum_monitor_state, rows, 8);
IS_AT(dum_monitor_state, bad_rows, 16);
IS_AT(dum_monitor_state, used_rows, 24);
IS_AT(dum_monitor_state, repeats, 32);
IS_AT(dum_monitor_state, alarms, 40);
IS_AT(dum_monitor_state, alarm_row, 48);
IS_AT(dum_monitor_state, alarm, 56);
IS_AT(dum_monitor_state, statistic, 64);
IS_AT(dum_monitor_state, threshold, 72);
IS_AT(dum_monitor_state, reference_rows, 80);
IS_AT(dum_monitor_state, reference_mean, 88);
IS_AT(dum_monitor_state, reference_sd, 96);
IS_AT(dum_monitor_state, window_rows, 104);
IS_AT(dum_monitor_state, mean, 112);
IS_AT(dum_monitor_state, quantile_05, 120);
IS_AT(dum_monitor_state, median, 128);
IS_AT(dum_monitor_state, quantile_95, 136);
IS_AT(dum_monitor_state, t, 144);
IS_AT(dum_monitor_state, log10_p, 152);
IS_AT(dum_monitor_state, cohens_d, 160);
IS_AT(dum_monitor_state, auroc, 168);
IS_AT(dum_augment_options, crop_min, 8);
IS_AT(dum_augment_options, crop_max, 16);
IS_AT(dum_augment_options, flip, 24);
IS_AT(dum_augment_options, jitter, 32);
IS_AT(dum_augment_options, brightness, 40);
IS_AT(dum_augment_options, contrast, 48);
IS_AT(dum_augment_options, saturation, 56);
IS_AT(dum_augment_options, hue, 64);
IS_AT(dum_augment_options, grey, 72);
IS_AT(dum_augment_options, blur, 80);
_Static_assert(DUM_ERR_INTERNAL == -15 && DUM_CANCELLED == 1 && DUM_ERR_CHECKSUM == -9,
               "numbers are fixed for ever");

enum { ROWS = 200, COLS = 4 };

static void check(dum_status status)
{
    if (status == DUM_OK)
        return;
    fprintf(stderr, "%s: %s\n", dum_status_name(status), dum_error_message());
    exit(1);
}

static int32_t on_step(void *user, const dum_progress *progress)
{
    *(int64_t *)user = progress->step;
    return 0;
}

int main(void)
{
    static float rows[ROWS * COLS];
    static double scores[ROWS];
    static uint8_t labels[ROWS];
    for (int i = 0; i < ROWS * COLS; i++)
        rows[i] = (float)((i * 7919) % 1009) / 1009 + (i >= (ROWS - 10) * COLS ? 5.0f : 0.0f);
    for (int i = 0; i < ROWS; i++)
        labels[i] = i >= ROWS - 10;
    dum_context_options context_options;
    DUM_INIT(context_options);
    context_options.threads = 1;
    dum_context *context;
    check(dum_context_create(&context_options, &context));
    dum_dataset *data;
    check(dum_dataset_from_memory(context, rows, ROWS - 10, COLS, 0, &data));
    dum_scorer *scorer;
    check(dum_scorer_create(context, "dum", &scorer));
    check(dum_scorer_set_number(scorer, "steps", 50));
    check(dum_scorer_set_number(scorer, "holdout", 0.2));
    int64_t steps = 0;
    dum_fit_options fit;
    DUM_INIT(fit);
    fit.progress = on_step;
    fit.progress_user = &steps;
    check(dum_scorer_fit(scorer, data, &fit));
    check(dum_scorer_score(scorer, rows, ROWS, COLS, 0, scores));
    double threshold;
    check(dum_scorer_threshold(scorer, 0.1, &threshold));
    dum_estimate auroc;
    DUM_INIT(auroc);
    check(dum_auroc(scores, labels, ROWS, NULL, &auroc));
    size_t size;
    check(dum_scorer_save_memory(scorer, NULL, 0, &size));
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    printf("library %s, host of %s: %d steps, AUROC %.3f, model of %zu bytes\n", dum_version(), DUM_VERSION,
           (int)steps, auroc.value, size);
    return steps == 50 && auroc.value > 0.99 && size > 1000 ? 0 : 1;
}
