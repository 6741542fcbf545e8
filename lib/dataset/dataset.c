/* SPDX-License-Identifier: MIT */
#include "dataset/dataset.h"
#include "io/io.h"

static dum_status create(dum_context *context, int64_t rows, int32_t cols, dumi_gather_fn gather,
                         dum_dataset **out)
{
    DUMI_REQUIRE(rows >= 1, DUM_ERR_SHAPE, "rows is %lld, expected 1 or more", (long long)rows);
    DUMI_REQUIRE(cols >= 1, DUM_ERR_SHAPE, "cols is %d, expected 1 or more", cols);
    dum_dataset *dataset;
    DUMI_TRY(DUMI_NEW(context, dataset, 1));
    memset(dataset, 0, sizeof *dataset);
    dataset->context = dumi_context_keep(context);
    dataset->rows = rows;
    dataset->cols = cols;
    dataset->gather = gather;
    *out = dataset;
    return DUM_OK;
}

static dum_status gather_memory(const dum_dataset *dataset, const int64_t *indices, int64_t count, float *out)
{
    const size_t size = (size_t)dataset->cols * sizeof *out;
    for (int64_t i = 0; i < count; i++)
        memcpy(out + i * dataset->cols, dataset->data + indices[i] * dataset->row_stride, size);
    return DUM_OK;
}

static dum_status gather_bytes(const dum_dataset *dataset, const int64_t *indices, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i++)
        dumi_widen(dataset->bytes + indices[i] * dataset->row_stride, (size_t)dataset->cols,
                   out + i * dataset->cols);
    return DUM_OK;
}

/* Rows that the host keeps; the caller adds where they are. */
static dum_status borrow(dum_context *context, const void *data, int64_t rows, int32_t cols, int64_t row_stride,
                         dumi_gather_fn gather, dum_dataset **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    DUMI_NOT_NULL(context);
    DUMI_NOT_NULL(data);
    if (row_stride == 0)
        row_stride = cols;
    DUMI_REQUIRE(row_stride >= cols, DUM_ERR_SHAPE, "row_stride is %lld, expected cols = %d or more",
                 (long long)row_stride, cols);
    DUMI_TRY(create(context, rows, cols, gather, out));
    (*out)->row_stride = row_stride;
    return DUM_OK;
}

dum_status dum_dataset_from_memory(dum_context *context, const float *data, int64_t rows, int32_t cols,
                                   int64_t row_stride, dum_dataset **out)
{
    DUMI_TRY(borrow(context, data, rows, cols, row_stride, gather_memory, out));
    (*out)->data = data;
    return DUM_OK;
}

dum_status dum_dataset_from_bytes(dum_context *context, const uint8_t *data, int64_t rows, int32_t cols,
                                  int64_t row_stride, dum_dataset **out)
{
    DUMI_TRY(borrow(context, data, rows, cols, row_stride, gather_bytes, out));
    (*out)->bytes = data;
    return DUM_OK;
}

static dum_status gather_npy(const dum_dataset *dataset, const int64_t *indices, int64_t count, float *out)
{
    dumi_npy_read(dataset->npy, indices, count, out);
    return DUM_OK;
}

dum_status dum_dataset_from_npy(dum_context *context, const char *path, dum_dataset **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    DUMI_NOT_NULL(context);
    DUMI_NOT_NULL(path);
    dumi_npy *npy;
    DUMI_TRY(dumi_npy_open(context, path, &npy));
    const dum_status status = create(context, dumi_npy_rows(npy), dumi_npy_cols(npy), gather_npy, out);
    if (status != DUM_OK) {
        dumi_npy_close(npy);
        return status;
    }
    (*out)->npy = npy;
    return DUM_OK;
}

static dum_status gather_callback(const dum_dataset *dataset, const int64_t *indices, int64_t count, float *out)
{
    const int32_t result = dataset->read((void *)(uintptr_t)dataset->user, indices, count, out);
    DUMI_REQUIRE(result == 0, DUM_ERR_CALLBACK, "the dataset's read callback returned %d for %lld rows", result,
                 (long long)count);
    return DUM_OK;
}

dum_status dum_dataset_from_callback(dum_context *context, int64_t rows, int32_t cols, dum_read_fn read,
                                     void *user, dum_dataset **out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(out);
    *out = NULL;
    DUMI_NOT_NULL(context);
    DUMI_NOT_NULL(read);
    DUMI_TRY(create(context, rows, cols, gather_callback, out));
    (*out)->read = read;
    (*out)->user = user;
    return DUM_OK;
}

void dum_dataset_destroy(dum_dataset *dataset)
{
    if (dataset == NULL)
        return;
    dum_context *context = dataset->context;
    if (dataset->npy != NULL)
        dumi_npy_close(dataset->npy);
    dumi_names_free(context, dataset->names, dataset->cols);
    dumi_free(context, dataset);
    dum_context_destroy(context);
}

int64_t dum_dataset_rows(const dum_dataset *dataset)
{
    return dataset != NULL ? dataset->rows : 0;
}

int32_t dum_dataset_cols(const dum_dataset *dataset)
{
    return dataset != NULL ? dataset->cols : 0;
}

dum_status dumi_dataset_gather(const dum_dataset *dataset, const int64_t *indices, int64_t count, float *out)
{
    return dataset->gather(dataset, indices, count, out);
}

dum_status dum_dataset_read(const dum_dataset *dataset, int64_t first, int64_t count, float *out)
{
    dumi_clear_error();
    DUMI_NOT_NULL(dataset);
    DUMI_REQUIRE(first >= 0 && count >= 0 && first <= dataset->rows && count <= dataset->rows - first,
                 DUM_ERR_SHAPE, "first is %lld and count is %lld, the dataset has %lld rows", (long long)first,
                 (long long)count, (long long)dataset->rows);
    DUMI_REQUIRE(out != NULL || count == 0, DUM_ERR_ARGUMENT, "out is NULL");
    int64_t indices[256];
    for (int64_t done = 0; done < count;) {
        const int64_t now = count - done < 256 ? count - done : 256;
        for (int64_t i = 0; i < now; i++)
            indices[i] = first + done + i;
        DUMI_TRY(dumi_dataset_gather(dataset, indices, now, out + done * dataset->cols));
        done += now;
    }
    return DUM_OK;
}

dum_status dumi_labels_check(const char *name, const int32_t *labels, int64_t rows, int32_t *classes)
{
    *classes = 0;
    for (int64_t i = 0; i < rows; i++) {
        DUMI_REQUIRE(labels[i] >= 0 && labels[i] < 65536, DUM_ERR_ARGUMENT,
                     "%s[%lld] is %d, expected 0 to 65535", name, (long long)i, labels[i]);
        *classes = labels[i] >= *classes ? labels[i] + 1 : *classes;
    }
    return DUM_OK;
}

void dumi_names_free(dum_context *context, char **names, int32_t count)
{
    for (int32_t i = 0; names != NULL && i < count; i++)
        dumi_free(context, names[i]);
    dumi_free(context, names);
}

static dum_status copy_name(dum_context *context, const char *name, int32_t col, char **out)
{
    DUMI_REQUIRE(name != NULL, DUM_ERR_ARGUMENT, "the name of column %d is NULL", col);
    const size_t size = strlen(name) + 1;
    DUMI_REQUIRE(size <= 4096, DUM_ERR_ARGUMENT,
                 "the name of column %d has %zu bytes, at most 4095 can be kept", col, size - 1);
    DUMI_REQUIRE(strchr(name, '\n') == NULL, DUM_ERR_ARGUMENT, "the name of column %d holds a newline", col);
    DUMI_REQUIRE(dumi_utf8_valid(name, size - 1), DUM_ERR_ARGUMENT, "the name of column %d is not UTF-8", col);
    *out = dumi_alloc(context, size, 1);
    if (*out == NULL)
        return dumi_status();
    memcpy(*out, name, size);
    return DUM_OK;
}

dum_status dumi_names_copy(dum_context *context, const char *const *names, int32_t count, char ***out)
{
    char **copy;
    DUMI_TRY(DUMI_NEW(context, copy, count));
    memset(copy, 0, (size_t)count * sizeof *copy);
    for (int32_t i = 0; i < count; i++) {
        const dum_status status = copy_name(context, names[i], i, &copy[i]);
        if (status != DUM_OK) {
            dumi_names_free(context, copy, count);
            return status;
        }
    }
    *out = copy;
    return DUM_OK;
}

dum_status dum_dataset_set_feature_names(dum_dataset *dataset, const char *const *names, int32_t count)
{
    dumi_clear_error();
    DUMI_NOT_NULL(dataset);
    DUMI_NOT_NULL(names);
    DUMI_REQUIRE(count == dataset->cols, DUM_ERR_SHAPE, "count is %d, the dataset has %d columns", count,
                 dataset->cols);
    char **copy;
    DUMI_TRY(dumi_names_copy(dataset->context, names, count, &copy));
    dumi_names_free(dataset->context, dataset->names, count);
    dataset->names = copy;
    return DUM_OK;
}

const char *dum_dataset_feature_name(const dum_dataset *dataset, int32_t col)
{
    if (dataset == NULL || dataset->names == NULL || col < 0 || col >= dataset->cols)
        return NULL;
    return dataset->names[col];
}
