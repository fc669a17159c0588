/*
 * The simulated disk keeps the contract of every disk; what was synced survives each power cut, and
 * what was not is lost in all the ways that there are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk_contract.h"
#include "disk_sim.h"
#include "support/support.h"

#define SEEDS  300u
#define SECTOR DISK_SIM_SECTOR_BYTES

static void make(struct disk_pair *ret_pair)
{
    struct disk_sim *sim = disk_sim_new();
    ret_pair->disk = disk_sim_folder(sim, "one");
    ret_pair->other = disk_sim_folder(sim, "two");
    ret_pair->owner = sim;
}

static void unmake(struct disk_pair *pair)
{
    disk_close(pair->disk);
    disk_close(pair->other);
    disk_sim_free(pair->owner);
}

/* ---- a machine with one folder ------------------------------------------------------------- */

struct machine {
    struct disk_sim *sim;
    struct disk *disk;
};

static struct machine machine_of(struct disk_sim *sim)
{
    return (struct machine){sim, disk_sim_folder(sim, "data")};
}

static void machine_free(struct machine *machine)
{
    disk_close(machine->disk);
    disk_sim_free(machine->sim);
}

static struct machine cut(const struct machine *machine, uint64_t seed, uint32_t flags)
{
    return machine_of(disk_sim_power_cut(machine->sim, seed, flags));
}

static struct disk_file *open_file(struct disk *disk, const char *name, uint32_t flags)
{
    struct disk_file *file = NULL;
    assert_int_equal(disk_file_open(disk, name, flags, &file, NULL), KVS_OK);
    return file;
}

/* Sectors filled with one character each: "aab" are three. */
static void write_sectors(struct disk_file *file, uint64_t first, const char *sectors)
{
    for (uint64_t i = 0; sectors[i] != '\0'; i++) {
        char content[SECTOR];
        memset(content, sectors[i], SECTOR);
        assert_int_equal(disk_file_write(file, (first + i) * SECTOR, content, SECTOR, NULL),
                         KVS_OK);
    }
}

#define TEXT_MAX 32u

/* What a file's sectors hold, as above; '.' for zeros, '/' where a sector is mixed. "-": there is no
   such file. */
static void read_sectors(struct disk *disk, const char *name, char text[TEXT_MAX])
{
    struct disk_file *file;
    strcpy(text, "-");
    if (disk_file_open(disk, name, DISK_READ_ONLY, &file, NULL) != KVS_OK)
        return;
    uint64_t got = SECTOR;
    uint64_t i = 0;
    for (; got == SECTOR && i < TEXT_MAX - 1; i++) {
        char content[SECTOR + 1] = {0};
        assert_int_equal(disk_file_read(file, i * SECTOR, content, SECTOR, &got, NULL), KVS_OK);
        if (got == 0)
            break;
        text[i] = content[0] == '\0' ? '.' : content[0];
        for (uint64_t at = 1; at < got; at++) {
            if (content[at] != content[0])
                text[i] = '/';
        }
    }
    text[i] = '\0';
    disk_file_close(file);
}

static void assert_sectors(struct disk *disk, const char *name, const char *expected)
{
    char text[TEXT_MAX];
    read_sectors(disk, name, text);
    assert_string_equal(text, expected);
}

/* Counts how often each of some outcomes came; another one is a failure. */
struct tally {
    const char *const *outcomes;
    unsigned counts[16];
};

static void tally_note(struct tally *tally, const char *outcome)
{
    for (unsigned i = 0; tally->outcomes[i] != NULL; i++) {
        if (strcmp(tally->outcomes[i], outcome) == 0) {
            tally->counts[i]++;
            return;
        }
    }
    fail_msg("unexpected outcome: %s", outcome);
}

static void tally_check(const struct tally *tally)
{
    for (unsigned i = 0; tally->outcomes[i] != NULL; i++) {
        if (tally->counts[i] == 0)
            fail_msg("outcome %s never came", tally->outcomes[i]);
    }
}

/* Cuts the power with each seed: exactly these outcomes come. */
static void assert_outcomes(const struct machine *machine, uint32_t flags, const char *name,
                            const char *const *outcomes)
{
    struct tally tally = {.outcomes = outcomes};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine after = cut(machine, seed, flags);
        char text[TEXT_MAX];
        read_sectors(after.disk, name, text);
        tally_note(&tally, text);
        machine_free(&after);
    }
    tally_check(&tally);
}

#define ASSERT_OUTCOMES(machine, flags, name, ...)                                                 \
    assert_outcomes((machine), (flags), (name), (const char *const[]){__VA_ARGS__, NULL})

static struct machine machine_with(const char *name, const char *sectors)
{
    struct machine machine = machine_of(disk_sim_new());
    struct disk_file *file = open_file(machine.disk, name, DISK_CREATE);
    write_sectors(file, 0, sectors);
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK);
    assert_int_equal(disk_sync_folder(machine.disk, NULL), KVS_OK);
    disk_file_close(file);
    return machine;
}

/* ---- content ------------------------------------------------------------------------------- */

static void synced_content_survives(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "abc");
    ASSERT_OUTCOMES(&machine, DISK_SIM_TEAR_SECTORS | DISK_SIM_ZERO_SECTORS, "a", "abc");
    machine_free(&machine);
}

static void unsynced_content_may_be_lost(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "abc");
    struct disk_file *file = open_file(machine.disk, "a", 0);
    write_sectors(file, 1, "xy");
    ASSERT_OUTCOMES(&machine, 0, "a", "abc", "axc", "aby", "axy");
    assert_sectors(machine.disk, "a", "axy"); /* the machine itself runs on */
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "axy");
    disk_file_close(file);
    machine_free(&machine);
}

static void a_new_end_may_be_lost(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "a");
    struct disk_file *file = open_file(machine.disk, "a", 0);
    write_sectors(file, 1, "b");
    struct tally lengths = {.outcomes = (const char *const[]){"a", "a.", "ab", NULL}};
    bool between = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine after = cut(&machine, seed, 0);
        char text[TEXT_MAX];
        read_sectors(after.disk, "a", text);
        tally_note(&lengths, text);
        struct disk_file *left = open_file(after.disk, "a", DISK_READ_ONLY);
        uint64_t bytes;
        assert_int_equal(disk_file_size(left, &bytes, NULL), KVS_OK);
        assert_in_range(bytes, SECTOR, 2 * SECTOR);
        between |= bytes != SECTOR && bytes != 2 * SECTOR;
        disk_file_close(left);
        machine_free(&after);
    }
    tally_check(&lengths);
    assert_true(between);
    disk_file_close(file);
    machine_free(&machine);
}

static void a_lost_end_may_come_back(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "abc");
    struct disk_file *file = open_file(machine.disk, "a", 0);
    assert_int_equal(disk_file_truncate(file, SECTOR, NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "a", "abc");
    assert_int_equal(disk_file_truncate(file, 2 * SECTOR, NULL), KVS_OK);
    assert_sectors(machine.disk, "a", "a.");
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "a.");
    disk_file_close(file);
    machine_free(&machine);
}

static void mappings_are_content(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "abc");
    struct disk_file *file = open_file(machine.disk, "a", 0);
    void *memory = NULL;
    assert_int_equal(disk_file_map(file, 3 * SECTOR, true, &memory, NULL), KVS_OK);
    memset((char *)memory + SECTOR, 'x', SECTOR);
    ASSERT_OUTCOMES(&machine, 0, "a", "abc", "axc");
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "axc");
    disk_file_unmap(file, memory, 3 * SECTOR);
    disk_file_close(file);
    machine_free(&machine);
}

static void sectors_break_when_asked(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "a");
    struct disk_file *file = open_file(machine.disk, "a", 0);
    write_sectors(file, 0, "x");
    ASSERT_OUTCOMES(&machine, 0, "a", "a", "x");
    ASSERT_OUTCOMES(&machine, DISK_SIM_TEAR_SECTORS, "a", "a", "x", "/");
    ASSERT_OUTCOMES(&machine, DISK_SIM_ZERO_SECTORS, "a", "a", "x", ".");
    disk_file_close(file);
    machine_free(&machine);
}

/* ---- names --------------------------------------------------------------------------------- */

static void new_names_may_be_lost(void **state)
{
    (void)state;
    struct machine machine = machine_of(disk_sim_new());
    struct disk_file *file = open_file(machine.disk, "a", DISK_CREATE);
    write_sectors(file, 0, "x");
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK); /* of the file, not of its name */
    ASSERT_OUTCOMES(&machine, 0, "a", "-", "x");
    assert_int_equal(disk_sync_folder(machine.disk, NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "x");
    disk_file_close(file);
    machine_free(&machine);
}

static void removed_names_may_come_back(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "x");
    assert_int_equal(disk_remove(machine.disk, "a", NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "-", "x");
    assert_int_equal(disk_sync_folder(machine.disk, NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "-");
    machine_free(&machine);
}

/* The name is there all the time, with the one content or the other. */
static void renaming_is_one_step(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "x");
    struct disk_file *file = open_file(machine.disk, "new", DISK_CREATE);
    write_sectors(file, 0, "y");
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK);
    assert_int_equal(disk_sync_folder(machine.disk, NULL), KVS_OK);
    assert_int_equal(disk_rename(machine.disk, "new", "a", NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "x", "y");
    ASSERT_OUTCOMES(&machine, 0, "new", "-", "y");
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine after = cut(&machine, seed, 0);
        char a[TEXT_MAX];
        char new[TEXT_MAX];
        read_sectors(after.disk, "a", a);
        read_sectors(after.disk, "new", new);
        assert_string_equal(new, strcmp(a, "y") == 0 ? "-" : "y");
        machine_free(&after);
    }
    assert_int_equal(disk_sync_folder(machine.disk, NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "y");
    disk_file_close(file);
    machine_free(&machine);
}

/* A file that was renamed before it was synced: its name may be there before its content. */
static void names_do_not_wait_for_content(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "x");
    struct disk_file *file = open_file(machine.disk, "new", DISK_CREATE);
    write_sectors(file, 0, "y");
    assert_int_equal(disk_rename(machine.disk, "new", "a", NULL), KVS_OK);
    assert_int_equal(disk_sync_folder(machine.disk, NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "", ".", "y");
    disk_file_close(file);
    machine_free(&machine);
}

/* Changes of two names: in their order, or not. */
static void names_are_reordered(void **state)
{
    (void)state;
    struct machine machine = machine_of(disk_sim_new());
    disk_file_close(open_file(machine.disk, "a", DISK_CREATE));
    disk_file_close(open_file(machine.disk, "b", DISK_CREATE));
    struct tally tally = {.outcomes = (const char *const[]){"", "a", "b", "ab", NULL}};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine after = cut(&machine, seed, 0);
        char names[TEXT_MAX] = "";
        char text[TEXT_MAX];
        for (const char *name = "a"; name != NULL; name = name[0] == 'a' ? "b" : NULL) {
            read_sectors(after.disk, name, text);
            if (strcmp(text, "-") != 0)
                strcat(names, name);
        }
        tally_note(&tally, names);
        machine_free(&after);
    }
    tally_check(&tally);
    machine_free(&machine);
}

static void links_lead_to_one_file(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "x");
    struct disk *copy = disk_sim_folder(machine.sim, "copy");
    assert_int_equal(disk_link(machine.disk, "a", copy, "b", NULL), KVS_OK);
    assert_int_equal(disk_sync_folder(copy, NULL), KVS_OK);
    struct machine after = cut(&machine, 1, 0);
    struct disk *copy_after = disk_sim_folder(after.sim, "copy");
    assert_sectors(copy_after, "b", "x");
    struct disk_file *file = open_file(copy_after, "b", 0);
    uint64_t links = 0;
    assert_int_equal(disk_file_links(file, &links, NULL), KVS_OK);
    assert_int_equal(links, 2);
    write_sectors(file, 0, "y");
    assert_sectors(after.disk, "a", "y");
    assert_sectors(machine.disk, "a", "x");
    disk_file_close(file);
    disk_close(copy_after);
    disk_close(copy);
    machine_free(&after);
    machine_free(&machine);
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void seeds_say_it_all(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "abcdefgh");
    struct disk_file *file = open_file(machine.disk, "a", 0);
    write_sectors(file, 0, "ABCDEFGH");
    for (uint64_t seed = 0; seed < 20; seed++) {
        char text[2][TEXT_MAX];
        for (unsigned i = 0; i < 2; i++) {
            struct machine after = cut(&machine, seed, DISK_SIM_TEAR_SECTORS);
            read_sectors(after.disk, "a", text[i]);
            machine_free(&after);
        }
        assert_string_equal(text[0], text[1]);
    }
    disk_file_close(file);
    machine_free(&machine);
}

/* All is there after a kill; what was not durable still is not. */
static void killing_loses_nothing(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "abc");
    struct disk_file *file = open_file(machine.disk, "a", 0);
    write_sectors(file, 1, "x");
    disk_file_close(open_file(machine.disk, "b", DISK_CREATE));
    struct machine after = machine_of(disk_sim_kill(machine.sim));
    write_sectors(file, 2, "y"); /* of no concern to the copy */
    assert_sectors(after.disk, "a", "axc");
    assert_sectors(after.disk, "b", "");
    ASSERT_OUTCOMES(&after, 0, "a", "abc", "axc");
    ASSERT_OUTCOMES(&after, 0, "b", "-", "");
    disk_file_close(file);
    machine_free(&after);
    machine_free(&machine);
}

static void moments_can_be_kept(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "a");
    uint64_t before = disk_sim_changes(machine.sim);
    struct disk_file *file = open_file(machine.disk, "a", 0); /* no change */
    disk_sim_freeze_at(machine.sim, before + 1);
    write_sectors(file, 0, "b");
    assert_int_equal(disk_sim_changes(machine.sim), before + 1);
    assert_null(disk_sim_take_frozen(machine.sim));
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK);
    write_sectors(file, 0, "c");
    struct machine frozen = machine_of(disk_sim_take_frozen(machine.sim));
    assert_null(disk_sim_take_frozen(machine.sim));
    assert_sectors(frozen.disk, "a", "b");
    ASSERT_OUTCOMES(&frozen, 0, "a", "a", "b"); /* the sync was still to come */
    disk_file_close(file);
    machine_free(&frozen);
    machine_free(&machine);
}

/* ---- what goes wrong ----------------------------------------------------------------------- */

/* A sync that failed takes what it did not store for stored; only what is written again is. */
static void a_failed_sync_is_forgotten(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "ab");
    struct disk_file *file = open_file(machine.disk, "a", 0);
    disk_sim_fail_syncs(machine.sim, 1, 1, 2); /* a seed that does not store both */
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK);
    write_sectors(file, 0, "xy");
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_IO, disk_file_sync(file, &error.error), &error);
    assert_int_equal(error.error.os_errno, EIO);
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK);
    assert_sectors(machine.disk, "a", "xy");
    struct machine after = cut(&machine, 0, 0);
    char stored[TEXT_MAX];
    read_sectors(after.disk, "a", stored);
    assert_string_not_equal(stored, "xy");
    machine_free(&after);
    ASSERT_OUTCOMES(&machine, 0, "a", stored); /* nothing is on its way any more */

    write_sectors(file, 0, "xy"); /* the same bytes */
    assert_int_equal(disk_file_sync(file, NULL), KVS_OK);
    ASSERT_OUTCOMES(&machine, 0, "a", "xy");
    disk_file_close(file);
    machine_free(&machine);
}

static void a_failed_sync_stores_some(void **state)
{
    (void)state;
    struct tally tally = {.outcomes = (const char *const[]){"ab", "xb", "ay", "xy", NULL}};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine machine = machine_with("a", "ab");
        struct disk_file *file = open_file(machine.disk, "a", 0);
        write_sectors(file, 0, "xy");
        disk_sim_fail_syncs(machine.sim, 0, 1, seed);
        assert_int_equal(disk_file_sync(file, NULL), KVS_IO);
        disk_file_close(file);
        struct machine killed = machine_of(disk_sim_kill(machine.sim)); /* which changes nothing */
        assert_sectors(killed.disk, "a", "xy");
        struct machine after = cut(&killed, 0, 0);
        char text[TEXT_MAX];
        read_sectors(after.disk, "a", text);
        tally_note(&tally, text);
        machine_free(&after);
        machine_free(&killed);
        machine_free(&machine);
    }
    tally_check(&tally);
}

static uint64_t free_bytes(const struct machine *machine)
{
    uint64_t bytes = 0;
    assert_int_equal(disk_free_bytes(machine->disk, &bytes, NULL), KVS_OK);
    return bytes;
}

static void folder_syncs_fail(void **state)
{
    (void)state;
    struct machine machine = machine_of(disk_sim_new());
    disk_sim_fail_folder_syncs(machine.sim, 1);
    disk_file_close(open_file(machine.disk, "a", DISK_CREATE));
    assert_int_equal(disk_sync_folder(machine.disk, NULL), KVS_OK);
    disk_file_close(open_file(machine.disk, "b", DISK_CREATE));
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(disk_sync_folder(machine.disk, NULL), KVS_IO);
    unsigned kept = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct machine after = machine_of(disk_sim_power_cut(machine.sim, seed, 0));
        struct disk_file *file = NULL;
        disk_file_close(open_file(after.disk, "a", 0));
        kept += disk_file_open(after.disk, "b", 0, &file, NULL) == KVS_OK;
        disk_file_close(file);
        machine_free(&after);
    }
    assert_true(kept > 0 && kept < 20);
    machine_free(&machine);
}

static void a_full_disk(void **state)
{
    (void)state;
    static const char content[5 * DISK_SIM_BLOCK_BYTES] = {'x'};
    const uint64_t block = DISK_SIM_BLOCK_BYTES;
    struct machine machine = machine_of(disk_sim_new());
    struct disk_file *a = open_file(machine.disk, "a", DISK_CREATE);
    struct disk_file *b = open_file(machine.disk, "b", DISK_CREATE);
    struct test_error error;
    test_error_init(&error);
    disk_sim_set_capacity(machine.sim, 4 * block);
    assert_int_equal(disk_file_reserve(a, 2 * block, NULL), KVS_OK);
    assert_int_equal(free_bytes(&machine), 2 * block);
    assert_status(KVS_NO_SPACE, disk_file_reserve(b, 3 * block, &error.error), &error);
    assert_int_equal(error.error.os_errno, ENOSPC);
    uint64_t bytes = 99;
    assert_int_equal(disk_file_size(b, &bytes, NULL), KVS_OK);
    assert_int_equal(bytes, 0);
    assert_int_equal(free_bytes(&machine), 2 * block);

    /* Half of it fits. */
    assert_int_equal(disk_file_write(b, 10, content, 3 * block, NULL), KVS_NO_SPACE);
    assert_int_equal(disk_file_size(b, &bytes, NULL), KVS_OK);
    assert_int_equal(bytes, 2 * block);
    assert_int_equal(free_bytes(&machine), 0);
    /* What was reserved can be written. */
    assert_int_equal(disk_file_write(a, 0, content, 2 * block, NULL), KVS_OK);
    assert_int_equal(disk_file_write(a, 2 * block, content, 1, NULL), KVS_NO_SPACE);
    /* Space comes back. */
    assert_int_equal(disk_file_truncate(b, block, NULL), KVS_OK);
    assert_int_equal(free_bytes(&machine), block);
    disk_file_close(b);
    assert_int_equal(disk_remove(machine.disk, "b", NULL), KVS_OK);
    assert_int_equal(disk_sync_folder(machine.disk, NULL), KVS_OK);
    assert_int_equal(free_bytes(&machine), 2 * block);
    assert_int_equal(disk_file_write(a, 2 * block, content, 2 * block, NULL), KVS_OK);
    disk_sim_set_room(machine.sim, block);
    assert_int_equal(free_bytes(&machine), block);
    assert_int_equal(disk_file_write(a, 4 * block, content, block, NULL), KVS_OK);
    disk_file_close(a);
    machine_free(&machine);
}

static void without_reserving(void **state)
{
    (void)state;
    struct machine machine = machine_with("a", "x");
    struct disk_file *file = open_file(machine.disk, "a", 0);
    disk_sim_set_can_reserve(machine.sim, false);
    assert_int_equal(disk_file_reserve(file, 10 * SECTOR, NULL), KVS_UNSUPPORTED);
    assert_sectors(machine.disk, "a", "x");
    disk_file_close(file);
    machine_free(&machine);
}

int main(void)
{
    static const struct disk_maker maker = {make, unmake};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_content_survives),
        cmocka_unit_test(unsynced_content_may_be_lost),
        cmocka_unit_test(a_new_end_may_be_lost),
        cmocka_unit_test(a_lost_end_may_come_back),
        cmocka_unit_test(mappings_are_content),
        cmocka_unit_test(sectors_break_when_asked),
        cmocka_unit_test(new_names_may_be_lost),
        cmocka_unit_test(removed_names_may_come_back),
        cmocka_unit_test(renaming_is_one_step),
        cmocka_unit_test(names_do_not_wait_for_content),
        cmocka_unit_test(names_are_reordered),
        cmocka_unit_test(links_lead_to_one_file),
        cmocka_unit_test(seeds_say_it_all),
        cmocka_unit_test(killing_loses_nothing),
        cmocka_unit_test(moments_can_be_kept),
        cmocka_unit_test(a_failed_sync_is_forgotten),
        cmocka_unit_test(a_failed_sync_stores_some),
        cmocka_unit_test(folder_syncs_fail),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(without_reserving),
    };
    int failed = disk_contract_run("engine-log-disk-sim-contract", &maker);
    failed += cmocka_run_group_tests_name("engine-log-disk-sim", tests, NULL, NULL);
    return failed;
}
