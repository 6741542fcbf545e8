/* SPDX-License-Identifier: MIT
 * The C++ side, examples/cpp/dum.hpp: who owns what, what is thrown, and the same bits as from C. */
#include <dum.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

namespace
{

constexpr std::int32_t cols = 3;

[[noreturn]] void fail(const char *expected, int line)
{
    std::fprintf(stderr, "test_cpp.cpp:%d: expected: %s\n", line, expected);
    std::exit(1);
}
#define expect(condition) ((condition) ? void() : fail(#condition, __LINE__))

/* The status and message of the error that a call throws. */
template <class Call> void expect_error(dum_status status, const std::string &words, Call call)
{
    try {
        call();
    } catch (const dum::error &problem) {
        expect(problem.status() == status);
        expect(std::string(problem.what()).find(words) != std::string::npos);
        return;
    }
    fail("an error was thrown", __LINE__);
}

std::vector<float> numbers(std::size_t rows)
{
    std::vector<float> x(rows * cols);
    for (std::size_t i = 0; i < x.size(); i++)
        x[i] = static_cast<float>(i * 37 % 101);
    return x;
}

dum::scorer fitted(dum::context &context, const std::vector<float> &x)
{
    dum::scorer scorer(context, "dum");
    scorer.set("width", 32).set("steps", 20).set("holdout", 0.2).set("seed", 0);
    expect(scorer.fit(dum::dataset(context, dum::rows(x, cols))));
    return scorer;
}

void handles()
{
    static_assert(!std::is_copy_constructible_v<dum::scorer> &&
                  std::is_nothrow_move_constructible_v<dum::scorer>);
    static_assert(!std::is_copy_assignable_v<dum::context> && std::is_nothrow_move_assignable_v<dum::context>);
    const std::vector<float> x = numbers(64);
    /* The scorer keeps what it needs of a context that is gone. */
    const dum::scorer scorer = [&x] {
        dum::context context;
        return fitted(context, x);
    }();
    expect(scorer.score(dum::rows(x, cols)).size() == 64);
    auto options = dum::sized<dum_context_options>();
    options.threads = 1;
    const dum::context one(options);
    expect(dum_context_threads(one.get()) == 1);
}

void scores()
{
    dum::context context;
    const std::vector<float> x = numbers(64);
    const dum::rows all(x, cols);
    const dum::dataset data(context, all);
    const dum::scorer scorer = fitted(context, x);
    expect(scorer.cols() == cols && data.count() == 64 && data.read(1, 1)[0] == x[cols]);

    std::vector<double> expected(64);
    dum::check(dum_scorer_score(scorer.get(), x.data(), 64, cols, 0, expected.data()));
    expect(scorer.score(all) == expected && scorer.score(data) == expected);
    expect(scorer.score(x.data() + cols, cols) == expected[1] && scorer.score(all.row(1)).at(0) == expected[1]);
    expect(scorer.score(dum::rows(x.data(), 32, cols, std::int64_t{2} * cols).row(1)).at(0) == expected[2]);

    const std::vector<double> p = scorer.pvalue(expected);
    const double threshold = scorer.threshold(0.2);
    for (std::size_t i = 0; i < p.size(); i++)
        expect((p[i] <= 0.2) == (expected[i] > threshold));

    std::vector<float> deviation;
    const std::vector<float> share = scorer.explain(all, &deviation);
    expect(share.size() == x.size() && deviation.size() == x.size() && share == scorer.explain(all));

    const std::string path = "test_cpp-" + std::to_string(std::rand()) + ".dum";
    scorer.save(path);
    expect(dum::scorer::load(context, path).score(all) == expected);
    std::remove(path.c_str());
    expect(dum::scorer::from_bytes(context, scorer.to_bytes()).pvalue(expected) == p);
}

void stops()
{
    dum::context context;
    const std::vector<float> x = numbers(64);
    const dum::dataset data(context, dum::rows(x, cols));
    dum::scorer scorer(context, "dum");
    std::int64_t steps = 0;
    expect(!scorer.fit(data, [&steps](const dum_progress &done) {
        steps = done.step;
        return done.step < 3;
    }));
    expect(steps == 3 && scorer.cols() == cols);
    try {
        dum::scorer(context, "dum").fit(data, [](const dum_progress &) -> bool { throw std::string("mine"); });
        fail("what was thrown comes out of fit", __LINE__);
    } catch (const std::string &mine) {
        expect(mine == "mine");
    }
}

void errors()
{
    dum::context context;
    const std::vector<float> x = numbers(64);
    dum::scorer scorer(context, "knn");
    expect_error(DUM_ERR_ARGUMENT, "nonesuch", [&] { dum::scorer(context, "nonesuch"); });
    expect_error(DUM_ERR_ARGUMENT, "neighbours", [&] { scorer.set("neighbours", -1); });
    expect_error(DUM_ERR_STATE, "fit", [&] { static_cast<void>(scorer.score(dum::rows(x, cols))); });
    expect_error(DUM_ERR_IO, "none.dum", [&] { dum::scorer::load(context, "none.dum"); });
    expect_error(DUM_ERR_IO, "none.npy", [&] { dum::dataset(context, "none.npy"); });
    scorer.fit(dum::dataset(context, dum::rows(x, cols)));
    expect_error(DUM_ERR_SHAPE, "2", [&] { static_cast<void>(scorer.score(dum::rows(x, 2))); });
    expect_error(DUM_ERR_STATE, "calibrat", [&] { static_cast<void>(scorer.threshold(0.1)); });
    try {
        const dum::rows uneven(x, 7);
        fail("192 numbers are no rows of 7", __LINE__);
    } catch (const std::invalid_argument &) {
    }
}

} // namespace

int main()
{
    handles();
    scores();
    stops();
    errors();
    return 0;
}
