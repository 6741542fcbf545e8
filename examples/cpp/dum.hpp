/* SPDX-License-Identifier: MIT
 * libdum for C++17: handles that own, errors that throw. Copy this file into your project; all else is dum.h, whose
 * functions take what get() returns.
 *
 * A const method may run on any number of threads at once; one without const needs the object for itself. */
#ifndef DUM_HPP
#define DUM_HPP

#include <dum.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace dum
{

/* What a call of the library refused: its message, and its status. */
class error : public std::runtime_error
{
  public:
    error(dum_status status, const char *message) : std::runtime_error(message), status_(status)
    {
    }
    dum_status status() const noexcept
    {
        return status_;
    }

  private:
    dum_status status_;
};

/* For dum.h's own functions, too. DUM_CANCELLED is the caller's affair: see scorer::fit. */
inline void check(dum_status status)
{
    if (status != DUM_OK)
        throw error(status, dum_error_message());
}

/* An option or result struct of dum.h, cleared and marked with its size. */
template <class Struct> Struct sized()
{
    Struct object;
    DUM_INIT(object);
    return object;
}

/* Owns a handle of dum.h. It can be moved, not copied. For those without a class below:
 * `dum::handle<dum_monitor, dum_monitor_destroy> monitor(dum::made<dum_monitor>(dum_monitor_create, context.get()));` */
template <class T, void (*destroy)(T *)> class handle
{
  public:
    explicit handle(T *pointer) noexcept : pointer_(pointer)
    {
    }
    T *get() noexcept
    {
        return pointer_.get();
    }
    const T *get() const noexcept
    {
        return pointer_.get();
    }

  private:
    struct destroyer {
        void operator()(T *pointer) const noexcept
        {
            destroy(pointer);
        }
    };
    std::unique_ptr<T, destroyer> pointer_;
};

/* What a create, load or open call puts into its last argument. */
template <class T, class Call, class... Arguments> T *made(Call call, Arguments... arguments)
{
    T *out = nullptr;
    check(call(arguments..., &out));
    return out;
}

/* Rows of float32, borrowed: whoever makes this keeps the numbers alive. */
struct rows {
    const float *data;
    std::int64_t count;
    std::int32_t cols;
    std::int64_t stride; /* from the start of a row to that of the next; 0: cols */

    rows(const float *numbers, std::int64_t row_count, std::int32_t columns, std::int64_t row_stride = 0)
        : data(numbers), count(row_count), cols(columns), stride(row_stride)
    {
    }
    rows(const std::vector<float> &numbers, std::int32_t columns) : rows(numbers.data(), 0, columns)
    {
        if (columns < 1 || numbers.size() % static_cast<std::size_t>(columns) != 0)
            throw std::invalid_argument(std::to_string(numbers.size()) + " numbers are not rows of " +
                                        std::to_string(columns));
        count = static_cast<std::int64_t>(numbers.size()) / columns;
    }
    rows(std::vector<float> &&, std::int32_t) = delete;

    rows row(std::int64_t index) const
    {
        return {data + index * (stride != 0 ? stride : cols), 1, cols};
    }
};

class context : public handle<dum_context, dum_context_destroy>
{
  public:
    context() : handle(made<dum_context>(dum_context_create, nullptr))
    {
    }
    explicit context(const dum_context_options &options)
        : handle(made<dum_context>(dum_context_create, &options))
    {
    }
};

class dataset : public handle<dum_dataset, dum_dataset_destroy>
{
  public:
    dataset(context &owner, const rows &x)
        : handle(made<dum_dataset>(dum_dataset_from_memory, owner.get(), x.data, x.count, x.cols, x.stride))
    {
    }
    dataset(context &owner, const std::string &npy)
        : handle(made<dum_dataset>(dum_dataset_from_npy, owner.get(), npy.c_str()))
    {
    }
    std::int64_t count() const noexcept
    {
        return dum_dataset_rows(get());
    }
    std::int32_t cols() const noexcept
    {
        return dum_dataset_cols(get());
    }
    std::vector<float> read(std::int64_t first, std::int64_t number) const
    {
        std::vector<float> out(static_cast<std::size_t>(number > 0 ? number * cols() : 0));
        check(dum_dataset_read(get(), first, number, out.data()));
        return out;
    }
};

/* Returns whether to go on. What it throws ends the fit and comes out of it. */
using progress = std::function<bool(const dum_progress &)>;

class scorer : public handle<dum_scorer, dum_scorer_destroy>
{
  public:
    scorer(context &owner, const std::string &kind)
        : handle(made<dum_scorer>(dum_scorer_create, owner.get(), kind.c_str()))
    {
    }
    static scorer load(context &owner, const std::string &path)
    {
        return scorer(made<dum_scorer>(dum_scorer_load, owner.get(), path.c_str()));
    }
    static scorer from_bytes(context &owner, const std::vector<std::byte> &model)
    {
        return scorer(made<dum_scorer>(dum_scorer_load_memory, owner.get(), model.data(), model.size()));
    }
    void save(const std::string &path) const
    {
        check(dum_scorer_save(get(), path.c_str()));
    }
    std::vector<std::byte> to_bytes() const
    {
        std::size_t size = 0;
        check(dum_scorer_save_memory(get(), nullptr, 0, &size));
        std::vector<std::byte> model(size);
        check(dum_scorer_save_memory(get(), model.data(), size, &size));
        return model;
    }

    /* Options, docs/options.md; before fit. */
    scorer &set(const std::string &option, double value)
    {
        check(dum_scorer_set_number(get(), option.c_str(), value));
        return *this;
    }
    scorer &set(const std::string &option, const std::string &value)
    {
        check(dum_scorer_set_text(get(), option.c_str(), value.c_str()));
        return *this;
    }

    /* Returns false where it was stopped, by `on_step` or options.max_seconds: the scorer is then what dum.h says. */
    bool fit(const dataset &data, const progress &on_step = {},
             dum_fit_options options = sized<dum_fit_options>())
    {
        stepper steps{on_step, nullptr};
        if (on_step) {
            options.progress = &stepper::step;
            options.progress_user = &steps;
        }
        const dum_status status = dum_scorer_fit(get(), data.get(), &options);
        if (steps.thrown)
            std::rethrow_exception(steps.thrown);
        if (status != DUM_CANCELLED)
            check(status);
        return status == DUM_OK;
    }

    /* Higher: more anomalous. */
    std::vector<double> score(const rows &x) const
    {
        std::vector<double> scores(size(x));
        check(dum_scorer_score(get(), x.data, x.count, x.cols, x.stride, scores.data()));
        return scores;
    }
    std::vector<double> score(const dataset &data) const
    {
        std::vector<double> scores(static_cast<std::size_t>(data.count()));
        check(dum_scorer_score_dataset(get(), data.get(), scores.data()));
        return scores;
    }
    /* One row, without allocation. */
    double score(const float *row, std::int32_t cols) const
    {
        double value = 0;
        check(dum_scorer_score(get(), row, 1, cols, 0, &value));
        return value;
    }

    /* Each feature's share of each row's score, as many numbers as x has; deviation (kind "dum"): in its own unit. */
    std::vector<float> explain(const rows &x, std::vector<float> *deviation = nullptr) const
    {
        std::vector<float> share(size(x) * static_cast<std::size_t>(x.cols));
        if (deviation != nullptr)
            deviation->resize(share.size());
        check(dum_scorer_explain(get(), x.data, x.count, x.cols, x.stride, share.data(),
                                 deviation != nullptr ? deviation->data() : nullptr));
        return share;
    }

    void calibrate(const dataset &held_out)
    {
        check(dum_scorer_calibrate(get(), held_out.get()));
    }
    /* At most this share of new normal rows scores above it. */
    double threshold(double false_alarm_rate) const
    {
        double value = 0;
        check(dum_scorer_threshold(get(), false_alarm_rate, &value));
        return value;
    }
    /* How usual such scores are among normal rows. */
    std::vector<double> pvalue(const std::vector<double> &scores) const
    {
        std::vector<double> p(scores.size());
        check(dum_scorer_pvalue(get(), scores.data(), static_cast<std::int64_t>(scores.size()), p.data()));
        return p;
    }
    std::int32_t cols() const noexcept
    {
        return dum_scorer_cols(get());
    }

  private:
    using handle::handle;

    static std::size_t size(const rows &x)
    {
        return static_cast<std::size_t>(x.count > 0 ? x.count : 0);
    }

    /* No exception may pass through the library: it waits here until fit has returned. */
    struct stepper {
        const progress &on_step;
        std::exception_ptr thrown;

        static std::int32_t step(void *user, const dum_progress *done) noexcept
        {
            auto *self = static_cast<stepper *>(user);
            try {
                return self->on_step(*done) ? 0 : 1;
            } catch (...) {
                self->thrown = std::current_exception();
                return 1;
            }
        }
    };
};

} // namespace dum

#endif
