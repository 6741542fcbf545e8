/* SPDX-License-Identifier: MIT */
#include "scorer/state.h"

static void *array_of(const void *state, const dumi_array *a)
{
    void *pointer;
    memcpy(&pointer, (const char *)state + a->at, sizeof pointer);
    return pointer;
}

static int64_t cols_of(const dumi_state *s, const dumi_array *a)
{
    return a->cols == DUMI_VECTOR ? 1 : s->sizes[a->cols];
}

dum_status dumi_state_create(dum_context *context, const dumi_layout *layout, const int64_t *sizes, void **out)
{
    dumi_state *s = dumi_alloc(context, 1, layout->bytes);
    if (s == NULL)
        return dumi_status();
    memset(s, 0, layout->bytes);
    s->context = dumi_context_keep(context);
    s->layout = layout;
    memcpy(s->sizes, sizes, sizeof s->sizes);
    for (int32_t i = 0; i < layout->count; i++) {
        const dumi_array *a = &layout->arrays[i];
        void *data =
            dumi_alloc(context, (size_t)s->sizes[a->rows], (size_t)cols_of(s, a) * dumi_dtype_size(a->dtype));
        if (data == NULL) {
            const dum_status status = dumi_status();
            dumi_state_destroy(s);
            return status;
        }
        memcpy((char *)s + a->at, &data, sizeof data);
    }
    *out = s;
    return DUM_OK;
}

void dumi_state_destroy(void *state)
{
    dumi_state *s = state;
    if (s == NULL)
        return;
    dum_context *context = s->context;
    if (s->layout->release != NULL)
        s->layout->release(state);
    for (int32_t i = 0; i < s->layout->count; i++)
        dumi_free(context, array_of(s, &s->layout->arrays[i]));
    dumi_free(context, s);
    dum_context_destroy(context);
}

dum_status dumi_state_write(const void *state, dumi_model_writer *writer)
{
    const dumi_state *s = state;
    for (int32_t i = 0; i < s->layout->count; i++) {
        const dumi_array *a = &s->layout->arrays[i];
        DUMI_TRY(dumi_writer_tensor(writer, a->name, a->dtype, s->sizes[a->rows],
                                    a->cols == DUMI_VECTOR ? 0 : s->sizes[a->cols], array_of(s, a)));
    }
    return DUM_OK;
}

/* The first tensor that has a size sets it, the others must agree. */
static bool take_size(int64_t *sizes, int8_t which, int64_t size)
{
    if (sizes[which] == 0)
        sizes[which] = size;
    return size >= 1 && sizes[which] == size;
}

static dum_status read_sizes(const dumi_layout *layout, const dumi_reader *reader, int64_t *sizes)
{
    for (int32_t i = 0; i < layout->count; i++) {
        const dumi_array *a = &layout->arrays[i];
        const dumi_tensor *t = dumi_reader_find(reader, a->name);
        DUMI_REQUIRE(t != NULL && t->dtype == a->dtype && t->rank == (a->cols == DUMI_VECTOR ? 1 : 2) &&
                         take_size(sizes, a->rows, t->shape[0]) &&
                         (a->cols == DUMI_VECTOR || take_size(sizes, a->cols, t->shape[1])),
                     DUM_ERR_FORMAT, "tensor %s is missing or does not fit the others", a->name);
    }
    return DUM_OK;
}

dum_status dumi_state_ready(const double *values, void *made, void **state)
{
    const dumi_layout *layout = ((dumi_state *)made)->layout;
    const dum_status status = layout->ready != NULL ? layout->ready(values, made) : DUM_OK;
    if (status == DUM_OK)
        *state = made;
    else
        dumi_state_destroy(made);
    return status;
}

dum_status dumi_state_read(dum_context *context, const dumi_layout *layout, const dumi_reader *reader,
                           const double *values, int32_t *cols, void **out)
{
    int64_t sizes[DUMI_STATE_SIZES] = {0};
    DUMI_TRY(read_sizes(layout, reader, sizes));
    void *state = NULL;
    DUMI_TRY(dumi_state_create(context, layout, sizes, &state));
    dum_status status = DUM_OK;
    for (int32_t i = 0; i < layout->count; i++) {
        const dumi_array *a = &layout->arrays[i];
        DUMI_GO(dumi_reader_copy(reader, a->name, a->dtype, sizes[a->rows],
                                 a->cols == DUMI_VECTOR ? 0 : sizes[a->cols], array_of(state, a)));
    }
    if (layout->ready != NULL)
        DUMI_GO(layout->ready(values, state));
    const int64_t columns = ((dumi_state *)state)->sizes[DUMI_COLS];
    if (columns < 1 || columns > INT32_MAX)
        DUMI_GO(dumi_fail(DUM_ERR_FORMAT, "the model has %lld columns", (long long)columns));
    *cols = (int32_t)columns;
    *out = state;
    return DUM_OK;
done:
    dumi_state_destroy(state);
    return status;
}
