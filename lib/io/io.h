/* SPDX-License-Identifier: MIT
 * Files: the safetensors container of models, .npy, whole files, SHA-256. */
#ifndef DUMI_IO_H
#define DUMI_IO_H

#include "core/core.h"

/* ---- SHA-256 (FIPS 180-4) ---------------------------------------------------------------- */

typedef struct {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} dumi_sha256;

void dumi_sha256_init(dumi_sha256 *hash);
void dumi_sha256_add(dumi_sha256 *hash, const void *bytes, size_t size);
/* 64 hexadecimal digits and a NUL. */
void dumi_sha256_text(dumi_sha256 *hash, char out[65]);

/* ---- Whole files ------------------------------------------------------------------------- */

/* The calls that writing a file makes, so that tests can make each fail. */
typedef struct {
    int (*open)(const char *path, int flags, unsigned mode);
    int64_t (*write)(int file, const void *bytes, size_t size);
    int (*fsync)(int file);
    int (*close)(int file);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
} dumi_file_calls;

extern const dumi_file_calls dumi_file_system;

/* The path holds the old file or the new one, never a part: a temporary file beside it, fsync, rename. */
dum_status dumi_file_write(dum_context *context, const dumi_file_calls *calls, const char *path,
                           const void *bytes, size_t size);
/* Fails with "cannot <what> <path>: <reason of this errno>". */
dum_status dumi_file_fail(const char *what, const char *path, int error);
/* A regular file of at most `most` bytes; *bytes is the caller's to dumi_free. */
dum_status dumi_file_read(dum_context *context, const char *path, uint64_t most, unsigned char **bytes,
                          size_t *size);

/* Writes bytes to path and frees them: the last act of saving. */
dum_status dumi_save_bytes(dum_context *context, const char *path, unsigned char *bytes, size_t size);
/* Copies bytes to a caller's buffer and frees them. */
dum_status dumi_hand_out(dum_context *context, unsigned char *bytes, size_t needed, void *buffer,
                         size_t capacity, size_t *size);
/* Reads a file and makes what `load` makes of its bytes. */
dum_status dumi_load_file(dum_context *context, const char *path,
                          dum_status (*load)(dum_context *context, const void *bytes, size_t size, void **out),
                          void **out);

/* The four public calls that save and load a handle, the same for each kind of it, by the file's own to_bytes and
 * from_bytes. */
#define DUMI_DEFINE_SAVING(kind)                                                                               \
    dum_status dum_##kind##_save(const dum_##kind *kind, const char *path)                                     \
    {                                                                                                          \
        dumi_clear_error();                                                                                    \
        DUMI_NOT_NULL(path);                                                                                   \
        unsigned char *bytes;                                                                                  \
        size_t size;                                                                                           \
        DUMI_TRY(to_bytes(kind, &bytes, &size));                                                               \
        return dumi_save_bytes(kind->context, path, bytes, size);                                              \
    }                                                                                                          \
    dum_status dum_##kind##_save_memory(const dum_##kind *kind, void *buffer, size_t capacity, size_t *size)   \
    {                                                                                                          \
        dumi_clear_error();                                                                                    \
        DUMI_NOT_NULL(size);                                                                                   \
        unsigned char *bytes;                                                                                  \
        size_t needed;                                                                                         \
        DUMI_TRY(to_bytes(kind, &bytes, &needed));                                                             \
        return dumi_hand_out(kind->context, bytes, needed, buffer, capacity, size);                            \
    }                                                                                                          \
    dum_status dum_##kind##_load(dum_context *context, const char *path, dum_##kind **out)                     \
    {                                                                                                          \
        dumi_clear_error();                                                                                    \
        DUMI_NOT_NULL(out);                                                                                    \
        *out = NULL;                                                                                           \
        void *loaded;                                                                                          \
        DUMI_TRY(dumi_load_file(context, path, from_bytes, &loaded));                                          \
        *out = loaded;                                                                                         \
        return DUM_OK;                                                                                         \
    }                                                                                                          \
    dum_status dum_##kind##_load_memory(dum_context *context, const void *buffer, size_t size,                 \
                                        dum_##kind **out)                                                      \
    {                                                                                                          \
        dumi_clear_error();                                                                                    \
        DUMI_NOT_NULL(out);                                                                                    \
        *out = NULL;                                                                                           \
        DUMI_NOT_NULL(context);                                                                                \
        DUMI_NOT_NULL(buffer);                                                                                 \
        void *loaded;                                                                                          \
        DUMI_TRY(from_bytes(context, buffer, size, &loaded));                                                  \
        *out = loaded;                                                                                         \
        return DUM_OK;                                                                                         \
    }

/* ---- Model container: a strict profile of safetensors ------------------------------------- */

enum {
    DUMI_FORMAT = 1,
    DUMI_MAX_TENSORS = 512,
    DUMI_MAX_METADATA = 512,
    DUMI_MAX_RANK = 4,
    DUMI_MAX_HEADER = 1 << 24
};

typedef enum {
    DUMI_F32,
    DUMI_F64,
    DUMI_I64,
    DUMI_U8,
    DUMI_F16,
    DUMI_BF16
} dumi_dtype; /* half: not in models */

typedef struct {
    const char *name;
    dumi_dtype dtype;
    int32_t rank;
    int64_t shape[DUMI_MAX_RANK];
    const void *data; /* writer: host byte order; reader: the bytes of the file */
    size_t size;      /* bytes */
} dumi_tensor;

typedef struct {
    const char *key, *value;
} dumi_metadata;

typedef struct dumi_model_writer {
    dum_context *context;
    int32_t tensors, metadata;
    dumi_tensor tensor[DUMI_MAX_TENSORS];
    dumi_metadata meta[DUMI_MAX_METADATA];
} dumi_model_writer;

/* On an error too, *out is the caller's to destroy. */
dum_status dumi_writer_create(dum_context *context, const char *kind, dumi_model_writer **out);
void dumi_writer_destroy(dumi_model_writer *writer);
/* Copies key and value, which must be UTF-8. */
dum_status dumi_writer_meta(dumi_model_writer *writer, const char *key, const char *value);
/* Borrows data until dumi_writer_finish. cols 0: one dimension. */
dum_status dumi_writer_tensor(dumi_model_writer *writer, const char *name, dumi_dtype dtype, int64_t rows,
                              int64_t cols, const void *data);
/* The same of any shape. */
dum_status dumi_writer_shaped(dumi_model_writer *writer, const char *name, dumi_dtype dtype, int32_t rank,
                              const int64_t *shape, const void *data);
/* The bytes of the file; the caller's to dumi_free. LIMIT where no reader would take so long a header. */
dum_status dumi_writer_finish(dumi_model_writer *writer, unsigned char **bytes, size_t *size);

typedef struct dumi_reader {
    dum_context *context;
    bool foreign; /* safetensors of others: no metadata of ours, any order, gaps, half precision */
    int32_t tensors, metadata;
    dumi_tensor tensor[DUMI_MAX_TENSORS];  /* by name */
    dumi_metadata meta[DUMI_MAX_METADATA]; /* by key */
    char *texts;
} dumi_reader;

/* Checks all of the file: structure, version, checksums. `bytes` must outlive the reader. */
dum_status dumi_reader_open(dum_context *context, const unsigned char *bytes, size_t size, dumi_reader **out);
/* Any safetensors file: structure only. */
dum_status dumi_reader_open_foreign(dum_context *context, const unsigned char *bytes, size_t size,
                                    dumi_reader **out);
void dumi_reader_close(dumi_reader *reader);
/* The value of a key, or NULL. */
const char *dumi_reader_meta(const dumi_reader *reader, const char *key);
bool dumi_reader_is_kind(const dumi_reader *reader, const char *kind);
/* Errors unless the file's kind is this. */
dum_status dumi_reader_expect_kind(const dumi_reader *reader, const char *kind);
const dumi_tensor *dumi_reader_find(const dumi_reader *reader, const char *name);
/* Copies a tensor that must have this type and shape (cols 0: one dimension), in the host's byte order;
 * floats must be finite. */
dum_status dumi_reader_copy(const dumi_reader *reader, const char *name, dumi_dtype dtype, int64_t rows,
                            int64_t cols, void *to);

/* The header of a container, parsed into a reader; checks all but the checksums. */
dum_status dumi_header_parse(dumi_reader *reader, const unsigned char *bytes, size_t size);
/* What dum.meta_sha256 is taken of: every other key and value, then the tensor table. */
void dumi_header_digest(const dumi_metadata *meta, int32_t metadata, const dumi_tensor *tensor, int32_t tensors,
                        char out[65]);
const char *dumi_dtype_name(dumi_dtype dtype);
size_t dumi_dtype_size(dumi_dtype dtype);
/* Where `name` belongs in a sorted table of `count` structs, whose first member is their name: behind an
 * equal one. */
int32_t dumi_header_place(const char *name, const void *table, int32_t count, size_t stride);

/* Of the host. */
static inline bool dumi_little_endian(void)
{
    const uint16_t probe = 1;
    unsigned char first;
    memcpy(&first, &probe, 1);
    return first == 1;
}

/* Copies count elements between file order (little-endian) and host order. */
void dumi_copy_elements(void *to, const void *from, size_t count, size_t element);

/* Bytes as floats, 0 to 255. */
static inline void dumi_widen(const uint8_t *from, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

/* ---- .npy -------------------------------------------------------------------------------- */

typedef struct {
    int64_t rows;
    int32_t cols;
    size_t element; /* bytes: 1 uint8, 4 float32, 8 float64 */
    size_t offset;  /* of the first element */
} dumi_npy_header;

/* Checks that `size` bytes are a whole .npy file that can be a dataset. `path` is for errors. */
dum_status dumi_npy_parse(const char *path, const unsigned char *bytes, size_t size, dumi_npy_header *out);

typedef struct dumi_npy dumi_npy;

dum_status dumi_npy_open(dum_context *context, const char *path, dumi_npy **out);
void dumi_npy_close(dumi_npy *npy);
int64_t dumi_npy_rows(const dumi_npy *npy);
int32_t dumi_npy_cols(const dumi_npy *npy);
void dumi_npy_read(const dumi_npy *npy, const int64_t *indices, int64_t count, float *out);

#endif
