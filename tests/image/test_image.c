/* SPDX-License-Identifier: MIT
 * Views and corruptions of images: against hand-computed cases, torchvision's and Pillow's values, and what must hold
 * for all. */
#include "../harness.h"
#include "image/image.h"

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
        ck_assert_msg(values[i] >= 0 && values[i] <= 255, "element %d is %g", (int)i, (double)values[i]);
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
        ck_assert_float_eq_tol(out[i], wanted[i / 3], 1e-3f);
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
            ck_assert_float_eq_tol(out[i], 77, 1e-3f);
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
            ck_assert_float_eq_tol(out[i], fminf(255, factor * image[i]), 1e-3f);
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
        ck_assert_float_eq_tol(out[i], mean + factor * (image[i] - mean), 1e-3f);
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
    ck_fails(augment(&o, INT32_MAX, 3, image, 1, 0), DUM_ERR_ARGUMENT, "at most 2147483647 elements");
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
    tcase_add_test(cases, failing_allocations);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
