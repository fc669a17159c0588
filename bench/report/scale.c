/* See scale.h. Round figures are 1, 2 and 5 times a power of ten. */
#include "report/scale.h"

#include <math.h>

#define LINEAR_TICKS 5.0 /* about so many */
#define FACTOR_MIN   2.0

/* The smallest of 1, 2, 5 times a power of ten that is at least figure. */
static double round_up(double figure)
{
    double power = pow(10, floor(log10(figure)));
    static const double steps[] = {1, 2, 5, 10};
    for (size_t i = 0; i < 4; i++) {
        if (steps[i] * power >= figure * (1 - 1e-9))
            return steps[i] * power;
    }
    return 10 * power;
}

struct scale scale_linear(double high, double from, double to)
{
    if (!(high > 0))
        high = 1;
    double step = round_up(high / LINEAR_TICKS);
    return (struct scale){.high = ceil(high / step - 1e-9) * step, .from = from, .to = to};
}

struct scale scale_logarithmic(double low, double high, double from, double to)
{
    if (high < low * FACTOR_MIN) {
        double middle = sqrt(low * high);
        low = middle / sqrt(FACTOR_MIN);
        high = middle * sqrt(FACTOR_MIN);
    }
    return (struct scale){.logarithmic = true, .low = low, .high = high, .from = from, .to = to};
}

double scale_place(const struct scale *scale, double figure)
{
    double share;
    if (scale->logarithmic)
        share = figure > 0 ? log(figure / scale->low) / log(scale->high / scale->low) : 0;
    else
        share = (figure - scale->low) / (scale->high - scale->low);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return scale->from + share * (scale->to - scale->from);
}

static size_t linear_ticks(const struct scale *scale, double ticks[SCALE_TICKS_MAX])
{
    size_t count = 0;
    double step = round_up((scale->high - scale->low) / LINEAR_TICKS);
    for (double tick = scale->low; tick <= scale->high * (1 + 1e-9) && count < SCALE_TICKS_MAX;
         tick += step)
        ticks[count++] = tick;
    return count;
}

/* The figures m * 10^n inside the scale, for each m of the list. */
static size_t decade_ticks(const struct scale *scale, const double *list, size_t list_count,
                           double step, double ticks[SCALE_TICKS_MAX])
{
    size_t count = 0;
    double first = floor(log10(scale->low));
    first = floor(first / step) * step;
    for (double exponent = first; pow(10, exponent) <= scale->high; exponent += step) {
        for (size_t i = 0; i < list_count && count < SCALE_TICKS_MAX; i++) {
            double tick = list[i] * pow(10, exponent);
            if (tick >= scale->low * (1 - 1e-9) && tick <= scale->high * (1 + 1e-9))
                ticks[count++] = tick;
        }
    }
    return count;
}

size_t scale_ticks(const struct scale *scale, double ticks[SCALE_TICKS_MAX])
{
    static const double few[] = {1};
    static const double some[] = {1, 3};
    static const double many[] = {1, 2, 5};
    static const double most[] = {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9};
    if (!scale->logarithmic)
        return linear_ticks(scale, ticks);
    double decades = log10(scale->high / scale->low);
    if (decades > 7)
        return decade_ticks(scale, few, 1, 2, ticks);
    if (decades > 4)
        return decade_ticks(scale, few, 1, 1, ticks);
    if (decades > 2)
        return decade_ticks(scale, some, 2, 1, ticks);
    size_t count = decade_ticks(scale, many, 3, 1, ticks);
    return count >= 3 ? count : decade_ticks(scale, most, 12, 1, ticks);
}
