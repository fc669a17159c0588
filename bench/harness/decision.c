/* See decision.h. */
#include "harness/decision.h"

/* 1: this attempt says faster, -1: slower, 0: neither. (D2, D3) */
static int attempt_direction(const struct ratio *attempt, double threshold)
{
    if (attempt->interval.low > 1 && attempt->value >= 1 + threshold)
        return 1;
    if (attempt->interval.high < 1 && attempt->value <= 1 / (1 + threshold))
        return -1;
    return 0;
}

enum verdict decision_make(const struct ratio *attempts, size_t count, double threshold)
{
    if (count == 0)
        return VERDICT_NONE;
    int first = attempt_direction(&attempts[0], threshold);
    for (size_t i = 0; i < count; i++) {
        int direction = attempt_direction(&attempts[i], threshold);
        if (direction == 0 || direction != first)
            return VERDICT_NO_CHANGE;
    }
    if (count < DECISION_ATTEMPTS) /* D1 */
        return VERDICT_UNDECIDED;
    return first > 0 ? VERDICT_FASTER : VERDICT_SLOWER;
}

const char *verdict_text(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_UNDECIDED:
        return "undecided";
    case VERDICT_NO_CHANGE:
        return "no change";
    case VERDICT_FASTER:
        return "faster";
    case VERDICT_SLOWER:
        return "slower";
    case VERDICT_NONE:
        break;
    }
    return "not compared";
}
