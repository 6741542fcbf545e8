/* SPDX-License-Identifier: MIT
 * SHA-256, model container, whole files, .npy: right answers, and hostile bytes. */
#define _POSIX_C_SOURCE 200809L
#include "../harness.h"
#include "io/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static dum_context *context;
static char folder[64];

static void setup(void)
{
    ck_ok(dum_context_create(NULL, &context));
    strcpy(folder, "/tmp/dum-io-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    dum_context_destroy(context);
    DIR *dir = opendir(folder);
    char path[400];
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(folder), 0); /* no folder and nothing else was left */
}

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void)
{
    int count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

START_TEST(sha256_vectors)
{
    /* FIPS 180-4 examples */
    static const struct {
        const char *text, *digest;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char found[65];
    dumi_sha256 hash;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dumi_sha256_init(&hash);
        dumi_sha256_add(&hash, cases[i].text, strlen(cases[i].text));
        dumi_sha256_text(&hash, found);
        ck_assert_str_eq(found, cases[i].digest);
    }
    dumi_sha256_init(&hash);
    for (int i = 0; i < 1000000; i += 8)
        dumi_sha256_add(&hash, "aaaaaaaa", 8);
    dumi_sha256_text(&hash, found);
    ck_assert_str_eq(found, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

START_TEST(utf8)
{
    static const char good[] = "plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80";
    ck_assert(dumi_utf8_valid(good, sizeof good - 1));
    static const char *const bad[] = {"\x80",        "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "\xE0\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert(!dumi_utf8_valid(bad[i], strlen(bad[i])));
}
END_TEST

static const float weights[6] = {1, -2, 3.5f, 0, 1e-30f, 6};
static const double scores[3] = {1, 2, 3};

static unsigned char *make_model(size_t *size)
{
    dumi_model_writer *writer;
    unsigned char *bytes;
    ck_ok(dumi_writer_create(context, "test", &writer));
    ck_ok(dumi_writer_meta(writer, "dum.features", "a \"quoted\"\nname\\ \x01 \xE2\x82\xAC"));
    ck_ok(dumi_writer_tensor(writer, "w", DUMI_F32, 2, 3, weights));
    ck_ok(dumi_writer_tensor(writer, "a", DUMI_F64, 3, 0, scores));
    ck_ok(dumi_writer_tensor(writer, "c", DUMI_U8, 2, 0, "xy"));
    ck_ok(dumi_writer_finish(writer, &bytes, size));
    dumi_writer_destroy(writer);
    return bytes;
}

START_TEST(round_trip)
{
    size_t size, again_size;
    unsigned char *bytes = make_model(&size), *again = make_model(&again_size);
    ck_assert_uint_eq(size, again_size);
    ck_assert_mem_eq(bytes, again, size); /* the same model, the same bytes */
    dumi_reader *reader;
    ck_ok(dumi_reader_open(context, bytes, size, &reader));
    ck_assert_str_eq(dumi_reader_meta(reader, "dum.features"), "a \"quoted\"\nname\\ \x01 \xE2\x82\xAC");
    ck_assert_ptr_null(dumi_reader_meta(reader, "dum.absent"));
    ck_ok(dumi_reader_expect_kind(reader, "test"));
    ck_fails(dumi_reader_expect_kind(reader, "head"), DUM_ERR_FORMAT, "expected \"head\"");
    float w[6];
    double a[3];
    ck_ok(dumi_reader_copy(reader, "w", DUMI_F32, 2, 3, w));
    ck_ok(dumi_reader_copy(reader, "a", DUMI_F64, 3, 0, a));
    ck_assert_mem_eq(w, weights, sizeof w);
    ck_assert_mem_eq(a, scores, sizeof a);
    ck_fails(dumi_reader_copy(reader, "w", DUMI_F32, 3, 2, w), DUM_ERR_FORMAT, "shape");
    ck_fails(dumi_reader_copy(reader, "w", DUMI_F64, 2, 3, w), DUM_ERR_FORMAT, "type");
    ck_fails(dumi_reader_copy(reader, "nothing", DUMI_F32, 2, 3, w), DUM_ERR_FORMAT, "no tensor nothing");
    dumi_reader_close(reader);
    dumi_free(context, bytes);
    dumi_free(context, again);
}
END_TEST

START_TEST(truncated_and_flipped)
{
    size_t size;
    unsigned char *bytes = make_model(&size);
    dumi_reader *reader;
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *part = malloc(cut + 1); /* so that the sanitizer sees a read behind the end */
        memcpy(part, bytes, cut);
        ck_assert_int_ne(dumi_reader_open(context, part, cut, &reader), DUM_OK);
        free(part);
    }
    for (size_t at = 0; at < size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (unsigned char)(1 << bit);
            const dum_status status = dumi_reader_open(context, bytes, size, &reader);
            /* A space of the padding may turn into another kind of space, \u000a into \u000A: the content is
             * the same. */
            if (status == DUM_OK)
                dumi_reader_close(reader);
            ck_assert_msg(status != DUM_OK || strchr("\n\t\rA", bytes[at]) != NULL, "byte %zu, now %d", at,
                          bytes[at]);
            bytes[at] ^= (unsigned char)(1 << bit);
        }
    }
    dumi_free(context, bytes);
}
END_TEST

/* A container with this JSON header and `data` zero bytes behind it. */
static dum_status open_header(const char *header, size_t data)
{
    const size_t length = strlen(header), size = 8 + length + data;
    unsigned char *bytes = calloc(size, 1);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    dumi_reader *reader;
    const dum_status status = dumi_reader_open(context, bytes, size, &reader);
    if (status == DUM_OK)
        dumi_reader_close(reader);
    free(bytes);
    return status;
}

#define META                                                                                                   \
    "\"__metadata__\":{\"dum.format\":\"1\",\"dum.min_reader\":\"1\",\"dum.writer\":\"w\",\"dum.kind\":\"k\"}"

START_TEST(hostile_headers)
{
    static const struct {
        const char *header;
        size_t data;
        const char *message;
    } cases[] = {
        {"", 9, "JSON object"},
        {"{", 9, "string"},
        {"{}", 0, "string"},
        {"[1]", 0, "JSON object"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} x", 8, "follows"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}}", 9, "do not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "do not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "do not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "two numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "integer"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[02],\"data_offsets\":[0,8]}}", 8, "integer"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "does not end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,8]}}", 8, "too long"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         "overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8, "integer"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 16, "gap"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
         12, "gap"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
         16, "one name"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"more\":[2],\"data_offsets\":[0,8]}}", 8, "unknown key"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "needs dtype"},
        {"{\"a\":[[[[[[[[[[[[]]]]]]]]]]]]}", 0, "object is expected"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "string"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "twice"},
        {"{\"__metadata__\":{\"a\":\"1\"},\"__metadata__\":{\"a\":\"2\"}}", 0, "twice"},
        {"{\"__metadata__\":{\"a\":\"\\ud800\"}}", 0, "escape"},
        {"{\"__metadata__\":{\"a\":\"\\u0000\"}}", 0, "escape"},
        {"{\"__metadata__\":{\"a\":\"\\x\"}}", 0, "escape"},
        {"{\"__metadata__\":{\"a\":\"\xFF\"}}", 0, "UTF-8"},
        {"{\"__metadata__\":{\"a\":\"\x01\"}}", 0, "control"},
        {"{\"__metadata__\":{\"a\":\"b\"}}", 0, "not a libdum model"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "not a libdum model"},
        {"{" META "}", 0, "dum.meta_sha256"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_fails(open_header(cases[i].header, cases[i].data), DUM_ERR_FORMAT, cases[i].message);
    ck_fails(
        open_header(
            "{\"__metadata__\":{\"dum.format\":\"9\",\"dum.min_reader\":\"9\",\"dum.writer\":\"libdum 7.0\","
            "\"dum.kind\":\"k\"}}",
            0),
        DUM_ERR_VERSION, "libdum 7.0");
    unsigned char huge[16] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F};
    dumi_reader *reader;
    ck_fails(dumi_reader_open(context, huge, sizeof huge, &reader), DUM_ERR_FORMAT, "more than the file");
    ck_fails(dumi_reader_open(context, huge, 3, &reader), DUM_ERR_FORMAT, "too few");
}
END_TEST

START_TEST(nonfinite_tensor)
{
    dumi_model_writer *writer;
    unsigned char *bytes;
    size_t size;
    const float bad[2] = {1, NAN};
    float to[2];
    ck_ok(dumi_writer_create(context, "test", &writer));
    ck_ok(dumi_writer_tensor(writer, "w", DUMI_F32, 2, 0, bad));
    ck_ok(dumi_writer_finish(writer, &bytes, &size));
    dumi_writer_destroy(writer);
    dumi_reader *reader;
    ck_ok(dumi_reader_open(context, bytes, size, &reader));
    ck_fails(dumi_reader_copy(reader, "w", DUMI_F32, 2, 0, to), DUM_ERR_FORMAT, "NaN");
    dumi_reader_close(reader);
    dumi_free(context, bytes);
}
END_TEST

/* ---- Writing: each call made to fail ------------------------------------------------------------ */

static int calls_left;

static bool fails_now(void)
{
    if (--calls_left != 0)
        return false;
    errno = EIO;
    return true;
}

static int bad_open(const char *path, int flags, unsigned mode)
{
    return fails_now() ? -1 : dumi_file_system.open(path, flags, mode);
}

static int64_t bad_write(int file, const void *bytes, size_t size)
{
    /* in small pieces, so that there are several */
    return fails_now() ? -1 : dumi_file_system.write(file, bytes, size > 100 ? 100 : size);
}

static int bad_fsync(int file)
{
    return fails_now() ? -1 : dumi_file_system.fsync(file);
}

static int bad_close(int file)
{
    const int result = dumi_file_system.close(file);
    return fails_now() ? -1 : result;
}

static int bad_rename(const char *from, const char *to)
{
    return fails_now() ? -1 : dumi_file_system.rename(from, to);
}

START_TEST(failing_writes)
{
    static const dumi_file_calls bad = {bad_open, bad_write, bad_fsync, bad_close, bad_rename};
    char old[64], new[1000];
    memset(old, 'o', sizeof old);
    memset(new, 'n', sizeof new);
    const char *path = in_folder("model");
    int failed = 0;
    for (int fail_at = 1;; fail_at++) {
        ck_ok(dumi_file_write(context, &dumi_file_system, path, old, sizeof old));
        calls_left = fail_at;
        const dum_status status = dumi_file_write(context, &bad, path, new, sizeof new);
        ck_assert_int_eq(files_in_folder(), 1); /* no temporary file */
        unsigned char *bytes;
        size_t size;
        ck_ok(dumi_file_read(context, path, 1 << 20, &bytes, &size));
        const bool is_old = size == sizeof old && memcmp(bytes, old, size) == 0;
        const bool is_new = size == sizeof new &&memcmp(bytes, new, size) == 0;
        dumi_free(context, bytes);
        ck_assert(is_old || is_new);
        if (status == DUM_OK) {
            ck_assert(is_new);
            if (calls_left > 0)
                break;
            continue; /* closing the folder failed: nothing is lost by that */
        }
        ck_assert_int_eq(status, DUM_ERR_IO);
        failed++;
    }
    ck_assert_int_ge(failed, 14);
    char deep[128];
    snprintf(deep, sizeof deep, "%s/none/model", folder);
    ck_fails(dumi_file_write(context, &dumi_file_system, deep, old, sizeof old), DUM_ERR_IO, "No such file");
}
END_TEST

START_TEST(odd_paths)
{
    unsigned char *bytes;
    size_t size;
    ck_fails(dumi_file_read(context, folder, 1 << 20, &bytes, &size), DUM_ERR_IO, "not a regular file");
    ck_fails(dumi_file_read(context, in_folder("none"), 1 << 20, &bytes, &size), DUM_ERR_IO, "No such file");
    ck_assert_int_eq(mkfifo(in_folder("fifo"), 0600), 0);
    ck_fails(dumi_file_read(context, in_folder("fifo"), 1 << 20, &bytes, &size), DUM_ERR_IO,
             "not a regular file");
    dumi_npy *npy;
    ck_fails(dumi_npy_open(context, in_folder("fifo"), &npy), DUM_ERR_IO, "not a regular file");
    ck_fails(dumi_npy_open(context, in_folder("none"), &npy), DUM_ERR_IO, "No such file");
    ck_ok(dumi_file_write(context, &dumi_file_system, in_folder("big"), "0123456789", 10));
    ck_fails(dumi_file_read(context, in_folder("big"), 9, &bytes, &size), DUM_ERR_LIMIT, "10 bytes");
    ck_ok(dumi_file_write(context, &dumi_file_system, in_folder("empty"), "", 0));
    ck_fails(dumi_npy_open(context, in_folder("empty"), &npy), DUM_ERR_FORMAT, "empty");
}
END_TEST

/* ---- .npy --------------------------------------------------------------------------------------- */

static size_t make_npy(unsigned char *out, int version, const char *header, const void *data, size_t data_size)
{
    const size_t length = strlen(header);
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (unsigned char)version;
    out[7] = 0;
    out[8] = (unsigned char)length;
    out[9] = (unsigned char)(length >> 8);
    size_t start = 10;
    if (version > 1) {
        out[10] = out[11] = 0;
        start = 12;
    }
    memcpy(out + start, header, length);
    memcpy(out + start + length, data, data_size);
    return start + length + data_size;
}

START_TEST(npy_reads)
{
    static const struct {
        const char *header;
        int version;
        bool is_double;
        int64_t rows;
        int32_t cols;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }  \n", 1, false, 3, 2},
        {"{'shape': (3,2),'fortran_order':False,'descr':\"<f4\"}", 2, false, 3, 2},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (6,), }\n", 3, false, 6, 1},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 6)}", 1, false, 1, 6},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }\n", 1, true, 3, 2},
    };
    const float f4[] = {1, 2, 3, 4, 5, 6};
    const double f8[] = {1, 2, 3, 4, 5, 1e300};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char bytes[400];
        const bool d = cases[i].is_double;
        const size_t size = make_npy(bytes, cases[i].version, cases[i].header, d ? (const void *)f8 : f4,
                                     d ? sizeof f8 : sizeof f4);
        ck_ok(dumi_file_write(context, &dumi_file_system, in_folder("x.npy"), bytes, size));
        dumi_npy *npy;
        ck_ok(dumi_npy_open(context, in_folder("x.npy"), &npy));
        ck_assert_int_eq(dumi_npy_rows(npy), cases[i].rows);
        ck_assert_int_eq(dumi_npy_cols(npy), cases[i].cols);
        float row[6];
        const int64_t last = cases[i].rows - 1;
        dumi_npy_read(npy, &last, 1, row);
        if (d)
            ck_assert(row[0] == 5 && isinf(row[1]));
        else
            ck_assert(row[cases[i].cols - 1] == 6);
        dumi_npy_close(npy);
        for (size_t cut = 0; cut < size; cut++) {
            dumi_npy_header header;
            unsigned char *part = malloc(cut + 1);
            memcpy(part, bytes, cut);
            ck_assert_int_eq(dumi_npy_parse("x", part, cut, &header), DUM_ERR_FORMAT);
            free(part);
        }
    }
}
END_TEST

START_TEST(npy_refuses)
{
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2), }", "dtype >f4, expected little-endian"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (3, 1), }", "dtype <i8"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 2), }", "records"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }", "Fortran order"},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3, 2), }", "neither"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3), }", "says 3 x 3 but holds 24 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", "says 2 x 2"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2), }", "at least 1 x 1"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 1), }", "3 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 1, 1), }", "more than 2 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "0 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 2), }", "bad shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }",
         "bad shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (72057594037927935, 3), }", "says"},
        {"{'descr': '<f4', 'fortran_order': False}", "lacks a key"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", "twice"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'more': 1}", "unknown key"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), } x", "goes on"},
        {"'descr'", "not a dictionary"},
        {"", "not a dictionary"},
    };
    unsigned char bytes[400];
    dumi_npy_header header;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t size = make_npy(bytes, 1, cases[i].header, weights, sizeof weights);
        ck_fails(dumi_npy_parse("x", bytes, size, &header), DUM_ERR_FORMAT, cases[i].message);
    }
    ck_fails(dumi_npy_parse("x", (const unsigned char *)"PK\x03\x04 not npy", 12, &header), DUM_ERR_FORMAT,
             "begin");
    bytes[6] = 4;
    ck_fails(dumi_npy_parse("x", bytes, 100, &header), DUM_ERR_FORMAT, "version");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("io");
    TCase *cases = tcase_create("io");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, sha256_vectors);
    tcase_add_test(cases, utf8);
    tcase_add_test(cases, round_trip);
    tcase_add_test(cases, truncated_and_flipped);
    tcase_add_test(cases, hostile_headers);
    tcase_add_test(cases, nonfinite_tensor);
    tcase_add_test(cases, failing_writes);
    tcase_add_test(cases, odd_paths);
    tcase_add_test(cases, npy_reads);
    tcase_add_test(cases, npy_refuses);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
