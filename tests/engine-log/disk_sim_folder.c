/* The simulated disk's folders: names as the running system sees them, as they are stored, and the
   changes between. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "disk_sim_internal.h"

/* ---- a set of names ----------------------------------------------------------------------- */

static struct sim_entry *sim_names_find(const struct sim_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->entries[i].name, name) == 0)
            return &names->entries[i];
    }
    return NULL;
}

/* Sets a name, or removes it. visible: it counts as a link. */
static void sim_names_set(struct sim_names *names, const struct sim_entry *entry, bool visible)
{
    struct sim_entry *place = sim_names_find(names, entry->name);
    struct sim_inode *former = place != NULL ? place->inode : NULL;
    if (entry->inode != NULL) {
        sim_inode_reference(entry->inode);
        entry->inode->links += visible;
    }
    if (entry->inode != NULL && place == NULL) {
        names->entries = realloc(names->entries, (names->count + 1) * sizeof(*names->entries));
        if (names->entries == NULL)
            abort();
        place = &names->entries[names->count++];
    }
    if (entry->inode != NULL)
        *place = *entry;
    else if (place != NULL)
        *place = names->entries[--names->count];
    if (former != NULL) {
        former->links -= visible;
        sim_inode_release(former);
    }
}

static void sim_names_clear(struct sim_names *names, bool visible)
{
    for (size_t i = 0; i < names->count; i++) {
        names->entries[i].inode->links -= visible;
        sim_inode_release(names->entries[i].inode);
    }
    free(names->entries);
    *names = (struct sim_names){0};
}

static void sim_names_copy(struct sim_names *to, const struct sim_names *from, bool clones,
                           bool visible)
{
    for (size_t i = 0; i < from->count; i++) {
        struct sim_entry entry = from->entries[i];
        if (clones)
            entry.inode = entry.inode->clone;
        sim_names_set(to, &entry, visible);
    }
}

/* ---- a folder ----------------------------------------------------------------------------- */

struct sim_folder *sim_folder_new(const char *name)
{
    struct sim_folder *folder = sim_alloc(sizeof(*folder));
    assert(strlen(name) < SIM_NAME_MAX);
    strcpy(folder->name, name);
    return folder;
}

static void sim_folder_forget_changes(struct sim_folder *folder)
{
    for (size_t i = 0; i < folder->change_count; i++) {
        for (unsigned e = 0; e < folder->changes[i].count; e++) {
            if (folder->changes[i].entries[e].inode != NULL)
                sim_inode_release(folder->changes[i].entries[e].inode);
        }
    }
    free(folder->changes);
    folder->changes = NULL;
    folder->change_count = 0;
}

void sim_folder_free(struct sim_folder *folder)
{
    sim_folder_forget_changes(folder);
    sim_names_clear(&folder->durable, false);
    sim_names_clear(&folder->now, true);
    free(folder);
}

struct sim_inode *sim_folder_find(const struct sim_folder *folder, const char *name)
{
    const struct sim_entry *entry = sim_names_find(&folder->now, name);
    return entry != NULL ? entry->inode : NULL;
}

static void sim_folder_note(struct sim_folder *folder, const struct sim_change *change)
{
    folder->changes =
        realloc(folder->changes, (folder->change_count + 1) * sizeof(*folder->changes));
    if (folder->changes == NULL)
        abort();
    folder->changes[folder->change_count++] = *change;
    for (unsigned i = 0; i < change->count; i++) {
        if (change->entries[i].inode != NULL)
            sim_inode_reference(change->entries[i].inode);
    }
}

void sim_folder_change(struct sim_folder *folder, const struct sim_entry *entries, unsigned count)
{
    struct sim_change change = {.count = count};
    memcpy(change.entries, entries, count * sizeof(*entries));
    sim_folder_note(folder, &change); /* first: it holds the inodes */
    for (unsigned i = 0; i < count; i++)
        sim_names_set(&folder->now, &change.entries[i], true);
}

void sim_folder_sync(struct sim_folder *folder)
{
    sim_folder_forget_changes(folder);
    sim_names_clear(&folder->durable, false);
    sim_names_copy(&folder->durable, &folder->now, false, false);
}

void sim_folder_inodes(const struct sim_folder *folder,
                       void (*visit)(struct sim_inode *inode, void *arg), void *arg)
{
    for (size_t i = 0; i < folder->now.count; i++)
        visit(folder->now.entries[i].inode, arg);
    for (size_t i = 0; i < folder->durable.count; i++)
        visit(folder->durable.entries[i].inode, arg);
    for (size_t i = 0; i < folder->change_count; i++) {
        for (unsigned e = 0; e < folder->changes[i].count; e++) {
            if (folder->changes[i].entries[e].inode != NULL)
                visit(folder->changes[i].entries[e].inode, arg);
        }
    }
}

/* ---- ends --------------------------------------------------------------------------------- */

static struct sim_change sim_change_clone(const struct sim_change *change)
{
    struct sim_change clone = *change;
    for (unsigned i = 0; i < clone.count; i++) {
        if (clone.entries[i].inode != NULL)
            clone.entries[i].inode = clone.entries[i].inode->clone;
    }
    return clone;
}

struct sim_folder *sim_folder_copy(const struct sim_folder *folder)
{
    struct sim_folder *copy = sim_folder_new(folder->name);
    sim_names_copy(&copy->now, &folder->now, true, true);
    sim_names_copy(&copy->durable, &folder->durable, true, false);
    for (size_t i = 0; i < folder->change_count; i++) {
        struct sim_change change = sim_change_clone(&folder->changes[i]);
        sim_folder_note(copy, &change);
    }
    return copy;
}

struct sim_folder *sim_folder_cut(const struct sim_folder *folder, struct sim_random *random)
{
    struct sim_folder *cut = sim_folder_new(folder->name);
    sim_names_copy(&cut->now, &folder->durable, true, true);
    uint64_t fate = sim_random_below(random, 4);
    size_t count = folder->change_count;
    if (fate == 0)
        count = 0;
    else if (fate == 1)
        count = sim_random_below(random, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (fate == 2 && sim_random_below(random, 2) == 0)
            continue; /* any of them */
        struct sim_change change = sim_change_clone(&folder->changes[i]);
        for (unsigned e = 0; e < change.count; e++)
            sim_names_set(&cut->now, &change.entries[e], true);
    }
    sim_folder_sync(cut);
    return cut;
}
