/* SPDX-License-Identifier: MIT
 * Views and corruptions of images: against hand-computed cases, torchvision's and Pillow's values, and what must hold
 * for all. */
#include "../harness.h"
#include "image/corrupt.h"
#include "../reference/image_reference.h"

/* Check notes each assertion in a file: too slow for each pixel. */
#define ck_pixel(condition, ...)                                                                               \
    do {                                                                                                       \
        if (!(condition))                                                                                      \
            ck_abort_msg(__VA_ARGS__);                                                                         \
    } while (0)

static dum_context *context;

static dum_context *make_context(int32_t threads)
{
    dum_context_options options;
    DUM_INIT(options);
    options.backend = "ref";
    options.threads = threads;
    dum_context *made;
    ck_ok(dum_context_create(&options, &made));
    return made;
}

static void setup(void)
{
    context = make_context(1);
}

static void teardown(void)
{
    dum_context_destroy(context);
}

/* Smooth pictures: waves of another length in each row and channel, with a bright disk. */
static float *make_images(int32_t height, int32_t width, int32_t channels, int64_t rows)
{
    const int64_t size = (int64_t)height * width * channels;
    float *images = malloc((size_t)(rows * size) * sizeof *images);
    ck_assert_ptr_nonnull(images);
    for (int64_t i = 0; i < rows * size; i++) {
        const int64_t row = i / size, pixel = i % size / channels, c = i % channels;
        const double y = (double)(pixel / width) / height, x = (double)(pixel % width) / width;
        const double wave = sin(6 * x * (double)(1 + row % 3) + 1.3 * (double)c) * cos(5 * y + (double)row);
        const bool disk = (x - 0.5) * (x - 0.5) + (y - 0.4) * (y - 0.4) < 0.06;
        images[i] = (float)rint(110 + 90 * wave + (disk ? 40 : 0));
    }
    return images;
}

static void within_range(const float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        ck_pixel(values[i] >= 0 && values[i] <= 255, "element %d is %g", (int)i, (double)values[i]);
}

/* ---- Augmentation ------------------------------------------------------------------------------- */

/* Options with which nothing happens. */
static dum_augment_options nothing(void)
{
    dum_augment_options o;
    DUM_INIT(o);
    o.crop_min = o.crop_max = 1;
    o.flip = o.jitter = o.grey = o.blur = -1;
    o.brightness = o.contrast = o.saturation = o.hue = -1;
    return o;
}

START_TEST(identity)
{
    const dum_augment_options o = nothing();
    for (int32_t channels = 1; channels <= 3; channels += 2) {
        float *images = make_images(9, 7, channels, 5), *out = make_images(9, 7, channels, 5);
        const int64_t size = (int64_t)9 * 7 * channels;
        memset(out, 0, (size_t)(5 * size) * sizeof *out);
        ck_ok(dum_image_augment(context, &o, 9, 7, channels, images, 5, 0, 3, 1, out));
        ck_assert_mem_eq(images, out, (size_t)(5 * size) * sizeof *out);
        free(images);
        free(out);
    }
}
END_TEST

START_TEST(flip)
{
    const float image[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const float grey[] = {3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10};
    const float colours[] = {4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9};
    float out[12];
    dum_augment_options o = nothing();
    o.flip = 1;
    ck_ok(dum_image_augment(context, &o, 4, 3, 1, image, 1, 0, 3, 1, out));
    ck_assert_mem_eq(out, grey, sizeof out);
    ck_ok(dum_image_augment(context, &o, 2, 2, 3, image, 1, 0, 3, 1, out));
    ck_assert_mem_eq(out, colours, sizeof out);
    /* Half of them, by default. */
    enum { N = 2000 };
    float *many = calloc(2 * N, sizeof *many), *views = calloc(2 * N, sizeof *views);
    for (int i = 0; i < N; i++)
        many[2 * i] = 1;
    o.flip = 0;
    ck_ok(dum_image_augment(context, &o, 1, 2, 1, many, N, 0, 3, 1, views));
    int flipped = 0;
    for (int i = 0; i < N; i++)
        flipped += views[2 * i + 1] == 1;
    ck_assert_msg(abs(flipped - N / 2) < 150, "%d flips of %d", flipped, N);
    free(many);
    free(views);
}
END_TEST

START_TEST(grey)
{
    const float image[] = {100, 0, 0, 0, 100, 0, 10, 20, 30, 255, 255, 255};
    const float wanted[] = {29.9f, 58.7f, 2.99f + 11.74f + 3.42f, 255};
    float out[12];
    dum_augment_options o = nothing();
    o.grey = 1;
    ck_ok(dum_image_augment(context, &o, 2, 2, 3, image, 1, 0, 3, 1, out));
    for (int i = 0; i < 12; i++)
        ck_pixel(fabsf(out[i] - wanted[i / 3]) <= 1e-3f, "element %d is %g", i, (double)out[i]);
}
END_TEST

START_TEST(constants_stay)
{
    enum { SIZE = 70 * 66 * 3 };
    float *image = malloc(SIZE * sizeof *image), *out = malloc(SIZE * sizeof *out);
    for (int i = 0; i < SIZE; i++)
        image[i] = 77;
    dum_augment_options o = nothing();
    o.crop_min = 0;
    o.flip = o.contrast = o.saturation = o.hue = 0;
    o.jitter = o.grey = o.blur = 1;
    for (uint32_t view = 0; view < 20; view++) {
        ck_ok(dum_image_augment(context, &o, 70, 66, 3, image, 1, 0, 3, view, out));
        for (int i = 0; i < SIZE; i++)
            ck_pixel(fabsf(out[i] - 77) <= 1e-3f, "element %d is %g", i, (double)out[i]);
    }
    free(image);
    free(out);
}
END_TEST

START_TEST(colour)
{
    const float image[] = {10, 20, 40, 80, 160, 100};
    float out[6], least = 9, most = 0;
    dum_augment_options o = nothing();
    o.jitter = 1;
    o.brightness = 0.5;
    for (uint32_t view = 0; view < 200; view++) {
        ck_ok(dum_image_augment(context, &o, 1, 2, 3, image, 1, 0, 3, view, out));
        const float factor = out[0] / image[0];
        for (int i = 0; i < 6; i++)
            ck_pixel(fabsf(out[i] - fminf(255, factor * image[i])) <= 1e-3f, "element %d is %g", i,
                     (double)out[i]);
        least = fminf(least, factor);
        most = fmaxf(most, factor);
    }
    ck_assert_msg(least > 0.499f && least < 0.52f && most < 1.501f && most > 1.48f, "%g to %g", (double)least,
                  (double)most);
    /* Contrast moves away from the mean of the grey image: that stays where it is. */
    o.brightness = -1;
    o.contrast = 0.3;
    ck_ok(dum_image_augment(context, &o, 2, 3, 1, image, 1, 0, 3, 1, out));
    const float mean = 410.0f / 6, factor = (out[0] - mean) / (image[0] - mean);
    ck_assert(factor >= 0.7f && factor <= 1.3f && factor != 1);
    for (int i = 0; i < 6; i++)
        ck_pixel(fabsf(out[i] - (mean + factor * (image[i] - mean))) <= 1e-3f, "element %d is %g", i,
                 (double)out[i]);
    /* Hue: a third of a turn makes red green; saturation 0 makes grey; black has no hue. */
    float planes[] = {200, 0, 100, 0, 50, 0};
    dumi_colour_turn(planes, 2, 1.0f / 3);
    ck_assert_float_eq_tol(planes[0], 50, 1e-3f);
    ck_assert_float_eq_tol(planes[2], 200, 1e-3f);
    ck_assert_float_eq_tol(planes[4], 100, 1e-3f);
    ck_assert(planes[1] == 0 && planes[3] == 0 && planes[5] == 0);
}
END_TEST

START_TEST(blur_keeps_the_sum)
{
    enum { SIDE = 100 };
    float *image = calloc(SIDE * SIDE, sizeof *image), *out = calloc(SIDE * SIDE, sizeof *out);
    image[50 * SIDE + 50] = 200;
    dum_augment_options o = nothing();
    o.blur = 1;
    ck_ok(dum_image_augment(context, &o, SIDE, SIDE, 1, image, 1, 0, 3, 1, out));
    double sum = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        sum += (double)out[i];
    ck_assert_double_eq_tol(sum, 200, 1e-3);
    ck_assert(out[50 * SIDE + 50] < 199 && out[50 * SIDE + 50] > 0);
    ck_assert(out[50 * SIDE + 49] == out[50 * SIDE + 51] && out[49 * SIDE + 50] == out[50 * SIDE + 49]);
    free(image);
    free(out);
}
END_TEST

START_TEST(same_views)
{
    enum { ROWS = 90, SIZE = 32 * 32 * 3, STRIDE = SIZE + 5 };
    float *images = make_images(32, 32, 3, ROWS), *first = malloc(ROWS * SIZE * sizeof *first);
    float *again = malloc(ROWS * SIZE * sizeof *again), *apart = malloc(ROWS * STRIDE * sizeof *apart);
    for (int i = 0; i < ROWS * STRIDE; i++)
        apart[i] = i % STRIDE < SIZE ? images[i / STRIDE * SIZE + i % STRIDE] : NAN;
    ck_ok(dum_image_augment(context, NULL, 32, 32, 3, images, ROWS, 0, 3, 1, first));
    within_range(first, ROWS * SIZE);
    for (int32_t threads = 1; threads <= 3; threads++) {
        dum_context *other = make_context(threads);
        ck_ok(dum_image_augment(other, NULL, 32, 32, 3, apart, ROWS, STRIDE, 3, 1, again));
        ck_assert_mem_eq(first, again, ROWS * SIZE * sizeof *first);
        dum_context_destroy(other);
    }
    ck_ok(dum_image_augment(context, NULL, 32, 32, 3, images, 2, 0, 3, 1, again));
    ck_assert_mem_eq(first, again, 2 * SIZE * sizeof *first);
    memcpy(again, images, ROWS * SIZE * sizeof *again);
    ck_ok(dum_image_augment(context, NULL, 32, 32, 3, again, ROWS, 0, 3, 1, again));
    ck_assert_mem_eq(first, again, ROWS * SIZE * sizeof *first);
    ck_ok(dum_image_augment(context, NULL, 32, 32, 3, images, 1, 0, 4, 1, again));
    ck_assert(memcmp(first, again, SIZE * sizeof *first) != 0);
    ck_ok(dum_image_augment(context, NULL, 32, 32, 3, images, 1, 0, 3, 2, again));
    ck_assert(memcmp(first, again, SIZE * sizeof *first) != 0);
    ck_ok(dum_image_augment(context, NULL, 32, 32, 3, NULL, 0, 0, 3, 2, NULL));
    free(images);
    free(first);
    free(again);
    free(apart);
}
END_TEST

START_TEST(every_shape)
{
    static const int32_t sides[] = {1, 2, 3, 5, 64, 131};
    enum { SHAPES = sizeof sides / sizeof sides[0] };
    dum_augment_options o = nothing();
    o.crop_min = 0.01;
    o.crop_max = o.flip = o.brightness = o.contrast = o.saturation = o.hue = 0;
    o.jitter = o.blur = 1;
    for (int i = 0; i < SHAPES * SHAPES * 2; i++) {
        const int32_t height = sides[i / 2 % SHAPES], width = sides[i / 2 / SHAPES], channels = i % 2 ? 3 : 1;
        float *images = make_images(height, width, channels, 6), *out = make_images(height, width, channels, 6);
        ck_ok(dum_image_augment(context, &o, height, width, channels, images, 6, 0, 3, 1, out));
        within_range(out, 6 * (int64_t)height * width * channels);
        free(images);
        free(out);
    }
}
END_TEST

static dum_status augment(const dum_augment_options *o, int32_t height, int32_t channels, const float *images,
                          int64_t rows, int64_t stride)
{
    static float out[64];
    return dum_image_augment(context, o, height, 2, channels, images, rows, stride, 3, 1, out);
}

START_TEST(bad_arguments)
{
    float image[12] = {0};
    dum_augment_options o;
    DUM_INIT(o);
    ck_fails(augment(&o, 0, 3, image, 1, 0), DUM_ERR_ARGUMENT, "height x width is 0 x 2");
    ck_fails(augment(&o, 2, 2, image, 1, 0), DUM_ERR_ARGUMENT, "channels is 2, expected 1 or 3");
    ck_fails(augment(&o, 65536, 3, image, 1, 0), DUM_ERR_ARGUMENT, "1 x 1 to 65535 x 65535");
    ck_fails(dum_image_augment(context, &o, 65535, 65535, 3, image, 1, 0, 3, 1, image), DUM_ERR_ARGUMENT,
             "at most 2147483647 elements");
    ck_fails(augment(&o, 2, 3, image, -1, 0), DUM_ERR_SHAPE, "rows is -1");
    ck_fails(augment(&o, 2, 3, image, 1, 11), DUM_ERR_SHAPE,
             "row_stride is 11, expected height x width x channels = 12");
    ck_fails(augment(&o, 2, 3, NULL, 1, 0), DUM_ERR_ARGUMENT, "images is NULL");
    image[7] = 255.5f;
    ck_fails(augment(&o, 2, 3, image, 1, 0), DUM_ERR_ARGUMENT,
             "row 0, element 7 of images is 255.5, expected 0 to 255");
    image[7] = NAN;
    ck_fails(augment(&o, 2, 3, image, 1, 0), DUM_ERR_NONFINITE, "row 0, element 7");
    image[7] = 0;
    ck_fails(dum_image_augment(NULL, &o, 2, 2, 3, image, 1, 0, 3, 1, image), DUM_ERR_ARGUMENT,
             "context is NULL");
    ck_fails(dum_image_augment(context, &o, 2, 2, 3, image, 1, 0, 3, 1, NULL), DUM_ERR_ARGUMENT, "out is NULL");
    o.flip = 1.5;
    ck_fails(augment(&o, 2, 3, image, 1, 0), DUM_ERR_ARGUMENT,
             "options.flip is 1.5, expected at most 1, 0 for the");
    o.flip = NAN;
    ck_fails(augment(&o, 2, 3, image, 1, 0), DUM_ERR_ARGUMENT, "options.flip is");
    o.flip = 0;
    o.hue = 0.6;
    ck_fails(augment(&o, 2, 3, image, 1, 0), DUM_ERR_ARGUMENT, "options.hue is 0.6, expected at most 0.5");
    o.hue = 0;
    o.crop_min = -1;
    ck_fails(augment(&o, 2, 3, image, 1, 0), DUM_ERR_ARGUMENT, "options.crop_min is -1");
    o.crop_min = 0.5;
    o.crop_max = 0.4;
    ck_fails(augment(&o, 2, 3, image, 1, 0), DUM_ERR_ARGUMENT,
             "crop_min is 0.5, expected at most crop_max = 0.4");
    memset(&o, 0, sizeof o);
    ck_fails(augment(&o, 2, 3, image, 1, 0), DUM_ERR_ABI, "DUM_INIT");
}
END_TEST

/* ---- Against torchvision and Pillow ------------------------------------------------------------- */

enum { REF_HEIGHT = 11, REF_WIDTH = 12, REF_PIXELS = REF_HEIGHT * REF_WIDTH, REF_SIZE = 3 * REF_PIXELS };

static const dumi_image ref_shape = {REF_HEIGHT, REF_WIDTH, 3};

/* The picture of tests/reference/image.py. */
static void make_reference(float *image)
{
    for (int i = 0; i < REF_SIZE; i++) {
        const int t = (5 * (i / 3 % REF_WIDTH) + 3 * (i / 3 / REF_WIDTH) + 31 * (i % 3)) % 64;
        image[i] = (float)(8 * (t < 32 ? t : 63 - t));
    }
}

static void near_reference(const char *what, const float *planes, const uint8_t *wanted, int32_t channels,
                           double most, double most_mean)
{
    float image[REF_SIZE];
    double sum = 0;
    dumi_planes_join(planes, REF_PIXELS, channels, image);
    for (int i = 0; i < REF_PIXELS * channels; i++) {
        const double difference = fabs((double)image[i] - wanted[i]);
        ck_pixel(difference <= most, "%s: element %d is %g, expected %d", what, i, (double)image[i], wanted[i]);
        sum += difference;
    }
    sum /= REF_PIXELS * channels;
    ck_assert_msg(sum <= most_mean, "%s: mean difference %g", what, sum);
}

START_TEST(reference_views)
{
    float image[REF_SIZE], planes[REF_SIZE], work[2 * REF_SIZE], weights[5];
    make_reference(image);
    dumi_augment_cut(&ref_shape, image, &(dumi_box){2, 3, 6, 7}, false, work, planes);
    near_reference("crop", planes, crop, 3, 0.51, 0.3);
    dumi_planes_split(image, REF_PIXELS, 3, planes);
    dumi_colour_scale(planes, REF_SIZE, 1.35f, 0);
    near_reference("brightness", planes, brightness, 3, 0.51, 0.3);
    dumi_planes_split(image, REF_PIXELS, 3, planes);
    dumi_colour_grey(planes, REF_PIXELS, 3, work);
    dumi_colour_scale(planes, REF_SIZE, 1.25f, (float)(-0.25 * dumi_colour_mean(work, REF_PIXELS)));
    near_reference("contrast", planes, contrast, 3, 0.51, 0.3);
    dumi_planes_split(image, REF_PIXELS, 3, planes);
    dumi_colour_saturate(planes, REF_PIXELS, 0.7f);
    near_reference("saturation", planes, saturation, 3, 0.51, 0.3);
    dumi_planes_split(image, REF_PIXELS, 3, planes);
    dumi_colour_turn(planes, REF_PIXELS, -0.09f);
    near_reference("hue", planes, hue, 3, 0.51, 0.3);
    dumi_planes_split(image, REF_PIXELS, 3, planes);
    dumi_gaussian(1.3, 5, weights);
    for (int c = 0; c < 3; c++)
        dumi_filter_plane(planes + c * REF_PIXELS, REF_HEIGHT, REF_WIDTH, weights, 5, dumi_reflect, work,
                          planes + c * REF_PIXELS);
    near_reference("blur", planes, blur, 3, 0.51, 0.3);
}
END_TEST

START_TEST(reference_jpeg)
{
    float image[REF_SIZE], planes[REF_SIZE], work[3 * 16 * 16];
    make_reference(image);
    dumi_corrupting c = {.shape = ref_shape, .scale = 1, .planes = planes, .work = work};
    static const struct {
        const char *name;
        const uint8_t *wanted;
        int32_t quality;
    } cases[] = {{"jpeg 80", jpeg_80, 80}, {"jpeg 40", jpeg_40, 40}};
    for (int i = 0; i < 2; i++) {
        dumi_planes_split(image, REF_PIXELS, 3, planes);
        dumi_jpeg_round_trip(&c, cases[i].quality);
        near_reference(cases[i].name, planes, cases[i].wanted, 3, 12, 1);
    }
    dumi_planes_split(image, REF_PIXELS, 3, planes); /* red comes first */
    c.shape.channels = 1;
    dumi_jpeg_round_trip(&c, 50);
    near_reference("jpeg, grey", planes, jpeg_grey_50, 1, 3, 0.5);
    c.shape.channels = 3;
    static const struct {
        const uint8_t *wanted;
        int32_t severity;
    } boxes[] = {{pixelate_2, 1}, {pixelate_5, 4}};
    for (int i = 0; i < 2; i++) {
        dumi_planes_split(image, REF_PIXELS, 3, planes);
        c.severity = boxes[i].severity;
        dumi_pixelate(&c);
        near_reference("pixelate", planes, boxes[i].wanted, 3, 1.1, 0.4); /* Pillow rounds twice */
    }
}
END_TEST

/* ---- Corruptions -------------------------------------------------------------------------------- */

static dum_status corrupt(const char *name, int32_t severity, int32_t side, int32_t channels,
                          const float *images, int64_t rows, float *out)
{
    return dum_image_corrupt(context, name, severity, 7, side, side, channels, images, rows, 0, out);
}

static double square_error(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum / (double)count;
}

START_TEST(grows_with_severity)
{
    enum { ROWS = 12, SIDE = 32, SIZE = ROWS * SIDE * SIDE * 3 };
    float *images = make_images(SIDE, SIDE, 3, ROWS), *out = malloc(SIZE * sizeof *out);
    for (int32_t i = 0; i < dum_corruption_count(); i++) {
        const char *name = dum_corruption_name(i);
        /* The authors' constants say otherwise: its affine part, which moves most, shrinks. */
        const bool shrinks = strcmp(name, "elastic_transform") == 0;
        /* Their kinds of glass differ in both blur and shuffling. */
        const double slack = strcmp(name, "glass_blur") == 0 ? 0.7 : strcmp(name, "frost") == 0 ? 0.8 : 0.999;
        double error[6] = {0};
        for (int32_t severity = 1; severity <= 5; severity++) {
            ck_ok(corrupt(name, severity, SIDE, 3, images, ROWS, out));
            within_range(out, SIZE);
            error[severity] = square_error(images, out, SIZE);
            ck_assert_msg(error[severity] > (shrinks ? 1 : slack * error[severity - 1]) &&
                              error[severity] > 0.5,
                          "%s, severity %d: %g after %g", name, severity, error[severity], error[severity - 1]);
        }
        ck_assert_msg(shrinks || error[5] > 1.2 * error[1], "%s: %g to %g", name, error[1], error[5]);
    }
    /* Smooth pictures pass JPEG almost as they were. */
    ck_ok(corrupt("jpeg_compression", 1, SIDE, 1, images, 3 * ROWS, out));
    ck_assert_double_lt(square_error(images, out, SIZE), 400);
    free(images);
    free(out);
}
END_TEST

START_TEST(smooth_jpeg)
{
    enum { SIDE = 40, SIZE = SIDE * SIDE * 3 };
    static float image[SIZE], out[SIZE];
    for (int i = 0; i < SIZE; i++)
        image[i] = (float)(60 + 3 * (i / 3 % SIDE) + i / 3 / SIDE - 10 * (i % 3));
    ck_ok(corrupt("jpeg_compression", 1, SIDE, 3, image, 1, out));
    for (int i = 0; i < SIZE; i++)
        ck_pixel(fabsf(out[i] - image[i]) < 6 && out[i] == rintf(out[i]), "%g for %g", (double)out[i],
                 (double)image[i]);
    ck_assert_double_lt(square_error(image, out, SIZE), 2);
}
END_TEST

static void noise_moments(const char *name, int32_t severity, float value, double *mean, double *variance)
{
    enum { SIDE = 200, SIZE = SIDE * SIDE };
    static float image[SIZE], out[SIZE];
    for (int i = 0; i < SIZE; i++)
        image[i] = value;
    ck_ok(corrupt(name, severity, SIDE, 1, image, 1, out));
    *mean = *variance = 0;
    for (int i = 0; i < SIZE; i++)
        *mean += (double)out[i] / SIZE;
    for (int i = 0; i < SIZE; i++)
        *variance += ((double)out[i] - *mean) * ((double)out[i] - *mean) / SIZE;
}

START_TEST(noise_is_what_it_says)
{
    static const double sigma[] = {0.04, 0.06, 0.08, 0.09, 0.10}, photons[] = {500, 250, 100, 75, 50};
    static const double share[] = {0.01, 0.02, 0.03, 0.05, 0.07};
    static const float values[] = {2, 20, 60, 128};
    double mean, variance;
    for (int32_t severity = 1; severity <= 5; severity++) {
        noise_moments("gaussian_noise", severity, 128, &mean, &variance);
        const double wanted = 255 * 255 * sigma[severity - 1] * sigma[severity - 1];
        ck_assert_double_eq_tol(mean, 128, 5 * sqrt(wanted / 40000));
        ck_assert_double_eq_tol(variance, wanted, 0.04 * wanted);
        noise_moments("impulse_noise", severity, 128, &mean, &variance);
        ck_assert_double_eq_tol(variance, share[severity - 1] * 127.5 * 127.5,
                                0.15 * share[severity - 1] * 127.5 * 127.5);
        for (int i = 0; i < 4; i++) {
            noise_moments("shot_noise", severity, values[i], &mean, &variance);
            const double poisson = 255 / photons[severity - 1] * (double)values[i];
            ck_assert_double_eq_tol(mean, (double)values[i], 5 * sqrt(poisson / 40000));
            ck_assert_msg(fabs(variance - poisson) < 0.06 * poisson,
                          "severity %d, %g: variance %g, expected %g", severity, (double)values[i], variance,
                          poisson);
        }
        noise_moments("shot_noise", severity, 0, &mean, &variance);
        ck_assert(mean == 0 && variance == 0);
    }
}
END_TEST

START_TEST(constants_under_corruption)
{
    enum { SIDE = 37, SIZE = SIDE * SIDE * 3 };
    static const char *const names[] = {"defocus_blur", "glass_blur",        "motion_blur", "zoom_blur",
                                        "contrast",     "elastic_transform", "pixelate",    "jpeg_compression"};
    static float image[SIZE], out[SIZE];
    for (int i = 0; i < SIZE; i++)
        image[i] = 90;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (int32_t severity = 1; severity <= 5; severity++) {
            ck_ok(corrupt(names[i], severity, SIDE, 3, image, 1, out));
            for (int k = 0; k < SIZE; k++)
                ck_pixel(fabsf(out[k] - 90) < (i == 7 ? 2.5f : 0.01f), "%s: %g", names[i], (double)out[k]);
        }
    }
    ck_ok(corrupt("brightness", 3, SIDE, 3, image, 1, out));
    ck_assert_float_eq_tol(out[5], 90 + 0.15f * 255, 1e-3f);
    /* Contrast: each channel about its own mean. */
    const float two[] = {10, 20, 30, 30, 60, 90};
    ck_ok(dum_image_corrupt(context, "contrast", 2, 7, 1, 2, 3, two, 1, 0, out));
    ck_assert(out[0] == 15 && out[3] == 25 && out[1] == 30 && out[4] == 50 && out[2] == 45 && out[5] == 75);
}
END_TEST

START_TEST(same_corruptions)
{
    enum { ROWS = 9, SIDE = 32, SIZE = SIDE * SIDE * 3 };
    float *images = make_images(SIDE, SIDE, 3, ROWS), *first = malloc(ROWS * SIZE * sizeof *first);
    float *again = malloc(ROWS * SIZE * sizeof *again);
    static const char *const random[] = {"gaussian_noise", "shot_noise",  "impulse_noise",
                                         "glass_blur",     "motion_blur", "snow",
                                         "frost",          "fog",         "elastic_transform"};
    dum_context *threads[3] = {make_context(1), make_context(2), make_context(3)};
    for (int32_t i = 0; i < dum_corruption_count(); i++) {
        const char *name = dum_corruption_name(i);
        ck_ok(dum_image_corrupt(threads[0], name, 3, 7, SIDE, SIDE, 3, images, ROWS, 0, first));
        for (int t = 1; t < 3; t++) {
            ck_ok(dum_image_corrupt(threads[t], name, 3, 7, SIDE, SIDE, 3, images, ROWS, 0, again));
            ck_assert_mem_eq(first, again, ROWS * SIZE * sizeof *first);
        }
        memcpy(again, images, ROWS * SIZE * sizeof *again);
        ck_ok(corrupt(name, 3, SIDE, 3, again, ROWS, again));
        ck_assert_mem_eq(first, again, ROWS * SIZE * sizeof *first);
        ck_ok(corrupt(name, 3, SIDE, 3, images, 1, again));
        ck_assert_mem_eq(first, again, SIZE * sizeof *first);
        ck_ok(dum_image_corrupt(context, name, 3, 8, SIDE, SIDE, 3, images, 1, 0, again));
        bool is_random = false;
        for (size_t k = 0; k < sizeof random / sizeof random[0]; k++)
            is_random = is_random || strcmp(random[k], name) == 0;
        ck_assert_msg((memcmp(first, again, SIZE * sizeof *first) != 0) == is_random, "%s", name);
        /* Two rows of the same picture are not corrupted alike. */
        memcpy(again, images, SIZE * sizeof *again);
        memcpy(again + SIZE, images, SIZE * sizeof *again);
        ck_ok(dum_image_corrupt(context, name, 3, 7, SIDE, SIDE, 3, again, 2, 0, first));
        ck_assert_msg((memcmp(first, first + SIZE, SIZE * sizeof *first) != 0) == is_random, "%s", name);
    }
    for (int t = 0; t < 3; t++)
        dum_context_destroy(threads[t]);
    free(images);
    free(first);
    free(again);
}
END_TEST

START_TEST(every_shape_is_corrupted)
{
    static const int32_t sides[] = {1, 2, 5, 16, 67};
    enum { SHAPES = sizeof sides / sizeof sides[0] };
    for (int i = 0; i < SHAPES * SHAPES * 2; i++) {
        const int32_t height = sides[i / 2 % SHAPES], width = sides[i / 2 / SHAPES], channels = i % 2 ? 3 : 1;
        float *images = make_images(height, width, channels, 1), *out = make_images(height, width, channels, 1);
        for (int32_t k = 0; k < dum_corruption_count(); k++) {
            for (int32_t severity = 1; severity <= 5; severity += 2) {
                ck_ok(dum_image_corrupt(context, dum_corruption_name(k), severity, 7, height, width, channels,
                                        images, 1, 0, out));
                within_range(out, (int64_t)height * width * channels);
            }
        }
        free(images);
        free(out);
    }
    /* A plasma larger than its map. */
    float *strip = make_images(2, 3000, 1, 1), *out = make_images(2, 3000, 1, 1);
    ck_ok(dum_image_corrupt(context, "frost", 1, 7, 2, 3000, 1, strip, 1, 0, out));
    within_range(out, 6000);
    free(strip);
    free(out);
}
END_TEST

START_TEST(bad_corruptions)
{
    float image[12] = {0}, out[12];
    ck_assert_int_eq(dum_corruption_count(), 15);
    ck_assert_str_eq(dum_corruption_name(0), "gaussian_noise");
    ck_assert_str_eq(dum_corruption_name(14), "jpeg_compression");
    ck_assert_ptr_null(dum_corruption_name(15));
    ck_assert_ptr_null(dum_corruption_name(-1));
    ck_fails(corrupt("rain", 1, 2, 3, image, 1, out), DUM_ERR_ARGUMENT,
             "name is \"rain\", expected gaussian_noise|shot");
    ck_fails(corrupt("rain", 1, 2, 3, image, 1, out), DUM_ERR_ARGUMENT, "pixelate|jpeg_compression");
    ck_fails(corrupt(NULL, 1, 2, 3, image, 1, out), DUM_ERR_ARGUMENT, "name is NULL");
    ck_fails(corrupt("fog", 0, 2, 3, image, 1, out), DUM_ERR_ARGUMENT, "severity is 0, expected 1 to 5");
    ck_fails(corrupt("fog", 6, 2, 3, image, 1, out), DUM_ERR_ARGUMENT, "severity is 6");
    ck_fails(corrupt("fog", 1, 2, 4, image, 1, out), DUM_ERR_ARGUMENT, "channels is 4");
    ck_fails(corrupt("fog", 1, 2, 3, image, -5, out), DUM_ERR_SHAPE, "rows is -5");
    ck_fails(corrupt("fog", 1, 2, 3, image, 1, NULL), DUM_ERR_ARGUMENT, "out is NULL");
    image[11] = -1;
    ck_fails(corrupt("fog", 1, 2, 3, image, 1, out), DUM_ERR_ARGUMENT, "element 11 of images is -1");
    ck_ok(corrupt("fog", 1, 2, 3, NULL, 0, NULL));
}
END_TEST

/* ---- Both --------------------------------------------------------------------------------------- */

START_TEST(failing_allocations)
{
    allocation_counter counter = {.left = -1};
    dum_context_options options;
    DUM_INIT(options);
    options.backend = "ref";
    options.threads = 1;
    options.alloc = counted_alloc;
    options.free = counted_free;
    options.alloc_user = &counter;
    dum_context *scarce;
    ck_ok(dum_context_create(&options, &scarce));
    const int64_t live = counter.live;
    float *images = make_images(8, 8, 3, 3), *out = make_images(8, 8, 3, 3);
    dum_status status = DUM_ERR_NOMEM;
    for (int64_t left = 0; status != DUM_OK; left++) {
        ck_assert_int_lt(left, 10);
        counter.left = left;
        status = dum_image_augment(scarce, NULL, 8, 8, 3, images, 3, 0, 3, 1, out);
        ck_assert(status == DUM_OK || status == DUM_ERR_NOMEM);
        ck_assert_int_eq(counter.live, live);
    }
    status = DUM_ERR_NOMEM;
    for (int64_t left = 0; status != DUM_OK; left++) {
        ck_assert_int_lt(left, 10);
        counter.left = left;
        status = dum_image_corrupt(scarce, "frost", 2, 3, 8, 8, 3, images, 3, 0, out);
        ck_assert(status == DUM_OK || status == DUM_ERR_NOMEM);
        ck_assert_int_eq(counter.live, live);
    }
    counter.left = -1;
    free(images);
    free(out);
    dum_context_destroy(scarce);
    ck_assert_int_eq(counter.live, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image");
    TCase *cases = tcase_create("image");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, identity);
    tcase_add_test(cases, flip);
    tcase_add_test(cases, grey);
    tcase_add_test(cases, constants_stay);
    tcase_add_test(cases, colour);
    tcase_add_test(cases, blur_keeps_the_sum);
    tcase_add_test(cases, same_views);
    tcase_add_test(cases, every_shape);
    tcase_add_test(cases, bad_arguments);
    tcase_add_test(cases, reference_views);
    tcase_add_test(cases, reference_jpeg);
    tcase_add_test(cases, grows_with_severity);
    tcase_add_test(cases, smooth_jpeg);
    tcase_add_test(cases, noise_is_what_it_says);
    tcase_add_test(cases, constants_under_corruption);
    tcase_add_test(cases, same_corruptions);
    tcase_add_test(cases, every_shape_is_corrupted);
    tcase_add_test(cases, bad_corruptions);
    tcase_add_test(cases, failing_allocations);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
