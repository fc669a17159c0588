/* See progress.h. */
#include "harness/progress.h"

#include <unistd.h>

#include "base/clock.h"

#define REDRAW_S        0.2
#define CORRECT_AFTER_S 3.0 /* before that the estimate is taken as it is */
#define CLEAR_LINE      "\r\033[K"

static double elapsed_s(const struct progress *progress)
{
    return (double)(clock_now_ns() - progress->begin_ns) / (double)NS_PER_S;
}

void progress_init(struct progress *progress, FILE *out, double total_s)
{
    *progress = (struct progress){
        .out = out,
        .terminal = out != NULL && isatty(fileno(out)) == 1,
        .begin_ns = clock_now_ns(),
        .total_s = total_s,
    };
}

double progress_left_s(const struct progress *progress, double elapsed)
{
    double done_s = progress->done_s + progress->block_s * progress->block_share;
    double left_s = progress->total_s > done_s ? progress->total_s - done_s : 0;
    return elapsed > CORRECT_AFTER_S && done_s > 0 ? left_s * elapsed / done_s : left_s;
}

void progress_format_time(double seconds, char text[PROGRESS_TIME_MAX])
{
    uint64_t whole = (uint64_t)(seconds + 0.5);
    (void)snprintf(text, PROGRESS_TIME_MAX, "%llu:%02llu", (unsigned long long)(whole / 60),
                   (unsigned long long)(whole % 60));
}

void progress_block_begin(struct progress *progress, const char *block, double estimate_s)
{
    progress->block = block;
    progress->block_s = estimate_s;
    progress->block_share = 0;
    if (progress->out == NULL || progress->terminal)
        return;
    char left[PROGRESS_TIME_MAX];
    progress_format_time(progress_left_s(progress, elapsed_s(progress)), left);
    (void)fprintf(progress->out, "measuring %s (about %s left)\n", block, left);
    (void)fflush(progress->out);
}

void progress_show(struct progress *progress, double share, const char *what)
{
    progress->block_share = share < 1 ? share : 1;
    double now_s = elapsed_s(progress);
    if (!progress->terminal || now_s - progress->shown_s < REDRAW_S)
        return;
    double left_s = progress_left_s(progress, now_s);
    char left[PROGRESS_TIME_MAX];
    progress_format_time(left_s, left);
    (void)fprintf(progress->out, CLEAR_LINE "%3.0f %%  about %s left  %s: %s",
                  100 * now_s / (now_s + left_s), left, progress->block, what);
    (void)fflush(progress->out);
    progress->shown_s = now_s;
}

void progress_block_end(struct progress *progress)
{
    progress->done_s += progress->block_s;
    progress->block_s = 0;
    progress->block_share = 0;
    if (progress->terminal)
        (void)fprintf(progress->out, CLEAR_LINE);
}
