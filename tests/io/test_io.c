/* SPDX-License-Identifier: MIT
 * SHA-256, model container, whole files, .npy: right answers, and hostile bytes. */
#define _POSIX_C_SOURCE 200809L
#include "../harness.h"
#include "io/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
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
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopq"
         "rst"
         "nopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
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
    unsigned char bytes[200];
    for (int i = 0; i < 200; i++)
        bytes[i] = (unsigned char)(i * 7);
    for (size_t size = 0; size <= sizeof bytes; size++) { /* every place that padding can begin at */
        char whole[65];
        dumi_sha256_init(&hash);
        dumi_sha256_add(&hash, bytes, size);
        dumi_sha256_text(&hash, whole);
        dumi_sha256_init(&hash);
        for (size_t at = 0; at < size; at += 13)
            dumi_sha256_add(&hash, bytes + at, size - at < 13 ? size - at : 13);
        dumi_sha256_text(&hash, found);
        ck_assert_str_eq(found, whole);
    }
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

    /* Messages are one line of UTF-8, whatever a path or a name holds and wherever it was cut. */
    dum_scorer *scorer;
    ck_fails(dum_scorer_load(context, "/no\xC3such\n\x7F\xE2\x82\xAC", &scorer), DUM_ERR_IO,
             "/no?such??\xE2\x82\xAC");
    char name[300];
    for (size_t start = 0; start < 3; start++) {
        memset(name, 'x', sizeof name);
        for (size_t i = start; i + 3 < sizeof name; i += 3)
            memcpy(name + i, "\xE2\x82\xAC", 3);
        name[sizeof name - 1] = '\0';
        ck_fails(dum_scorer_load(context, name, &scorer), DUM_ERR_IO, "\xE2\x82\xAC");
        ck_assert(dumi_utf8_valid(dum_error_message(), strlen(dum_error_message())));
    }
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
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 16,
         "have 8 bytes, but the file holds 16"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", 16, "begins at 8, expected 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         16, "order of names"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}",
         8, "begins at 4, expected 8"},
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
        {"{\"__metadata__\":{\"a\":\"\\udc00\"}}", 0, "escape"},
        {"{\"__metadata__\":{\"a\":\"\\ud800\\ud800\"}}", 0, "escape"},
        {"{\"__metadata__\":{\"a\":\"\\ud800\\", 0, "escape"},
        {"{\"__metadata__\":{\"a\":\"\\u12", 0, "escape"},
        {"{\"__metadata__\":{\"a\":\"", 0, "does not end"},
        {"{\"__metadata__\":{\"a\":\"b\",}}", 0, "string"},
        {"{\"__metadata__\":{}}", 0, "string"},
        {"{\"__metadata__\":{\"a\":\"b\"}", 0, "does not end"},
        {"{\"__metadata__\":{\"dum.format\":\"1\",\"dum.min_reader\":\"1.0\"}}", 0,
         "dum.min_reader is \"1.0\""},
        {"{\"__metadata__\":{\"dum.format\":\"+1\",\"dum.min_reader\":\"1\"}}", 0, "dum.format is \"+1\""},
        {"{\"__metadata__\":{\"dum.format\":\"01\",\"dum.min_reader\":\"1\"}}", 0, "dum.format is \"01\""},
        {"{\"__metadata__\":{\"dum.format\":\"\",\"dum.min_reader\":\"1\"}}", 0, "dum.format is \"\""},
        {"{\"__metadata__\":{\"dum.format\":\"1\",\"dum.min_reader\":\"1\"}}", 0, "no dum.writer"},
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

/* Sets both checksums right, so that what lies behind them is reached. False where the header is bad. */
static bool seal(unsigned char *bytes, size_t size)
{
    static const char *const keys[] = {"\"dum.data_sha256\":\"", "\"dum.meta_sha256\":\""};
    bool good = true;
    for (int i = 0; i < 2 && good; i++) {
        dumi_reader *reader = calloc(1, sizeof *reader);
        reader->context = context;
        good = dumi_header_parse(reader, bytes, size) == DUM_OK;
        uint64_t length = 0;
        char digest[65];
        for (int j = 7; good && j >= 0; j--)
            length = length << 8 | bytes[j];
        dumi_sha256 hash;
        dumi_sha256_init(&hash);
        if (good)
            dumi_sha256_add(&hash, bytes + 8 + length, size - 8 - (size_t)length);
        dumi_sha256_text(&hash, digest);
        if (good && i == 1)
            dumi_header_digest(reader->meta, reader->metadata, reader->tensor, reader->tensors, digest);
        for (size_t at = 8; good && at + 19 + 64 <= 8 + length; at++)
            if (memcmp(bytes + at, keys[i], 19) == 0)
                memcpy(bytes + at + 19, digest, 64);
        dumi_free(context, reader->texts);
        free(reader);
    }
    return good;
}

#define SUM "0000000000000000000000000000000000000000000000000000000000000000"
#define SEALED_META(kind, more)                                                                                \
    "{ \"__metadata__\" : "                                                                                    \
    "{\"dum.format\":\"1\",\"dum.min_reader\":\"1\",\"dum.writer\":\"w\",\"dum.data_sha256\":\"" SUM           \
    "\",\"dum.meta_sha256\":\"" SUM "\",\"dum.kind\":\"" kind "\"" more "}"

/* A container with this header, its checksums right, and `data` zero bytes; to free. */
static unsigned char *make_sealed(const char *header, size_t data, size_t *size)
{
    const size_t length = strlen(header);
    *size = 8 + length + data;
    unsigned char *bytes = calloc(*size, 1);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    ck_assert_msg(seal(bytes, *size), "%s", dum_error_message());
    return bytes;
}

START_TEST(reads_other_writers)
{
    /* Other white space, all escapes, keys in any order, a scalar, four dimensions, an empty tensor. */
    static const char meta[] =
        SEALED_META("k", ",\"a\":\"\\ud83d\\uDE00\\u20ac\\u00e9\\/\\b\\f\\n\\r\\t\\\"\\\\\"");
    static const char tensors[] =
        " ,\n\"n\" :{\"data_offsets\":[ 0 , 0 ],\"dtype\":\"F32\",\"shape\":[0,9007199254740991]},"
        "\"t\":{\"shape\":[1,2,1,2],\"dtype\":\"U8\",\"data_offsets\":[8,12]},"
        "\"s\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}}\t";
    char header[sizeof meta + sizeof tensors];
    snprintf(header, sizeof header, "%s%s", meta, tensors);
    size_t size;
    unsigned char *bytes = make_sealed(header, 12, &size);
    dumi_reader *reader;
    ck_ok(dumi_reader_open(context, bytes, size, &reader));
    ck_assert_str_eq(dumi_reader_meta(reader, "a"), "\xF0\x9F\x98\x80\xE2\x82\xAC\xC3\xA9/\b\f\n\r\t\"\\");
    ck_assert_int_eq(dumi_reader_find(reader, "s")->rank, 0);
    ck_assert_int_eq(dumi_reader_find(reader, "t")->shape[3], 2);
    ck_assert_uint_eq(dumi_reader_find(reader, "n")->size, 0);
    unsigned char t[4];
    ck_fails(dumi_reader_copy(reader, "t", DUMI_U8, 2, 2, t), DUM_ERR_FORMAT, "shape");
    dumi_reader_close(reader);
    free(bytes);
}
END_TEST

START_TEST(newer_formats)
{
    /* What is new in a newer format must not hide that it is newer. */
    static const char *const tensors[] = {
        "", ",\"a\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]}",
        ",\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,2]}",
        ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"new\":[0,2]}", ",\"a\":[]"};
    char header[300];
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        snprintf(header, sizeof header,
                 "{\"__metadata__\":{\"dum.min_reader\":\"2\",\"dum.writer\":\"libdum 7.0\"}%s}", tensors[i]);
        ck_fails(open_header(header, 2), DUM_ERR_VERSION, "newer library: format 2, written by libdum 7.0");
    }
    ck_fails(open_header("{\"__metadata__\":{\"dum.min_reader\":\"999999\",\"dum.kind\":7}}", 2),
             DUM_ERR_VERSION, "an unknown program");
}
END_TEST

START_TEST(mutated_behind_checksums)
{
    size_t size;
    unsigned char *model = make_model(&size), *bytes = malloc(size);
    static const char pieces[] = "0129\"{}[]:,\\ FIUa\n\x01\xC3\xFF";
    int reached = 0;
    for (size_t at = 0; at < size; at++) {
        for (size_t i = 0; i < sizeof pieces; i++) {
            memcpy(bytes, model, size);
            bytes[at] = (unsigned char)pieces[i];
            reached += seal(bytes, size);
            dumi_reader *reader;
            const dum_status status = dumi_reader_open(context, bytes, size, &reader);
            if (status != DUM_OK) {
                ck_assert(status == DUM_ERR_FORMAT || status == DUM_ERR_VERSION || status == DUM_ERR_CHECKSUM);
                ck_assert_ptr_null(reader);
                continue;
            }
            for (int32_t j = 0; j < reader->tensors; j++) {
                const dumi_tensor *t = &reader->tensor[j];
                void *to = malloc(t->size + 1);
                const dum_status copied = dumi_reader_copy(reader, t->name, t->dtype, t->shape[0],
                                                           t->rank == 2 ? t->shape[1] : 0, to);
                ck_assert(copied == DUM_OK || copied == DUM_ERR_FORMAT);
                free(to);
            }
            dumi_reader_close(reader);
        }
    }
    ck_assert_int_ge(reached, 1000);
    free(bytes);
    dumi_free(context, model);
}
END_TEST

START_TEST(writer_refuses)
{
    dumi_model_writer *writer;
    unsigned char *bytes = NULL;
    size_t size;
    ck_fails(dumi_writer_create(context, "\xFF", &writer), DUM_ERR_ARGUMENT, "UTF-8");
    dumi_writer_destroy(writer);
    ck_ok(dumi_writer_create(context, "test", &writer));
    ck_fails(dumi_writer_meta(writer, "a", "\xED\xA0\x80"), DUM_ERR_ARGUMENT, "UTF-8");
    ck_fails(dumi_writer_meta(writer, "\xC3", "a"), DUM_ERR_ARGUMENT, "UTF-8");
    ck_fails(dumi_writer_tensor(writer, "\x80", DUMI_U8, 2, 0, "xy"), DUM_ERR_ARGUMENT, "UTF-8");
    ck_fails(dumi_writer_meta(writer, "dum.kind", "a"), DUM_ERR_INTERNAL, "twice");
    ck_ok(dumi_writer_tensor(writer, "t", DUMI_U8, 2, 0, "xy"));
    ck_fails(dumi_writer_tensor(writer, "t", DUMI_U8, 2, 0, "xy"), DUM_ERR_INTERNAL, "twice");
    ck_fails(dumi_writer_tensor(writer, "u", DUMI_F64, INT64_MAX, 2, "xy"), DUM_ERR_INTERNAL, "tensor u");
    ck_fails(dumi_writer_tensor(writer, "u", DUMI_F64, -1, 2, "xy"), DUM_ERR_INTERNAL, "tensor u");
    char *names = malloc(DUMI_MAX_HEADER);
    memset(names, 'n', DUMI_MAX_HEADER);
    names[DUMI_MAX_HEADER - 1] = '\0';
    ck_ok(dumi_writer_meta(writer, "dum.features", names));
    ck_fails(dumi_writer_finish(writer, &bytes, &size), DUM_ERR_LIMIT, "shorten the feature names");
    ck_assert_ptr_null(bytes);
    free(names);
    dumi_writer_destroy(writer);
}
END_TEST

START_TEST(longest_header)
{
    dumi_model_writer *writer;
    unsigned char *bytes;
    size_t size;
    const size_t length = DUMI_MAX_HEADER - 1024;
    char *names = malloc(length + 1);
    memset(names, 'n', length);
    names[length] = '\0';
    ck_ok(dumi_writer_create(context, "test", &writer));
    ck_ok(dumi_writer_meta(writer, "dum.features", names));
    ck_ok(dumi_writer_finish(writer, &bytes, &size));
    dumi_writer_destroy(writer);
    dumi_reader *reader;
    ck_ok(dumi_reader_open(context, bytes, size, &reader)); /* what can be written can be read */
    ck_assert(strcmp(dumi_reader_meta(reader, "dum.features"), names) == 0);
    dumi_reader_close(reader);
    dumi_free(context, bytes);
    free(names);
}
END_TEST

START_TEST(inspect)
{
    static const char header[] =
        SEALED_META("scorer.x\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
                    "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9",
                    "") "}";
    size_t size;
    unsigned char *bytes = make_sealed(header, 0, &size);
    ck_ok(dumi_file_write(context, &dumi_file_system, in_folder("m"), bytes, size));
    free(bytes);
    dum_model_info info;
    DUM_INIT(info);
    ck_ok(dum_model_inspect(context, in_folder("m"), &info));
    ck_assert_int_eq(info.format, 1);
    ck_assert_int_eq(info.min_reader, 1);
    ck_assert_str_eq(info.writer, "w");
    ck_assert_str_eq(info.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_uint_eq(strlen(info.kind), 30); /* 8 + 11 * 2: of the next character only half would fit */
    ck_assert(dumi_utf8_valid(info.kind, strlen(info.kind)));
    ck_fails(dum_model_inspect(context, folder, &info), DUM_ERR_IO, "not a regular file");
    ck_fails(dum_model_inspect(context, in_folder("none"), &info), DUM_ERR_IO, "No such file");
    ck_fails(dum_model_inspect(context, in_folder("m"), NULL), DUM_ERR_ARGUMENT, "info");
    info.struct_size = 0;
    ck_fails(dum_model_inspect(context, in_folder("m"), &info), DUM_ERR_ABI, "DUM_INIT");
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
static int unlinks;

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

static int bad_unlink(const char *path)
{
    const int result = dumi_file_system.unlink(path);
    unlinks++;
    errno = ENOENT; /* must not take the place of what went wrong first */
    return result;
}

START_TEST(failing_writes)
{
    static const dumi_file_calls bad = {bad_open, bad_write, bad_fsync, bad_close, bad_rename, bad_unlink};
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
        ck_assert_ptr_nonnull(strstr(dum_error_message(), strerror(EIO)));
        failed++;
    }
    ck_assert_int_ge(failed, 14);
    ck_assert_int_ge(unlinks, 12);
    char deep[128];
    snprintf(deep, sizeof deep, "%s/none/model", folder);
    ck_fails(dumi_file_write(context, &dumi_file_system, deep, old, sizeof old), DUM_ERR_IO, "No such file");
}
END_TEST

static int interruptions;

static bool interrupted(void)
{
    errno = EINTR;
    return interruptions++ % 2 == 0;
}

static int64_t interrupted_write(int file, const void *bytes, size_t size)
{
    return interrupted() ? -1 : dumi_file_system.write(file, bytes, size > 7 ? 7 : size);
}

static int interrupted_fsync(int file)
{
    return interrupted() ? -1 : dumi_file_system.fsync(file);
}

static int interrupted_close(int file)
{
    dumi_file_system.close(file);
    errno = EINTR;
    return -1;
}

static int64_t full_write(int file, const void *bytes, size_t size)
{
    (void)file, (void)bytes, (void)size;
    return 0;
}

START_TEST(interrupted_writes)
{
    dumi_file_calls calls = dumi_file_system;
    calls.write = interrupted_write;
    calls.fsync = interrupted_fsync;
    calls.close = interrupted_close;
    char text[100], path[128];
    memset(text, 't', sizeof text);
    strcpy(path, in_folder("model"));
    const mode_t mask = umask(027);
    ck_ok(dumi_file_write(context, &calls, path, text, sizeof text));
    umask(mask);
    struct stat about;
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_int_eq(about.st_mode & 0777, 0640);
    unsigned char *bytes;
    size_t size;
    ck_ok(dumi_file_read(context, path, sizeof text, &bytes, &size));
    ck_assert_uint_eq(size, sizeof text);
    ck_assert_mem_eq(bytes, text, sizeof text);
    dumi_free(context, bytes);
    calls.write = full_write;
    ck_fails(dumi_file_write(context, &calls, path, text, sizeof text), DUM_ERR_IO, strerror(ENOSPC));
}
END_TEST

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void check_text(const char *path, const char *text)
{
    unsigned char *bytes;
    size_t size;
    ck_ok(dumi_file_read(context, path, 1000, &bytes, &size));
    ck_assert_uint_eq(size, strlen(text));
    ck_assert_mem_eq(bytes, text, size);
    dumi_free(context, bytes);
}

/* What a writer that was killed has left is taken over; what another writes, or what is not ours, is left alone. */
START_TEST(temporary_files_of_others)
{
    char path[128], first[160], second[160];
    strcpy(path, in_folder("model"));
    snprintf(first, sizeof first, "%s.0.tmp", path);
    snprintf(second, sizeof second, "%s.1.tmp", path);
    write_text(first, "half of a longer file that somebody wrote");
    ck_ok(dumi_file_write(context, &dumi_file_system, path, "new", 3));
    check_text(path, "new");
    ck_assert_int_eq(files_in_folder(), 1);

    write_text(first, "other");
    const int file = open(first, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(flock(file, LOCK_EX), 0);
    ck_ok(dumi_file_write(context, &dumi_file_system, path, "newer", 5));
    check_text(path, "newer");
    check_text(first, "other");
    close(file);
    unlink(first);

    ck_assert_int_eq(symlink(path, first), 0);
    write_text(in_folder("linked"), "linked");
    ck_assert_int_eq(link(in_folder("linked"), second), 0);
    ck_ok(dumi_file_write(context, &dumi_file_system, path, "newest", 6));
    check_text(path, "newest");
    check_text(in_folder("linked"), "linked");
    ck_assert_int_eq(files_in_folder(), 4);
    unlink(first);
    unlink(second);
    if (geteuid() == 0) {
        write_text(first, "of user 1");
        ck_assert_int_eq(chown(first, 1, 1), 0);
        ck_ok(dumi_file_write(context, &dumi_file_system, path, "last", 4));
        check_text(first, "of user 1");
        unlink(first);
    }
}
END_TEST

static void make_link(const char *name, const char *target)
{
    ck_assert_int_eq(symlink(target, in_folder(name)), 0);
}

/* What a symbolic link leads to is written, and the link stays. */
START_TEST(links)
{
    char inner[128], path[128];
    struct stat about;
    strcpy(inner, in_folder("inner"));
    ck_assert_int_eq(mkdir(inner, 0700), 0);
    write_text(in_folder("inner/model"), "old");
    strcpy(path, in_folder("inner/model"));
    make_link("relative", "inner/model");
    make_link("absolute", path);
    make_link("inner/up", "../relative");
    make_link("folder", "inner");
    make_link("dangling", "inner/later");
    static const char *const names[] = {"relative", "absolute", "inner/up", "folder/model"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_ok(dumi_file_write(context, &dumi_file_system, in_folder(names[i]), names[i], strlen(names[i])));
        check_text(path, names[i]);
    }
    ck_ok(dumi_file_write(context, &dumi_file_system, in_folder("dangling"), "new", 3));
    check_text(in_folder("inner/later"), "new");
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(lstat(in_folder(names[i]), &about), 0);
        ck_assert(S_ISLNK(about.st_mode));
    }
    make_link("loop", "loop");
    ck_fails(dumi_file_write(context, &dumi_file_system, in_folder("loop"), "x", 1), DUM_ERR_IO,
             strerror(ELOOP));
    make_link("nowhere", "none/model");
    ck_fails(dumi_file_write(context, &dumi_file_system, in_folder("nowhere"), "x", 1), DUM_ERR_IO,
             strerror(ENOENT));
    ck_fails(dumi_file_write(context, &dumi_file_system, in_folder("folder"), "x", 1), DUM_ERR_IO,
             "not a regular file");
    ck_assert_int_eq(files_in_folder(), 7); /* no temporary file */
    static const char *const made[] = {"inner/model", "inner/up", "inner/later"};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        unlink(in_folder(made[i]));
    ck_assert_int_eq(rmdir(inner), 0);
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
    ck_fails(dumi_file_write(context, &dumi_file_system, folder, "x", 1), DUM_ERR_IO, "not a regular file");
    ck_fails(dumi_file_write(context, &dumi_file_system, in_folder("fifo"), "x", 1), DUM_ERR_IO,
             "not a regular file");
    ck_fails(dumi_file_write(context, &dumi_file_system, "", "x", 1), DUM_ERR_IO, "cannot");
    ck_fails(dumi_file_write(context, &dumi_file_system, in_folder("fifo/model"), "x", 1), DUM_ERR_IO,
             "Not a directory");
    if (geteuid() != 0) { /* root may write anywhere */
        ck_assert_int_eq(chmod(folder, 0500), 0);
        ck_fails(dumi_file_write(context, &dumi_file_system, in_folder("model"), "x", 1), DUM_ERR_IO,
                 "Permission denied");
        ck_assert_int_eq(chmod(folder, 0700), 0);
    }
    dumi_npy *npy;
    ck_fails(dumi_npy_open(context, folder, &npy), DUM_ERR_IO, "not a regular file");
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
        size_t element;
        int64_t rows;
        int32_t cols;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }  \n", 1, 4, 3, 2},
        {"{'shape': (3,2),'fortran_order':False,'descr':\"<f4\"}", 2, 4, 3, 2},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (6,), }\n", 3, 4, 6, 1},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 6)}", 1, 4, 1, 6},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }\n", 1, 8, 3, 2},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 1), }", 1, 4, 3, 2},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1, 6, 1), }", 1, 4, 1, 6},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 1, 2, 1), }", 1, 8, 3, 2},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6,), }", 1, 1, 6, 1},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }", 1, 1, 2, 3},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 2, 3), }", 1, 1, 1, 6},
    };
    const float values4[] = {1, 2, 3, 4, 5, 6};
    const double values8[] = {1, 2, 3, 4, 5, 1e300};
    const uint8_t u1[] = {1, 2, 3, 127, 128, 255};
    float f4[6]; /* in the order of files */
    double f8[6];
    dumi_copy_elements(f4, values4, 6, sizeof *f4);
    dumi_copy_elements(f8, values8, 6, sizeof *f8);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char bytes[400];
        const size_t element = cases[i].element;
        const void *elements = element == 8 ? (const void *)f8 : element == 4 ? (const void *)f4 : u1;
        const size_t size = make_npy(bytes, cases[i].version, cases[i].header, elements, 6 * element);
        ck_ok(dumi_file_write(context, &dumi_file_system, in_folder("x.npy"), bytes, size));
        dumi_npy *npy;
        ck_ok(dumi_npy_open(context, in_folder("x.npy"), &npy));
        ck_assert_int_eq(dumi_npy_rows(npy), cases[i].rows);
        ck_assert_int_eq(dumi_npy_cols(npy), cases[i].cols);
        float row[6];
        const int64_t last = cases[i].rows - 1;
        dumi_npy_read(npy, &last, 1, row);
        if (element == 8)
            ck_assert(row[0] == 5 && isinf(row[1]));
        else
            ck_assert(row[cases[i].cols - 1] == (element == 4 ? 6 : 255));
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
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 1, 1, 1), }", "more than 4 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 2, 1), }", "says 3 x 4 but holds 24 bytes"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2, 3), }", "Fortran order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 65536, 65536, 65536), }",
         "more than 2147483647"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4294967296, 0), }", "is 1 x 0"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "0 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 2), }", "bad shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6), }", "bad shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (,), }", "bad shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3 2), }", "bad shape"},
        {"{'descr': '|i1', 'fortran_order': False, 'shape': (24, 1), }", "dtype |i1"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6, 1), }", "says 6 x 1"},
        {"{'descr': '<u4', 'fortran_order': False, 'shape': (3, 2), }", "dtype <u4"},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (3, 4), }", "dtype <f2"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0), }", "at least 1 x 1"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4294967296), }", "more than 2147483647"},
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

/* ---- Out of memory ------------------------------------------------------------------------------ */

static int allocations_left;

static void *scarce_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    void *pointer = NULL;
    return --allocations_left != 0 && posix_memalign(&pointer, align, size) == 0 ? pointer : NULL;
}

static void scarce_free(void *user, void *pointer, size_t size)
{
    (void)user, (void)size;
    free(pointer);
}

static dum_status all_calls(dum_context *scarce)
{
    dumi_model_writer *writer = NULL;
    dumi_reader *reader = NULL;
    dumi_npy *npy = NULL;
    unsigned char *bytes = NULL, *again = NULL;
    size_t size;
    dum_status status;
    DUMI_GO(dumi_writer_create(scarce, "test", &writer));
    DUMI_GO(dumi_writer_tensor(writer, "w", DUMI_F32, 2, 3, weights));
    DUMI_GO(dumi_writer_finish(writer, &bytes, &size));
    DUMI_GO(dumi_file_write(scarce, &dumi_file_system, in_folder("m"), bytes, size));
    DUMI_GO(dumi_file_read(scarce, in_folder("m"), 1 << 20, &again, &size));
    DUMI_GO(dumi_reader_open(scarce, again, size, &reader));
    DUMI_GO(dumi_npy_open(scarce, in_folder("x.npy"), &npy));
done:
    dumi_npy_close(npy);
    dumi_reader_close(reader);
    dumi_free(scarce, again);
    dumi_free(scarce, bytes);
    dumi_writer_destroy(writer);
    return status;
}

START_TEST(out_of_memory)
{
    unsigned char file[200];
    const size_t size = make_npy(file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }",
                                 weights, sizeof weights);
    ck_ok(dumi_file_write(context, &dumi_file_system, in_folder("x.npy"), file, size));
    dum_context_options options;
    DUM_INIT(options);
    options.alloc = scarce_alloc;
    options.free = scarce_free;
    options.backend = "ref";
    options.threads = 1;
    dum_context *scarce;
    allocations_left = -1;
    ck_ok(dum_context_create(&options, &scarce));
    const uint64_t before = dum_context_bytes(scarce);
    int failed = 0;
    for (;; failed++) {
        allocations_left = failed + 1;
        const dum_status status = all_calls(scarce);
        ck_assert_uint_eq(dum_context_bytes(scarce), before);
        if (status == DUM_OK)
            break;
        ck_assert_int_eq(status, DUM_ERR_NOMEM);
    }
    ck_assert_int_ge(failed, 14);
    dum_context_destroy(scarce);
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
    tcase_add_test(cases, reads_other_writers);
    tcase_add_test(cases, newer_formats);
    tcase_add_test(cases, mutated_behind_checksums);
    tcase_add_test(cases, writer_refuses);
    tcase_add_test(cases, longest_header);
    tcase_add_test(cases, inspect);
    tcase_add_test(cases, nonfinite_tensor);
    tcase_add_test(cases, failing_writes);
    tcase_add_test(cases, interrupted_writes);
    tcase_add_test(cases, temporary_files_of_others);
    tcase_add_test(cases, links);
    tcase_add_test(cases, odd_paths);
    tcase_add_test(cases, npy_reads);
    tcase_add_test(cases, npy_refuses);
    tcase_add_test(cases, out_of_memory);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
