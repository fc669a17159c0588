/*
 * See zipf.h.
 *
 * With h(x) = x^-exponent and H its integral, a point u is drawn between H(1.5) - h(1) and
 * H(count + 0.5) and mapped back with H^-1 to the x axis, where it belongs to the nearest integer
 * k. It is accepted when it lies under the step of k: surely when it is near enough to k, else
 * after comparing u with H(k + 0.5) - h(k). More than nine draws in ten are accepted.
 */
#include "harness/zipf.h"

#include <glib.h>
#include <math.h>

/* log1p(x) / x, whole also around x = 0. */
static double log1p_ratio(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1.0 - x * (0.5 - x * (1.0 / 3.0));
}

/* expm1(x) / x, whole also around x = 0. */
static double expm1_ratio(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1.0 + x * 0.5 * (1.0 + x * (1.0 / 3.0));
}

static double step_height(const struct zipf *zipf, double x)
{
    return exp(-zipf->exponent * log(x));
}

static double integral(const struct zipf *zipf, double x)
{
    double log_x = log(x);
    return expm1_ratio((1.0 - zipf->exponent) * log_x) * log_x;
}

static double integral_inverse(const struct zipf *zipf, double u)
{
    double t = u * (1.0 - zipf->exponent);
    if (t < -1.0)
        t = -1.0; /* rounding at the far end */
    return exp(log1p_ratio(t) * u);
}

void zipf_init(struct zipf *zipf, uint64_t count, double exponent)
{
    zipf->count = count;
    zipf->exponent = exponent;
    zipf->integral_first = integral(zipf, 1.5) - 1.0;
    zipf->integral_last = integral(zipf, (double)count + 0.5);
    zipf->threshold = 2.0 - integral_inverse(zipf, integral(zipf, 2.5) - step_height(zipf, 2.0));
}

uint64_t zipf_next(const struct zipf *zipf, struct random *random)
{
    for (;;) {
        double u = zipf->integral_last +
                   random_unit(random) * (zipf->integral_first - zipf->integral_last);
        double x = integral_inverse(zipf, u);
        double k = floor(x + 0.5);
        if (k < 1.0)
            k = 1.0;
        else if (k > (double)zipf->count)
            k = (double)zipf->count;
        if (k - x <= zipf->threshold || u >= integral(zipf, k + 0.5) - step_height(zipf, k))
            return (uint64_t)k - 1;
    }
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

uint32_t *zipf_draws(uint64_t count, double exponent, uint64_t seed, size_t draw_count)
{
    struct zipf zipf;
    struct random random;
    zipf_init(&zipf, count, exponent);
    random_init(&random, seed);
    /* Multiplying by a number without a common divisor permutes the ranks. */
    uint64_t factor = (uint64_t)((double)count * 0.6180339887498949) | 1;
    while (greatest_common_divisor(factor, count) != 1)
        factor += 2;
    uint32_t *draws = g_new(uint32_t, draw_count);
    for (size_t i = 0; i < draw_count; i++)
        draws[i] = (uint32_t)((zipf_next(&zipf, &random) * factor + count / 3) % count);
    return draws;
}
