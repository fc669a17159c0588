/*
 * The manifest and power cuts: at each change that it makes to the disk, with what was not durable
 * lost in many ways, it opens with all commits that were done, and the one at hand whole or not.
 */
#include <stdlib.h>
#include <string.h>

#include "manifest_support.h"

#define SEEDS 25u
#define STEPS 8u

/* What a run has committed: models[done] is the last one, models[done + 1] the one at hand. */
struct run {
    unsigned done;
    struct model models[STEPS + 2];
};

/* Makes a manifest and commits, until change number `stop` was made. */
static void run_commits(struct folder *folder, struct run *run, uint64_t stop)
{
    struct manifest *manifest = must_create(folder->disk);
    *run = (struct run){0};
    for (uint32_t step = 0; step < STEPS; step++) {
        manifest_begin(manifest);
        must_put(manifest, step);
        if (step % 3 == 2) {
            must_put(manifest, step - 1);
            manifest_remove(manifest, step - 2);
        }
        run->models[run->done + 1] = model_of(manifest);
        must_commit(manifest);
        if (disk_sim_changes(folder->sim) > stop)
            break; /* the moment was in this commit */
        run->done++;
    }
    manifest_free(manifest);
}

static void check_opens(struct disk_sim *after, const struct run *run)
{
    struct disk *disk = disk_sim_folder(after, "data");
    struct manifest *manifest = must_open(disk, false);
    struct model found = model_of(manifest);
    assert_true(model_equal(&found, &run->models[run->done]) ||
                model_equal(&found, &run->models[run->done + 1]));
    put_one(manifest, 12); /* and goes on */
    found = model_of(manifest);
    manifest_free(manifest);
    struct disk_sim *again = disk_sim_power_cut(after, 7, 0);
    struct disk *disk_again = disk_sim_folder(again, "data");
    manifest = must_open(disk_again, false);
    assert_model(manifest, &found);
    manifest_free(manifest);
    disk_close(disk_again);
    disk_sim_free(again);
    disk_close(disk);
    disk_sim_free(after);
}

/* The power goes at change `stop`, or the process is killed and opened before it goes. */
static bool cut_at(uint64_t stop)
{
    void *state;
    struct run run;
    folder_setup(&state);
    struct folder *folder = state;
    disk_sim_freeze_at(folder->sim, stop);
    run_commits(folder, &run, stop);
    struct disk_sim *frozen = disk_sim_take_frozen(folder->sim);
    if (frozen != NULL) {
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            check_opens(disk_sim_power_cut(frozen, seed, seed % 2 ? DISK_SIM_TEAR_SECTORS : 0),
                        &run);
        check_opens(disk_sim_kill(frozen), &run);
        disk_sim_free(frozen);
    }
    folder_teardown(&state);
    return frozen != NULL;
}

static void the_power_goes_at_each_change(void **state)
{
    (void)state;
    /* Before it has its name, there is no manifest. */
    struct disk_sim *sim = disk_sim_new();
    struct disk *disk = disk_sim_folder(sim, "data");
    struct manifest *manifest = must_create(disk);
    uint64_t stop = disk_sim_changes(sim);
    manifest_free(manifest);
    disk_close(disk);
    disk_sim_free(sim);
    uint64_t first = stop;
    while (cut_at(stop))
        stop++;
    assert_true(stop >= first + 3 * STEPS); /* write, sync, seal */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_power_goes_at_each_change)};
    return cmocka_run_group_tests_name("engine-log-manifest-power", tests, NULL, NULL);
}
