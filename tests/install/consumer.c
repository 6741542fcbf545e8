/* SPDX-License-Identifier: MIT
 * A program outside the tree: C99, C11 and C++17 alike. */
#include <dum.h>

#include <stdio.h>

int main(void)
{
    static float rows[64 * 3];
    double scores[64];
    dum_context *context = NULL;
    dum_dataset *data = NULL;
    dum_scorer *scorer = NULL;
    int i, bad;
    for (i = 0; i < 64 * 3; i++)
        rows[i] = (float)((i * 37) % 101);
    bad = dum_context_create(NULL, &context) != DUM_OK ||
          dum_dataset_from_memory(context, rows, 64, 3, 0, &data) != DUM_OK ||
          dum_scorer_create(context, "dum", &scorer) != DUM_OK ||
          dum_scorer_set_number(scorer, "steps", 5) != DUM_OK || dum_scorer_fit(scorer, data, NULL) != DUM_OK ||
          dum_scorer_score(scorer, rows, 64, 3, 0, scores) != DUM_OK;
    printf("libdum %s, first score %g%s%s\n", dum_version(), bad ? 0.0 : scores[0], bad ? ": " : "",
           dum_error_message());
    dum_scorer_destroy(scorer);
    dum_dataset_destroy(data);
    dum_context_destroy(context);
    return bad;
}
