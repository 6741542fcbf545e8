/* SPDX-License-Identifier: MIT
 * Weights by the names that PyTorch programs know: safetensors files with torchvision's layout, in and out. Theirs
 * have outputs first (outputs x inputs x height x width), ours last. */
#include "encoder/encoder.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME = 96, PARTS = 6 };

/* A tensor of the file, and where it lies in the model: at[o + outputs (i + inputs tap)] of ours is
 * theirs[(o inputs + i) taps + tap]. */
typedef struct {
    char name[NAME];
    int32_t rank;
    int64_t shape[4];
    float *at;
} place;

static place vector(const char *layer, const char *part, int64_t count, float *at)
{
    place p = {.rank = 1, .shape = {count}, .at = at};
    snprintf(p.name, sizeof p.name, "%s.%s", layer, part);
    return p;
}

/* The tensors of a unit. */
static int32_t places_of(const dumi_encoder_model *m, const dumi_unit *u, place *out)
{
    const dumi_conv_shape *s = &u->shape;
    int32_t count = 0;
    if (!dumi_unit_has_weights(u))
        return 0;
    const bool conv = u->kind == DUMI_UNIT_CONV;
    place weights = {.rank = conv ? 4 : 2,
                     .shape = {s->outputs, s->cols, s->kernel, s->kernel},
                     .at = m->parameters + u->weights};
    snprintf(weights.name, sizeof weights.name, "%s.weight", u->name);
    out[count++] = weights;
    out[count++] = vector(conv ? u->norm_name : u->name, "bias", s->outputs, m->parameters + u->beta);
    if (!conv)
        return count;
    out[count++] = vector(u->norm_name, "weight", s->outputs, m->parameters + u->gamma);
    out[count++] = vector(u->norm_name, "running_mean", s->outputs, m->statistics + u->mean);
    out[count++] = vector(u->norm_name, "running_var", s->outputs, m->statistics + u->variance);
    return count;
}

static size_t taps_of(const place *p)
{
    return p->rank == 4 ? (size_t)(p->shape[2] * p->shape[3]) : 1;
}

static size_t inputs_of(const place *p)
{
    return p->rank > 1 ? (size_t)p->shape[1] : 1;
}

static size_t size_of(const place *p)
{
    return (size_t)p->shape[0] * inputs_of(p) * taps_of(p);
}

/* Their index of our element. */
static size_t theirs_of(const place *p, size_t ours)
{
    const size_t outputs = (size_t)p->shape[0], inputs = inputs_of(p), taps = taps_of(p);
    const size_t o = ours % outputs, i = ours / outputs % inputs, tap = ours / outputs / inputs;
    return (o * inputs + i) * taps + tap;
}

/* ---- In ----------------------------------------------------------------------------------- */

typedef struct {
    dum_encoder *encoder;
    const dumi_reader *reader;
    size_t prefix; /* bytes that all names share before the layer's */
    bool second;   /* the names of SimCLR v2 */
    bool used[DUMI_MAX_TENSORS];
    int32_t missing, unexpected, misshapen;
    char first[NAME + 32];
} import;

/* Is `stem` the name of the first convolution, behind a prefix? */
static bool find_stem(import *in, const char *stem)
{
    const dumi_reader *r = in->reader;
    for (int32_t i = 0; i < r->tensors; i++) {
        const char *name = r->tensor[i].name;
        const size_t length = strlen(name), wanted = strlen(stem);
        if (length < wanted || strcmp(name + (length - wanted), stem) != 0 || strstr(name, "layer") != NULL ||
            strstr(name, "blocks.") != NULL)
            continue;
        if (length == wanted || name[length - wanted - 1] == '.') {
            in->prefix = length - wanted;
            return true;
        }
    }
    return false;
}

static dum_status find_prefix(import *in, bool simclr)
{
    if (find_stem(in, "conv1.weight"))
        return DUM_OK;
    in->second = simclr && find_stem(in, "net.0.0.weight");
    DUMI_REQUIRE(in->second, DUM_ERR_FORMAT, "the file has no tensor conv1.weight%s: not a ResNet by %s names",
                 simclr ? " or net.0.0.weight" : "", simclr ? "SimCLR's" : "torchvision's");
    for (int32_t i = 0; i < in->reader->tensors; i++)
        DUMI_REQUIRE(strstr(in->reader->tensor[i].name, "mixing_conv") == NULL, DUM_ERR_UNSUPPORTED,
                     "tensor %.80s: selective kernels are not supported, expected a checkpoint with sk0",
                     in->reader->tensor[i].name);
    return DUM_OK;
}

/* Behind torchvision's `part` (conv2., downsample.1.), if the name begins with it. */
static const char *after(const char *name, const char *part)
{
    const size_t length = strlen(part);
    return strncmp(name, part, length) == 0 ? name + length : NULL;
}

/* From torchvision's names to those of SimCLR v2 (Chen et al. 2020b) as converted to PyTorch: modules by their place
 * in a sequence, where an activation takes one, too. */
static void rename_second(char *name)
{
    char old[NAME], at[NAME] = "net.0.";
    const char *part = memcpy(old, name, NAME), *rest;
    bool block = false;
    if (after(old, "layer") != NULL) {
        char *end;
        const long stage = strtol(old + strlen("layer"), &end, 10), index = strtol(end + 1, &end, 10);
        snprintf(at, sizeof at, "net.%ld.blocks.%ld.", stage, index);
        part = end + 1;
        block = true;
    }
    if ((rest = after(part, "downsample.0.")) != NULL)
        snprintf(name, NAME, "%sprojection.shortcut.%s", at, rest);
    else if ((rest = after(part, "downsample.1.")) != NULL)
        snprintf(name, NAME, "%sprojection.bn.0.%s", at, rest);
    else if ((rest = after(part, "conv")) != NULL)
        snprintf(name, NAME, "%s%s%d%s", at, block ? "net." : "", 2 * (*rest - '1'), rest + 1);
    else if ((rest = after(part, "bn")) != NULL)
        snprintf(name, NAME, "%s%s%d.0%s", at, block ? "net." : "", 2 * (*rest - '1') + 1, rest + 1);
}

static int32_t places_in(const import *in, const dumi_encoder_model *m, const dumi_unit *u, place *out)
{
    const int32_t count = places_of(m, u, out);
    for (int32_t k = 0; k < count && in->second; k++)
        rename_second(out[k].name);
    return count;
}

static int32_t find(const import *in, const char *name)
{
    for (int32_t i = 0; i < in->reader->tensors; i++) {
        const char *theirs = in->reader->tensor[i].name;
        if (strlen(theirs) > in->prefix && strcmp(theirs + in->prefix, name) == 0)
            return i;
    }
    return -1;
}

static void complain(import *in, int32_t *count, const char *what, const char *name)
{
    ++*count;
    if (in->missing + in->unexpected + in->misshapen == 1)
        snprintf(in->first, sizeof in->first, "%.90s is %s", name, what);
    dumi_log(in->encoder->context, DUM_LOG_ERROR, DUM_LOG_IMPORT, "import: %-12s %s", what, name);
}

static void show_shape(int32_t rank, const int64_t *shape, char *out, size_t capacity)
{
    size_t at = 0;
    out[0] = '\0';
    for (int32_t i = 0; i < rank && at < capacity; i++)
        at += (size_t)snprintf(out + at, capacity - at, i > 0 ? " x %lld" : "%lld", (long long)shape[i]);
}

static void check_place(import *in, const place *p)
{
    const int32_t at = find(in, p->name);
    if (at < 0) {
        complain(in, &in->missing, "missing", p->name);
        return;
    }
    const dumi_tensor *t = &in->reader->tensor[at];
    const bool floats = t->dtype == DUMI_F32 || t->dtype == DUMI_F16 || t->dtype == DUMI_BF16;
    in->used[at] = true;
    if (floats && t->rank == p->rank && memcmp(t->shape, p->shape, (size_t)p->rank * sizeof *p->shape) == 0)
        return;
    char ours[64], theirs[64], line[NAME + 192];
    show_shape(p->rank, p->shape, ours, sizeof ours);
    show_shape(t->rank, t->shape, theirs, sizeof theirs);
    snprintf(line, sizeof line, "%s: %s %s, expected %s", p->name, dumi_dtype_name(t->dtype), theirs, ours);
    complain(in, &in->misshapen, "mis-shaped", line);
}

static bool counts_batches(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot, ".num_batches_tracked") == 0;
}

static dum_status check_all(import *in, const dumi_encoder_model *m)
{
    place places[PARTS];
    for (int32_t i = 0; i < m->network.units; i++)
        for (int32_t k = places_in(in, m, &m->network.unit[i], places); k > 0; k--)
            check_place(in, &places[k - 1]);
    for (int32_t i = 0; i < in->reader->tensors; i++)
        if (!in->used[i] && !counts_batches(in->reader->tensor[i].name))
            complain(in, &in->unexpected, "unexpected", in->reader->tensor[i].name);
    DUMI_REQUIRE(
        in->missing + in->unexpected + in->misshapen == 0, DUM_ERR_FORMAT,
        "the file does not fit: %d tensors missing, %d unexpected, %d mis-shaped; %s; the log names all",
        in->missing, in->unexpected, in->misshapen, in->first);
    return DUM_OK;
}

/* IEEE half precision. */
static float half_value(uint16_t half)
{
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    const double size = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                        : exponent == 0 ? ldexp(fraction, -24)
                                        : ldexp(1024 + fraction, exponent - 25);
    return (float)(half >> 15 ? -size : size);
}

static float element(const dumi_tensor *t, size_t index)
{
    const size_t size = dumi_dtype_size(t->dtype);
    uint32_t wide;
    uint16_t half;
    float value;
    if (t->dtype == DUMI_F32) {
        dumi_copy_elements(&value, (const char *)t->data + index * size, 1, size);
        return value;
    }
    dumi_copy_elements(&half, (const char *)t->data + index * size, 1, size);
    if (t->dtype == DUMI_F16)
        return half_value(half);
    wide = (uint32_t)half << 16;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static dum_status copy_place(const import *in, const place *p)
{
    const dumi_tensor *t = &in->reader->tensor[find(in, p->name)];
    const bool variance = strstr(p->name, "running_var") != NULL;
    for (size_t i = 0; i < size_of(p); i++) {
        const float value = element(t, theirs_of(p, i));
        DUMI_REQUIRE(isfinite(value), DUM_ERR_FORMAT, "tensor %s holds NaN or infinity", p->name);
        DUMI_REQUIRE(!variance || value >= 0, DUM_ERR_FORMAT, "tensor %s holds a negative number", p->name);
        p->at[i] = value;
    }
    return DUM_OK;
}

static const char SHIFT[] = "dum.encoder.shift", SCALE[] = "dum.encoder.scale";

/* "a b c" of a file that we exported. */
static bool read_numbers(const char *text, int32_t count, float *out)
{
    for (int32_t i = 0; text != NULL && i < count; i++) {
        char number[40];
        const size_t length = strcspn(text, " ");
        double value;
        if (length >= sizeof number)
            return false;
        memcpy(number, text, length);
        number[length] = '\0';
        if (!dumi_parse_number(number, &value) || !(fabs(value) <= (double)FLT_MAX))
            return false;
        out[i] = (float)value;
        text += length + (text[length] == ' ');
    }
    return text != NULL;
}

static void set_scaling(const import *in, dumi_encoder_model *m, bool simclr)
{
    static const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
    if (read_numbers(dumi_reader_meta(in->reader, SHIFT), m->channels, m->shift) &&
        read_numbers(dumi_reader_meta(in->reader, SCALE), m->channels, m->scale))
        return;
    for (int32_t j = 0; j < m->channels; j++) {
        m->shift[j] = simclr ? 0 : (float)(255 * mean[j % 3]);
        m->scale[j] = simclr ? (float)(1 / 255.0) : (float)(1 / (255 * deviation[j % 3]));
    }
}

/* The heads are those that the file has. */
static dum_status make_model(import *in, double *values, bool simclr, dumi_encoder_model **out)
{
    const int32_t fc = find(in, "fc.weight"), projection = find(in, "projection.2.weight");
    const dumi_tensor *t = in->reader->tensor;
    const int64_t classes = fc >= 0 && t[fc].rank == 2 ? t[fc].shape[0] : 0;
    DUMI_REQUIRE(classes <= 65536, DUM_ERR_FORMAT, "tensor fc.weight has %lld classes, expected 65536 at most",
                 (long long)classes);
    values[DUMI_E_OBJECTIVE] = projection >= 0 ? DUMI_SIMCLR : DUMI_SUPERVISED;
    values[DUMI_E_UNCERTAINTY] = values[DUMI_E_ROTATION] = values[DUMI_E_FROZEN] = 0;
    if (projection >= 0 && t[projection].rank == 2 && t[projection].shape[0] >= 1 &&
        t[projection].shape[0] <= 65536)
        values[DUMI_E_PROJECTION] = (double)t[projection].shape[0];
    const double cols = values[DUMI_E_HEIGHT] * values[DUMI_E_WIDTH] * values[DUMI_E_CHANNELS];
    dumi_encoder_model *m;
    DUMI_TRY(dumi_encoder_model_create(in->encoder->context, DUMI_RESNET, values, (int32_t)cols,
                                       (int32_t)classes, 0, &m));
    *out = m;
    DUMI_TRY(check_all(in, m));
    place places[PARTS];
    for (int32_t i = 0; i < m->network.units; i++)
        for (int32_t k = places_in(in, m, &m->network.unit[i], places); k > 0; k--)
            DUMI_TRY(copy_place(in, &places[k - 1]));
    set_scaling(in, m, simclr);
    return dumi_encoder_model_finish(m);
}

static dum_status import_bytes(dum_encoder *encoder, const unsigned char *bytes, size_t size, bool simclr)
{
    dumi_reader *reader = NULL;
    dumi_encoder_model *model = NULL;
    import *in = NULL;
    double values[DUMI_ENCODER_PARAMS];
    dum_status status;
    memcpy(values, encoder->values, sizeof values);
    DUMI_GO(dumi_reader_open_foreign(encoder->context, bytes, size, &reader));
    DUMI_GO(DUMI_NEW(encoder->context, in, 1));
    memset(in, 0, sizeof *in);
    in->encoder = encoder;
    in->reader = reader;
    DUMI_GO(find_prefix(in, simclr));
    DUMI_GO(make_model(in, values, simclr, &model));
    dumi_encoder_model_destroy(encoder->model);
    encoder->model = model;
    model = NULL;
    memcpy(encoder->values, values, sizeof values);
done:
    dumi_encoder_model_destroy(model);
    dumi_free(encoder->context, in);
    dumi_reader_close(reader);
    return status;
}

static dum_status check_resnet(const dum_encoder *encoder)
{
    DUMI_NOT_NULL(encoder);
    DUMI_REQUIRE(encoder->kind == DUMI_RESNET, DUM_ERR_UNSUPPORTED,
                 "encoder %s has no weights by torchvision's names, expected resnet",
                 dumi_encoder_kind_name(encoder->kind));
    return DUM_OK;
}

dum_status dum_encoder_import(dum_encoder *encoder, const char *path, const char *names)
{
    dumi_clear_error();
    DUMI_TRY(check_resnet(encoder));
    DUMI_NOT_NULL(path);
    DUMI_NOT_NULL(names);
    const bool simclr = strcmp(names, "simclr") == 0;
    DUMI_REQUIRE(simclr || strcmp(names, "torchvision") == 0, DUM_ERR_ARGUMENT,
                 "names is \"%.40s\", expected torchvision or simclr", names);
    DUMI_REQUIRE(atomic_load(&encoder->references) == 1, DUM_ERR_STATE,
                 "the encoder is below a scorer: import into another");
    unsigned char *bytes;
    size_t size;
    DUMI_TRY(dumi_file_read(encoder->context, path, UINT64_MAX, &bytes, &size));
    const dum_status status = import_bytes(encoder, bytes, size, simclr);
    dumi_free(encoder->context, bytes);
    return status;
}

/* ---- Out ---------------------------------------------------------------------------------- */

static dum_status write_numbers(dumi_model_writer *writer, const char *key, int32_t count, const float *values)
{
    char text[128] = "";
    for (int32_t i = 0; i < count; i++) {
        const size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%s", i > 0 ? " " : "", dumi_show((double)values[i]).text);
    }
    return dumi_writer_meta(writer, key, text);
}

/* theirs: room for all tensors, one behind the other. */
static dum_status write_model(const dumi_encoder_model *m, dumi_model_writer *writer, float *theirs)
{
    place places[PARTS];
    DUMI_TRY(dumi_writer_meta(writer, "format", "pt"));
    DUMI_TRY(write_numbers(writer, SHIFT, m->channels, m->shift));
    DUMI_TRY(write_numbers(writer, SCALE, m->channels, m->scale));
    for (int32_t i = 0; i < m->network.units; i++) {
        for (int32_t k = places_of(m, &m->network.unit[i], places); k > 0; k--) {
            const place *p = &places[k - 1];
            for (size_t e = 0; e < size_of(p); e++)
                theirs[theirs_of(p, e)] = p->at[e];
            DUMI_TRY(dumi_writer_shaped(writer, p->name, DUMI_F32, p->rank, p->shape, theirs));
            theirs += size_of(p);
        }
    }
    return DUM_OK;
}

dum_status dum_encoder_export(const dum_encoder *encoder, const char *path)
{
    dumi_clear_error();
    DUMI_TRY(check_resnet(encoder));
    DUMI_NOT_NULL(path);
    DUMI_TRY(dumi_encoder_check(encoder));
    const dumi_encoder_model *m = encoder->model;
    dumi_model_writer *writer = NULL;
    unsigned char *bytes;
    size_t size;
    float *theirs;
    DUMI_TRY(DUMI_NEW(encoder->context, theirs, m->network.parameters + m->network.statistics));
    dum_status status;
    DUMI_GO(dumi_writer_create(encoder->context, "weights", &writer));
    DUMI_GO(write_model(m, writer, theirs));
    DUMI_GO(dumi_writer_finish(writer, &bytes, &size));
    DUMI_GO(dumi_save_bytes(encoder->context, path, bytes, size));
done:
    dumi_writer_destroy(writer);
    dumi_free(encoder->context, theirs);
    return status;
}
