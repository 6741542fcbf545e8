/* SPDX-License-Identifier: MIT
 * The public handle, and the product of experts. */
#include "head/head.h"

#include <math.h>

dum_status dum_head_create(dum_context *context, dum_head **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    DUMI_NOT_NULL(context);
    dum_head *head;
    DUMI_TRY(DUMI_NEW(context, head, 1));
    memset(head, 0, sizeof *head);
    head->context = dumi_context_keep(context);
    dumi_head_defaults(head->values);
    *out = head;
    return DUM_OK;
}

void dum_head_destroy(dum_head *head)
{
    if (head == NULL)
        return;
    dum_context *context = head->context;
    dumi_model_destroy(head->model);
    dumi_free(context, head);
    dum_context_destroy(context);
}

dum_status dum_head_fit(dum_head *head, const dum_dataset *data, const dum_fit_options *options)
{
    dumi_clear_error();
    DUMI_NOT_NULL(head);
    DUMI_NOT_NULL(data);
    dum_fit_options own;
    DUMI_TRY(dumi_read_struct("options", &own, sizeof own, offsetof(dum_fit_options, labels), options));
    dumi_head_model *model = NULL;
    const dum_status status = dumi_model_train(head->context, head->values, head->model, data, &own, &model);
    if (model != NULL) {
        dumi_model_destroy(head->model);
        head->model = model;
    }
    return status;
}

int32_t dum_head_cols(const dum_head *head)
{
    return head != NULL && head->model != NULL ? head->model->cols : 0;
}

int32_t dum_head_log_variance_cols(const dum_head *head)
{
    return head != NULL && head->model != NULL ? head->model->outputs : 0;
}

dum_status dum_head_log_variance(const dum_head *head, const float *data, int64_t rows, int32_t cols,
                                 int64_t row_stride, float *out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(head);
    DUMI_NOT_NULL(out);
    DUMI_REQUIRE(head->model != NULL, DUM_ERR_STATE, "head is not fitted: call dum_head_fit first");
    return dumi_model_run(head->model, data, rows, cols, row_stride, out, 0, NULL);
}

static dum_status check_finite(const char *name, const float *values, int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < rows * cols; i++)
        DUMI_REQUIRE(isfinite(values[i]), DUM_ERR_NONFINITE,
                     "%s: row %lld, column %lld is %g, expected a finite number", name, (long long)(i / cols),
                     (long long)(i % cols), (double)values[i]);
    return DUM_OK;
}

/* One dimension: elements `stride` apart. */
static void join(const float *means, const float *log_variances, int64_t m, int64_t stride, int64_t s_stride,
                 float *mean, float *log_variance)
{
    double most = -INFINITY, sum = 0, weighted = 0;
    for (int64_t i = 0; i < m; i++)
        most = -(double)log_variances[i * s_stride] > most ? -(double)log_variances[i * s_stride] : most;
    for (int64_t i = 0; i < m; i++) {
        const double precision = exp(-(double)log_variances[i * s_stride] - most);
        sum += precision;
        weighted += precision * (double)means[i * stride];
    }
    *mean = (float)(weighted / sum);
    if (log_variance != NULL)
        *log_variance = (float)-(most + log(sum));
}

dum_status dum_product_of_experts(const float *means, const float *log_variances, int64_t m, int32_t cols,
                                  int32_t covariance, float *mean, float *log_variance)
{
    dumi_clear_error();
    DUMI_NOT_NULL(means);
    DUMI_NOT_NULL(log_variances);
    DUMI_NOT_NULL(mean);
    DUMI_NOT_NULL(log_variance);
    DUMI_REQUIRE(m >= 1, DUM_ERR_ARGUMENT, "m is %lld, expected 1 or more", (long long)m);
    DUMI_REQUIRE(cols >= 1, DUM_ERR_ARGUMENT, "cols is %d, expected 1 or more", cols);
    DUMI_REQUIRE(covariance == DUM_COVARIANCE_DIAGONAL || covariance == DUM_COVARIANCE_CIRCULAR,
                 DUM_ERR_ARGUMENT,
                 "covariance is %d, expected DUM_COVARIANCE_DIAGONAL or DUM_COVARIANCE_CIRCULAR", covariance);
    const bool diagonal = covariance == DUM_COVARIANCE_DIAGONAL;
    DUMI_TRY(check_finite("means", means, m, cols));
    DUMI_TRY(check_finite("log_variances", log_variances, m, diagonal ? cols : 1));
    for (int32_t j = 0; j < cols; j++)
        join(means + j, log_variances + (diagonal ? j : 0), m, cols, diagonal ? cols : 1, mean + j,
             diagonal || j == 0 ? log_variance + j : NULL);
    return DUM_OK;
}
