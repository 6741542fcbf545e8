/* SPDX-License-Identifier: MIT
 * A service without its network: requests of one row each come into a queue, threads score them on one scorer without
 * a lock around it, answers leave in the order of the requests. It checks itself: each answer has the very bits that
 * scoring the table at once gives, and a bad request (one in a thousand is made so) is refused and harms nobody.
 *
 *   service [--seconds S] [--workers N] rows.npy [model.dum]
 *
 * Without a model it fits one to the rows. Ends after S seconds, or with SIGINT or SIGTERM, once all that was asked is
 * answered; exits with 1 where an answer was wrong. */
#include "dum.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <future>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace
{

using steady = std::chrono::steady_clock;

/* More wait outside: a queue without bounds only hides that the service is too slow, until memory ends. */
constexpr std::size_t most_waiting = 256;
constexpr std::uint64_t warm_up = 10000; /* answers, after which memory should not grow */
constexpr std::size_t bad_every = 1000;

volatile std::sig_atomic_t told_to_end = 0;

template <class T> class bounded_queue
{
  public:
    void push(T item)
    {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [this] { return items_.size() < most_waiting; });
        items_.push_back(std::move(item));
        some_.notify_one();
    }
    /* Nothing when the queue is closed and empty. */
    std::optional<T> pop()
    {
        std::unique_lock lock(mutex_);
        some_.wait(lock, [this] { return closed_ || !items_.empty(); });
        if (items_.empty())
            return std::nullopt;
        std::optional<T> item(std::move(items_.front()));
        items_.pop_front();
        room_.notify_one();
        return item;
    }
    void close()
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        some_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable room_, some_;
    std::deque<T> items_;
    bool closed_ = false;
};

using answer = std::optional<double>; /* nothing: refused */

struct request {
    std::vector<float> row;
    std::promise<answer> reply;
};

/* What the client knows: kept in the order of the requests, whichever worker is done first. */
struct asked {
    std::size_t row;
    bool bad;
    steady::time_point when;
    std::future<answer> reply;
};

void work(bounded_queue<request> &requests, const dum::scorer &scorer)
{
    while (auto next = requests.pop()) {
        answer reply;
        try {
            reply = scorer.score(next->row.data(), static_cast<std::int32_t>(next->row.size()));
        } catch (const dum::error &) {
            reply.reset(); /* a real service would send the message, too */
        }
        next->reply.set_value(reply);
    }
}

/* Counts by size, eight to an octave: for ever, and in the same memory. */
class latencies
{
  public:
    void add(std::chrono::nanoseconds time)
    {
        const double slot =
            slots_an_octave * std::log2(static_cast<double>(std::max<std::int64_t>(1, time.count())));
        counts_[std::min(counts_.size() - 1, static_cast<std::size_t>(slot))]++;
        all_++;
    }
    double microseconds(double share) const
    {
        std::uint64_t below = 0;
        std::size_t slot = 0;
        while (slot < counts_.size() - 1 &&
               static_cast<double>(below += counts_[slot]) < share * static_cast<double>(all_))
            slot++;
        return std::exp2(static_cast<double>(slot + 1) / slots_an_octave) / 1000;
    }
    std::uint64_t count() const
    {
        return all_;
    }

  private:
    static constexpr double slots_an_octave = 8;
    std::array<std::uint64_t, 320> counts_{};
    std::uint64_t all_ = 0;
};

/* What the process holds in memory now; 0 where there is no /proc. */
long resident_kib()
{
    long pages = 0, unused = 0;
    std::ifstream("/proc/self/statm") >> unused >> pages;
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Equal numbers can be different bits, and this looks at bits. */
std::uint64_t bits(double value)
{
    std::uint64_t out = 0;
    std::memcpy(&out, &value, sizeof out);
    return out;
}

struct outcome {
    latencies times;
    std::uint64_t refused = 0, wrong = 0;
    long resident_warm = 0;
};

void reply_in_order(bounded_queue<asked> &waiting, const std::vector<double> &expected, outcome &result)
{
    while (auto next = waiting.pop()) {
        const answer got = next->reply.get();
        result.times.add(steady::now() - next->when);
        result.refused += !got;
        const bool right = next->bad ? !got : got && bits(*got) == bits(expected[next->row]);
        result.wrong += !right;
        if (result.times.count() == warm_up)
            result.resident_warm = resident_kib();
    }
}

struct settings {
    double seconds = std::numeric_limits<double>::infinity();
    unsigned workers = std::max(2u, std::thread::hardware_concurrency());
    std::string rows, model;
};

/* The clients: as fast as the service takes it, row after row of the table, until it is time. */
void ask(const std::vector<float> &table, std::size_t cols, double seconds, bounded_queue<request> &requests,
         bounded_queue<asked> &waiting)
{
    const auto begin = steady::now();
    const std::size_t count = table.size() / cols;
    for (std::size_t i = 0; told_to_end == 0; i++) {
        const auto now = steady::now();
        if (std::chrono::duration<double>(now - begin).count() >= seconds)
            break;
        const std::size_t row = i % count;
        const bool bad = i % bad_every == bad_every - 1;
        const float *first = table.data() + row * cols;
        request next{std::vector<float>(first, first + cols), {}};
        if (bad)
            next.row[i % cols] = std::numeric_limits<float>::quiet_NaN();
        waiting.push({row, bad, now, next.reply.get_future()});
        requests.push(std::move(next));
    }
}

outcome serve(const dum::scorer &scorer, const std::vector<float> &table, double seconds, unsigned workers)
{
    const std::vector<double> expected = scorer.score(dum::rows(table, scorer.cols()));
    outcome result;
    bounded_queue<request> requests;
    bounded_queue<asked> waiting;
    std::vector<std::thread> threads;
    threads.reserve(workers);
    for (unsigned i = 0; i < workers; i++)
        threads.emplace_back(work, std::ref(requests), std::cref(scorer));
    std::thread replies(reply_in_order, std::ref(waiting), std::cref(expected), std::ref(result));

    ask(table, static_cast<std::size_t>(scorer.cols()), seconds, requests, waiting);

    requests.close();
    waiting.close();
    for (std::thread &thread : threads)
        thread.join();
    replies.join();
    return result;
}

dum::scorer model_of(dum::context &context, const dum::dataset &data, const std::string &path)
{
    if (!path.empty())
        return dum::scorer::load(context, path);
    dum::scorer scorer(context, "dum");
    scorer.set("width", 64).set("steps", 100).set("seed", 1).fit(data);
    return scorer;
}

bool run(const settings &chosen)
{
    dum::context context;
    const dum::dataset data(context, chosen.rows);
    const dum::scorer scorer = model_of(context, data, chosen.model);
    const std::vector<float> table = data.read(0, data.count());

    const auto begin = steady::now();
    const outcome result = serve(scorer, table, chosen.seconds, chosen.workers);
    const double seconds = std::chrono::duration<double>(steady::now() - begin).count();

    const std::uint64_t answers = result.times.count();
    std::printf("%llu answers in %.1f s by %u workers, %.0f a second; %llu refused, %llu wrong\n",
                static_cast<unsigned long long>(answers), seconds, chosen.workers,
                static_cast<double>(answers) / seconds, static_cast<unsigned long long>(result.refused),
                static_cast<unsigned long long>(result.wrong));
    std::printf("microseconds from request to answer: median %.0f, 99 %% %.0f, 99.9 %% %.0f\n",
                result.times.microseconds(0.5), result.times.microseconds(0.99),
                result.times.microseconds(0.999));
    if (result.resident_warm > 0)
        std::printf("memory grew by %ld KiB after the first %llu answers\n",
                    resident_kib() - result.resident_warm, static_cast<unsigned long long>(warm_up));
    return result.wrong == 0;
}

std::optional<settings> parse(int argc, char **argv)
{
    settings chosen;
    std::vector<std::string> paths;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        if (word.rfind("--", 0) != 0) {
            paths.push_back(word);
            continue;
        }
        char *end = nullptr;
        const double value = i + 1 < argc ? std::strtod(argv[++i], &end) : 0;
        if (end == nullptr || *end != '\0' || !(value > 0))
            return std::nullopt;
        if (word == "--seconds")
            chosen.seconds = value;
        else if (word == "--workers" && value <= 1000)
            chosen.workers = static_cast<unsigned>(std::ceil(value));
        else
            return std::nullopt;
    }
    if (paths.empty() || paths.size() > 2)
        return std::nullopt;
    chosen.rows = paths[0];
    chosen.model = paths.size() == 2 ? paths[1] : "";
    return chosen;
}

} // namespace

int main(int argc, char **argv)
{
    try {
        const std::optional<settings> chosen = parse(argc, argv);
        if (!chosen) {
            std::fputs("usage: service [--seconds S] [--workers N] rows.npy [model.dum]\n", stderr);
            return 2;
        }
        std::signal(SIGINT, [](int) { told_to_end = 1; });
        std::signal(SIGTERM, [](int) { told_to_end = 1; });
        return run(*chosen) ? 0 : 1;
    } catch (const std::exception &problem) {
        std::fprintf(stderr, "service: %s\n", problem.what());
        return 1;
    }
}
