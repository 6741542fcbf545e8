/* SPDX-License-Identifier: MIT
 * Weights by torchvision's names: the same numbers as torchvision's networks (tests/reference/resnet.py), out and in
 * again, and files that do not fit. */
#define _GNU_SOURCE
#include "../harness.h"
#include "../reference/resnet_reference.h"
#include "encoder/encoder.h"
#include "io/io.h"

#include <stdio.h>
#include <unistd.h>

enum { PIXELS = RESNET_SIZE * RESNET_SIZE * 3 };

static char path[] = "/tmp/dum-exchange-XXXXXX", other[] = "/tmp/dum-exchange-XXXXXX";
static float images[2 * PIXELS];
static char lines[4][200];
static int line_count;

static double uniform(const char *name, uint64_t index)
{
    uint32_t seed = 2166136261u;
    for (const char *c = name; *c != '\0'; c++)
        seed = (seed ^ (unsigned char)*c) * 16777619u;
    uint32_t x = (uint32_t)(index * 2654435761u + seed);
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    x ^= x >> 16;
    return x / 4294967296.0;
}

static void keep_line(void *user, int32_t level, int32_t code, const char *line)
{
    (void)user;
    (void)level;
    if (code == DUM_LOG_IMPORT && line_count < 4)
        snprintf(lines[line_count], sizeof lines[0], "%s", line);
    line_count += code == DUM_LOG_IMPORT;
}

static dum_context *open_context(void)
{
    dum_context_options options;
    DUM_INIT(options);
    options.threads = 2;
    options.log = keep_line;
    dum_context *context;
    ck_ok(dum_context_create(&options, &context));
    return context;
}

static void setup(void)
{
    close(mkstemp(path));
    close(mkstemp(other));
    for (int i = 0; i < 2 * PIXELS; i++) {
        char name[16];
        snprintf(name, sizeof name, "image %d", i / PIXELS);
        images[i] = (float)floor(256 * uniform(name, (uint64_t)(i % PIXELS)));
    }
}

static void teardown(void)
{
    unlink(path);
    unlink(other);
}

/* What a file is to be: a prefix before each name, half precision, and what is wrong with it. */
typedef struct {
    const char *prefix, *skip, *extra, *wider;
    float poison; /* into conv1.weight where not 0 */
    int half;     /* 1: values that half precision can hold; 2: in half precision */
    bool second;  /* the names of SimCLR v2 */
} variant;

/* As a network of SimCLR v2 has its modules one after the other: convolution, batch norm with activation. */
static void second_name(const char *name, char *out, size_t capacity)
{
    static const int blocks[] = {3, 4, 6, 3};
    char theirs[64], ours[64];
    for (int stage = 0; stage <= 4; stage++)
        for (int block = 0; block < (stage > 0 ? blocks[stage - 1] : 1); block++)
            for (int place = 0; place < (stage > 0 ? 8 : 2); place++) {
                const int number = place / 2 + 1, is_norm = place % 2;
                if (stage == 0) {
                    snprintf(theirs, sizeof theirs, "%s1.", is_norm ? "bn" : "conv");
                    snprintf(ours, sizeof ours, "net.0.%d.%s", place, is_norm ? "0." : "");
                } else if (number == 4) {
                    snprintf(theirs, sizeof theirs, "layer%d.%d.downsample.%d.", stage, block, is_norm);
                    snprintf(ours, sizeof ours, "net.%d.blocks.%d.projection.%s", stage, block,
                             is_norm ? "bn.0." : "shortcut.");
                } else {
                    snprintf(theirs, sizeof theirs, "layer%d.%d.%s%d.", stage, block, is_norm ? "bn" : "conv",
                             number);
                    snprintf(ours, sizeof ours, "net.%d.blocks.%d.net.%d.%s", stage, block, place,
                             is_norm ? "0." : "");
                }
                if (strncmp(name, theirs, strlen(theirs)) == 0) {
                    snprintf(out, capacity, "%s%s", ours, name + strlen(theirs));
                    return;
                }
            }
    snprintf(out, capacity, "%s", name);
}

static float *put(dumi_model_writer *writer, const variant *v, const char *name, int32_t rank,
                  const int64_t *shape, float *at)
{
    size_t count = 1, inner = 1;
    for (int32_t i = 0; i < rank; i++) {
        count *= (size_t)shape[i];
        inner *= i > 0 ? (size_t)shape[i] : 1;
    }
    const bool norm = strstr(name, "bn") != NULL || strstr(name, "downsample.1") != NULL;
    for (size_t i = 0; i < count; i++) {
        const double u = uniform(name, i);
        at[i] = (float)(strstr(name, "running_var") != NULL                    ? 0.8 + 0.4 * u
                        : norm && rank == 1 && strstr(name, ".weight") != NULL ? 0.9 + 0.2 * u
                        : rank == 1                                            ? 0.2 * u - 0.1
                                    : (u - 0.5) * sqrt(12 / (double)inner));
    }
    static uint16_t narrow[1 << 22];
    for (size_t i = 0; i < count && v->half > 0; i++) {
        uint32_t bits;
        memcpy(&bits, &at[i], sizeof bits);
        bits &= 0xffff0000u;
        memcpy(&at[i], &bits, sizeof bits);
        narrow[i] = (uint16_t)(bits >> 16);
        if (norm && strstr(name, ".weight") != NULL) /* near 1: float16 has these bits, too */
            narrow[i] = (uint16_t)((bits >> 23 == 127 ? 15u : 14u) << 10 | (bits >> 13 & 1023u));
    }
    if (v->poison != 0 && strcmp(name, "conv1.weight") == 0)
        at[5] = v->poison;
    int64_t own[4];
    memcpy(own, shape, (size_t)rank * sizeof *own);
    if (v->wider != NULL && strcmp(name, v->wider) == 0)
        own[0] -= 1;
    char full[128], second[112];
    second_name(name, second, sizeof second);
    snprintf(full, sizeof full, "%s%s", v->prefix, v->second ? second : name);
    if (v->skip == NULL || strcmp(v->skip, name) != 0)
        ck_ok(v->half == 2 ? dumi_writer_shaped(writer, full,
                                                norm && strstr(name, ".weight") != NULL ? DUMI_F16 : DUMI_BF16,
                                                rank, own, memcpy(at, narrow, count * sizeof *narrow))
                           : dumi_writer_shaped(writer, full, DUMI_F32, rank, own, at));
    return at + count;
}

static void write_file(dum_context *context, int32_t depth, const variant *v)
{
    static dumi_network n;
    ck_ok(dumi_resnet(&n, depth, DUMI_STEM_LARGE, 64, (dumi_tensor_shape){RESNET_SIZE, RESNET_SIZE, 3}));
    n.logits = dumi_network_layer(&n, RESNET_CLASSES, "fc");
    float *memory = malloc((n.parameters + n.statistics + 8) * sizeof *memory), *at = memory;
    dumi_model_writer *writer;
    unsigned char *bytes;
    size_t size;
    ck_ok(dumi_writer_create(context, "weights", &writer));
    for (int32_t i = 0; i < n.units; i++) {
        const dumi_unit *u = &n.unit[i];
        if (!dumi_unit_has_weights(u))
            continue;
        const bool conv = u->kind == DUMI_UNIT_CONV;
        const int64_t shape[] = {u->shape.outputs, u->shape.cols, u->shape.kernel, u->shape.kernel};
        static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
        char name[96];
        snprintf(name, sizeof name, "%s.weight", u->name);
        at = put(writer, v, name, conv ? 4 : 2, shape, at);
        for (int k = conv ? 0 : 1; k < (conv ? 4 : 2); k++) {
            snprintf(name, sizeof name, "%s.%s", conv ? u->norm_name : u->name, parts[k]);
            at = put(writer, v, name, 1, shape, at);
        }
        if (conv) {
            static const int64_t zero = 0;
            snprintf(name, sizeof name, "%s%s.num_batches_tracked", v->prefix, u->norm_name);
            ck_ok(dumi_writer_shaped(writer, name, DUMI_I64, 0, NULL, &zero));
        }
    }
    static const float extra = 1;
    if (v->extra != NULL)
        ck_ok(dumi_writer_tensor(writer, v->extra, DUMI_F32, 1, 0, &extra));
    ck_ok(dumi_writer_finish(writer, &bytes, &size));
    ck_ok(dumi_save_bytes(context, path, bytes, size));
    dumi_writer_destroy(writer);
    free(memory);
}

static dum_encoder *make(dum_context *context, int32_t depth)
{
    dum_encoder *encoder;
    ck_ok(dum_encoder_create(context, "resnet", &encoder));
    ck_ok(dum_encoder_set_number(encoder, "depth", depth));
    ck_ok(dum_encoder_set_text(encoder, "stem", "large"));
    ck_ok(dum_encoder_set_number(encoder, "height", RESNET_SIZE));
    ck_ok(dum_encoder_set_number(encoder, "width", RESNET_SIZE));
    return encoder;
}

static void check(const float *ours, const double *expected, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)ours[i] - expected[i]) <= 1e-4 * (1 + fabs(expected[i])),
                      "%d: %.9g, torchvision %.9g", i, (double)ours[i], expected[i]);
}

START_TEST(outputs_are_torchvisions)
{
    dum_context *context = open_context();
    const int32_t depth = resnets[_i].depth, cols = depth == 50 ? 2048 : 512;
    dum_encoder *encoder = make(context, depth), *again = make(context, depth);
    static float out[2 * 2048], exported[2 * 2048];
    write_file(context, depth, &(variant){.prefix = _i == 1 ? "module.encoder." : ""});
    ck_ok(dum_encoder_import(encoder, path, "torchvision"));
    ck_assert_int_eq(dum_encoder_embedding_cols(encoder, PIXELS), cols);
    ck_ok(dum_encoder_embed(encoder, images, 2, PIXELS, 0, out));
    for (int image = 0; image < 2; image++)
        check(out + (ptrdiff_t)image * cols, resnets[_i].features[image], RESNET_SHOWN);
    ck_ok(dum_encoder_export(encoder, other));
    ck_ok(dum_encoder_import(again, other, "simclr")); /* the file's own normalisation goes before */
    ck_ok(dum_encoder_embed(again, images, 2, PIXELS, 0, exported));
    ck_assert_mem_eq(out, exported, sizeof(float) * 2 * (size_t)cols);
    ck_ok(dum_encoder_set_text(encoder, "output", "logits"));
    ck_ok(dum_encoder_embed(encoder, images, 2, PIXELS, 0, out));
    for (int image = 0; image < 2; image++)
        check(out + (ptrdiff_t)image * RESNET_CLASSES, resnets[_i].logits[image], RESNET_CLASSES);
    dum_encoder_destroy(encoder);
    dum_encoder_destroy(again);
    dum_context_destroy(context);
}
END_TEST

/* The same weights by v2's names are the same network. */
START_TEST(second_simclr)
{
    dum_context *context = open_context();
    dum_encoder *first = make(context, 50), *second = make(context, 50);
    static float out[2][2048];
    char name[112];
    second_name("layer3.5.bn2.running_var", name, sizeof name); /* as in a file of r50_1x_sk0 */
    ck_assert_str_eq(name, "net.3.blocks.5.net.3.0.running_var");
    write_file(context, 50, &(variant){.prefix = ""});
    ck_ok(dum_encoder_import(first, path, "simclr"));
    write_file(context, 50, &(variant){.prefix = "resnet.", .second = true});
    ck_fails(dum_encoder_import(second, path, "torchvision"), DUM_ERR_FORMAT, "no tensor conv1.weight");
    ck_ok(dum_encoder_import(second, path, "simclr"));
    ck_ok(dum_encoder_embed(first, images, 1, PIXELS, 0, out[0]));
    ck_ok(dum_encoder_embed(second, images, 1, PIXELS, 0, out[1]));
    ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
    write_file(context, 50, &(variant){.prefix = "", .second = true, .skip = "layer1.0.downsample.0.weight"});
    ck_fails(dum_encoder_import(second, path, "simclr"), DUM_ERR_FORMAT,
             "1 tensors missing, 0 unexpected, 0 mis-shaped; net.1.blocks.0.projection.shortcut.weight");
    write_file(context, 50,
               &(variant){.prefix = "", .second = true, .extra = "net.1.blocks.0.net.2.mixing_conv.0.weight"});
    ck_fails(dum_encoder_import(second, path, "simclr"), DUM_ERR_UNSUPPORTED, "selective kernels");
    dum_encoder_destroy(first);
    dum_encoder_destroy(second);
    dum_context_destroy(context);
}
END_TEST

static void refuse(dum_context *context, dum_encoder *encoder, const variant *v, const char *text, int wanted)
{
    write_file(context, 18, v);
    line_count = 0;
    ck_fails(dum_encoder_import(encoder, path, "torchvision"), DUM_ERR_FORMAT, text);
    ck_assert_int_eq(line_count, wanted);
}

START_TEST(files_that_do_not_fit)
{
    dum_context *context = open_context();
    dum_encoder *encoder = make(context, 18), *mlp;
    float out[512];
    refuse(context, encoder, &(variant){.prefix = "", .skip = "layer2.0.bn1.bias"},
           "1 tensors missing, 0 unexpected, 0 mis-shaped; layer2.0.bn1.bias is missing", 1);
    ck_assert_str_eq(lines[0], "import: missing      layer2.0.bn1.bias");
    refuse(context, encoder, &(variant){.prefix = "", .extra = "layer9.conv"},
           "0 tensors missing, 1 unexpected", 1);
    refuse(context, encoder, &(variant){.prefix = "", .wider = "layer1.0.conv1.weight"},
           "0 tensors missing, 0 unexpected, 1 mis-shaped", 1);
    ck_assert_str_eq(
        lines[0], "import: mis-shaped   layer1.0.conv1.weight: F32 63 x 64 x 3 x 3, expected 64 x 64 x 3 x 3");
    refuse(context, encoder, &(variant){.prefix = "", .poison = NAN}, "conv1.weight holds NaN", 0);
    refuse(context, encoder, &(variant){.prefix = "", .skip = "conv1.weight"}, "no tensor conv1.weight", 0);
    write_file(context, 34, &(variant){.prefix = ""});
    ck_fails(dum_encoder_import(encoder, path, "torchvision"), DUM_ERR_FORMAT, "unexpected");
    ck_fails(dum_encoder_import(encoder, path, "timm"), DUM_ERR_ARGUMENT, "expected torchvision or simclr");
    ck_fails(dum_encoder_import(encoder, "/nowhere/x", "simclr"), DUM_ERR_IO, "/nowhere/x");
    ck_fails(dum_encoder_embed(encoder, images, 1, PIXELS, 0, out), DUM_ERR_STATE, "not fitted");
    ck_ok(dum_encoder_create(context, "mlp", &mlp));
    ck_fails(dum_encoder_import(mlp, path, "simclr"), DUM_ERR_UNSUPPORTED, "mlp");
    dum_encoder_destroy(mlp);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* A normalisation that no float holds is none: torchvision's takes its place. */
START_TEST(normalisation_out_of_range)
{
    dum_context *context = open_context();
    dum_encoder *encoder = make(context, 18);
    static float out[512], again[512];
    static const char key[] = "dum.encoder.scale\":\"";
    unsigned char *bytes;
    size_t size;
    write_file(context, 18, &(variant){.prefix = ""});
    ck_ok(dum_encoder_import(encoder, path, "torchvision"));
    ck_ok(dum_encoder_embed(encoder, images, 1, PIXELS, 0, out));
    ck_ok(dum_encoder_export(encoder, other));
    ck_ok(dumi_file_read(context, other, UINT64_MAX, &bytes, &size));
    size_t at = 0;
    while (memcmp(bytes + at, key, sizeof key - 1) != 0)
        ck_assert_uint_lt(++at, 4096);
    memcpy(bytes + at + sizeof key - 1, "9e88 ", 5);
    ck_ok(dumi_save_bytes(context, other, bytes, size));
    ck_ok(dum_encoder_import(encoder, other, "torchvision"));
    ck_ok(dum_encoder_embed(encoder, images, 1, PIXELS, 0, again));
    ck_assert_mem_eq(out, again, sizeof out);
    dum_encoder_destroy(encoder);
    dum_context_destroy(context);
}
END_TEST

/* Half precision: bytes as another program writes them, in its own order, with a gap. */
START_TEST(half_precision_is_widened)
{
    dum_context *context = open_context();
    static const char header[] = "{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                                 "\"a\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[0,6]}}";
    unsigned char bytes[256] = {(unsigned char)(sizeof header - 1)};
    static const unsigned char data[12] = {0x00, 0x3c, 0x01, 0x00, 0x00, 0xc5, 0, 0, 0x80, 0x3f, 0x20, 0xc1};
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(bytes + 8 + sizeof header - 1, data, sizeof data);
    dumi_reader *reader;
    ck_ok(dumi_reader_open_foreign(context, bytes, 8 + sizeof header - 1 + sizeof data, &reader));
    ck_assert_int_eq(dumi_reader_find(reader, "a")->shape[0], 3);
    ck_assert_int_eq(dumi_reader_find(reader, "b")->dtype, DUMI_BF16);
    dumi_reader_close(reader);
    float out[2][2 * 512];
    dum_encoder *encoder = make(context, 18);
    for (int half = 1; half <= 2; half++) {
        write_file(context, 18, &(variant){.prefix = "", .half = half});
        ck_ok(dum_encoder_import(encoder, path, "torchvision"));
        ck_ok(dum_encoder_embed(encoder, images, 2, PIXELS, 0, out[half - 1]));
    }
    ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
    dum_encoder_destroy(encoder);
    ck_fails(dumi_reader_open(context, bytes, 8 + sizeof header - 1 + sizeof data, &reader), DUM_ERR_FORMAT,
             "");
    dum_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exchange");
    TCase *cases = tcase_create("exchange");
    tcase_set_timeout(cases, 600);
    tcase_add_unchecked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, outputs_are_torchvisions, 0, 3);
    tcase_add_test(cases, second_simclr);
    tcase_add_test(cases, files_that_do_not_fit);
    tcase_add_test(cases, normalisation_out_of_range);
    tcase_add_test(cases, half_precision_is_widened);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
