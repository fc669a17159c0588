/*
 * The index's protocol, small enough to be searched exhaustively: one shard, tables of two buckets
 * of two slots in two areas of memory, three keys that share tag and home bucket, five places for
 * records. Publish, relocate, grow and reclaim run against a reader in every order that there is.
 * The invariants' numbers are those of plugins/engine-log/index.c.
 *
 * K is always there: at first in the second bucket, because L and M fill the first.
 *   appender    writes new versions of K; removes and inserts L and M
 *   compactor   moves K's record without changing it
 *   grower      moves the shard to the other area
 *   reclaimer   waits for grace periods and frees places and areas
 *   reader      looks for K
 * Checked: the reader finds K, in a version no older than what was acknowledged when it began, and
 * never looks at a free record (a free area has no keys in it: K would be missing). At the end the
 * index has the newest version.
 *
 * A reader's loads are a step each. What a mutator does under the shard's lock is one step as long
 * as it makes one store that readers can see: nobody else changes what it reads there. Where a rule
 * is broken there are more. Waiting between steps that readers cannot see apart is left out.
 *
 * Each macro breaks one rule; run.sh shows that the search then finds the error.
 *   NOGRACE_PLACES  records are freed without a grace period               (I6)
 *   NOGRACE_TABLES  tables are freed without a grace period                (I5)
 *   UNFULL          a key removed from a full bucket leaves an empty slot  (I3)
 *   MOVE            a replaced key is removed and put into another slot    (I2, I3)
 *   EARLY           a table is published before it is filled               (I1)
 *   UNWRITTEN       a place is published before its record is written      (I1)
 *   LATE            a mutator loads the head before it has the lock        (I4)
 *   NOCOMPARE       the compactor replaces without comparing               (I6)
 *   NOSECTION       the compactor compares in another section than it looked in (I6)
 */

#define AREAS   2
#define BUCKETS 2
#define WIDTH   2                  /* slots of a bucket */
#define SLOTS   (BUCKETS * WIDTH)
#define PLACES  6                  /* 1 to 5; 0 is no place */
#define EMPTY   0                  /* a slot without tag */
#define REMOVED 9                  /* a slot with a tag and no place; other values are places */

#define FREE 0                     /* owners of a place */
#define K    1
#define L    2
#define M    3

#define READER    0                /* who has sections */
#define COMPACTOR 1
#define SECTIONS  2

#define SLOT(area, i)     slot[(area) * SLOTS + (i)]
#define HAS_KEY(value)    ((value) != EMPTY && (value) != REMOVED)
#define HAS_K(value)      (HAS_KEY(value) && owner[value] == K)

byte slot[AREAS * SLOTS];
byte head;                         /* the shard's area */
bool area_free[AREAS];
bool area_retired[AREAS];

byte owner[PLACES];
byte version[PLACES];
bool place_retired[PLACES];

bool inside[SECTIONS];
bit turn[SECTIONS];                /* changes as a section ends */
bool open[SECTIONS];               /* the reclaimer's: what its grace period waits for */
bit was[SECTIONS];

byte written;                      /* K's newest version */
byte acknowledged;
byte mutating = 3;                 /* mutators that run */

inline section_begin(who) { inside[who] = true }
inline section_end(who) { atomic { inside[who] = false; turn[who] = 1 - turn[who] } }

/* A free place, or 0. */
inline place_take(ret, key)
{
    ret = 1;
    do
    :: ret < PLACES && owner[ret] != FREE -> ret++
    :: else -> break
    od;
    if
    :: ret == PLACES -> ret = 0
    :: else -> owner[ret] = key; version[ret] = 0
    fi
}

/* The slot that holds value, or SLOTS. */
inline slot_of(area, value, ret)
{
    ret = 0;
    do
    :: ret < SLOTS && SLOT(area, ret) != value -> ret++
    :: else -> break
    od
}

/* The first slot without a key, as the search from the home bucket 0 finds it. */
inline slot_free(area, ret)
{
    ret = 0;
    do
    :: ret < SLOTS && HAS_KEY(SLOT(area, ret)) -> ret++
    :: else -> break
    od
}

/* The place of K, without the steps of a lookup. */
inline place_of_k(ret, i)
{
    i = 0;
    do
    :: HAS_K(SLOT(head, i)) -> break
    :: else -> i++
    od;
    ret = SLOT(head, i)
}

/* A slot that had the tag: loaded again, and then its record. */
inline candidate(ret, at, seen)
{
    seen = slot[at];
    if
    :: HAS_KEY(seen) ->
        atomic {
            assert(owner[seen] != FREE);
            if
            :: owner[seen] == K -> ret = seen
            :: else
            fi
        }
    :: else
    fi
}

/* Step by step as index_cursor_begin and index_cursor_next: the tags of a bucket, slot by slot,
   then the candidates, then the next bucket if this one was full. ret: the place of K, or 0. */
inline look_up(ret, area, bucket, first, second, seen)
{
    atomic { ret = 0; bucket = 0; area = head };
    do
    :: first = SLOT(area, bucket * WIDTH);
        second = SLOT(area, bucket * WIDTH + 1);
        if
        :: first != EMPTY -> candidate(ret, area * SLOTS + bucket * WIDTH, seen)
        :: else
        fi;
        if
        :: ret == 0 && second != EMPTY ->
            candidate(ret, area * SLOTS + bucket * WIDTH + 1, seen)
        :: else
        fi;
        if
        :: ret == 0 && first != EMPTY && second != EMPTY && bucket + 1 < BUCKETS -> bucket++
        :: else -> break
        fi
    od
}

proctype reader()
{
    byte area, bucket, first, second, seen, place, since;
    byte rounds = LOOKUPS;
    do
    :: rounds == 0 -> break
    :: else ->
        atomic { section_begin(READER); since = acknowledged; rounds-- };
        look_up(place, area, bucket, first, second, seen);
        atomic {
            assert(place != 0);
            assert(version[place] >= since);
            place = 0; area = 0; bucket = 0; first = 0; second = 0; seen = 0; since = 0;
            section_end(READER)
        }
    od
}

/* Replaces old by new where it still is. ret: whether it did. */
inline replace(old, new, area, i, ret)
{
#ifdef LATE
    area = head;
#endif
    atomic {
#ifndef LATE
        area = head;
#endif
        slot_of(area, old, i);
        ret = i < SLOTS;
#ifdef MOVE
        if
        :: ret -> SLOT(area, i) = REMOVED
        :: else
        fi
    };
    atomic {
        if
        :: ret -> slot_free(area, i)
        :: else
        fi;
#endif
        if
        :: ret -> SLOT(area, i) = new
        :: else
        fi;
        area = 0;
        i = 0
    }
}

/* K's newest version to a new place, wherever the compactor has put the last one. */
inline append_version(old, new, area, i, done)
{
    atomic {
        place_take(new, K);
        if
        :: new == 0
        :: else ->
            written++;
#ifndef UNWRITTEN
            version[new] = written
#endif
        fi;
        done = new == 0
    };
    do
    :: done -> break
    :: else ->
        d_step { place_of_k(old, i) };
        replace(old, new, area, i, done)
    od;
    atomic {
        if
        :: new != 0 ->
#ifdef UNWRITTEN
            version[new] = written;
#endif
            acknowledged = written;
            place_retired[old] = true
        :: else
        fi;
        old = 0;
        new = 0;
        done = false
    }
}

/* Removes the key whose place this is, and retires the place. */
inline append_remove(place, i)
{
    atomic {
        slot_of(head, place, i);
#ifndef UNFULL
        if
        :: SLOT(head, (i / WIDTH) * WIDTH) != EMPTY &&
           SLOT(head, (i / WIDTH) * WIDTH + 1) != EMPTY ->
            SLOT(head, i) = REMOVED
        :: else -> SLOT(head, i) = EMPTY
        fi;
#else
        SLOT(head, i) = EMPTY;
#endif
        place_retired[place] = true;
        place = 0;
        i = 0
    }
}

inline append_insert(key, place, i)
{
    atomic { place_take(place, key) };
    atomic {
        if
        :: place != 0 ->
            slot_free(head, i);
            assert(i < SLOTS);
            SLOT(head, i) = place
        :: else
        fi;
        i = 0
    }
}

proctype appender(byte l; byte m)
{
    byte old, new, area, i;
    bool done;
    byte rounds = APPENDS;
    do
    :: rounds == 0 -> break
    :: rounds > 0 -> rounds--; append_version(old, new, area, i, done)
    :: rounds > 0 && l != 0 -> rounds--; append_remove(l, i)
    :: rounds > 0 && l == 0 -> rounds--; append_insert(L, l, i)
    :: rounds > 0 && m != 0 -> rounds--; append_remove(m, i)
    :: rounds > 0 && m == 0 -> rounds--; append_insert(M, m, i)
    od;
    mutating--
}

proctype compactor()
{
    byte area, old, new, i;
    bool done;
    byte rounds = MOVES;
    do
    :: rounds == 0 -> break
    :: else ->
        atomic { section_begin(COMPACTOR); rounds-- };
        d_step { place_of_k(old, i) };
#ifdef NOSECTION
        section_end(COMPACTOR);
#endif
        atomic {
            place_take(new, K);
            if
            :: new != 0 -> version[new] = version[old]
            :: else
            fi
        };
        if
        :: new != 0 ->
#ifdef NOCOMPARE
            atomic { place_of_k(old, i); SLOT(head, i) = new; done = true };
#else
            replace(old, new, area, i, done);
#endif
            atomic {
                if
                :: done -> place_retired[old] = true
                :: else -> place_retired[new] = true
                fi
            }
        :: else
        fi;
        atomic {
#ifndef NOSECTION
            section_end(COMPACTOR);
#endif
            old = 0;
            new = 0;
            done = false
        }
    od;
    mutating--
}

/* All keys of the shard's area to the other one. */
inline copy_keys(to, i, j)
{
    i = 0;
    j = 0;
    do
    :: i == SLOTS -> break
    :: else ->
        if
        :: HAS_KEY(SLOT(1 - to, i)) -> SLOT(to, j) = SLOT(1 - to, i); j++
        :: else
        fi;
        i++
    od
}

proctype grower()
{
    byte to, i, j;
    byte rounds = GROWTHS;
    do
    :: rounds == 0 -> break
    :: atomic { rounds > 0 && area_free[1 - head] ->
        to = 1 - head;
        area_free[to] = false;
        rounds--;
#ifdef EARLY
        head = to
       };
       atomic {
#endif
        copy_keys(to, i, j);
        head = to;
        area_retired[1 - to] = true;
        i = 0;
        j = 0
       }
    od;
    mutating--
}

inline areas_free(areas, i)
{
    d_step {
        i = 0;
        do
        :: i == AREAS * SLOTS -> break
        :: else ->
            if
            :: areas & (1 << (i / SLOTS)) -> slot[i] = EMPTY; area_free[i / SLOTS] = true
            :: else
            fi;
            i++
        od;
        i = 0;
        areas = 0
    }
}

inline places_free(places, i)
{
    d_step {
        i = 1;
        do
        :: i == PLACES -> break
        :: else ->
            if
            :: places & (1 << i) -> owner[i] = FREE
            :: else
            fi;
            i++
        od;
        i = 0;
        places = 0
    }
}

/* Takes all that is retired, waits until each section that was open then has ended, frees it. */
proctype reclaimer()
{
    byte i, places, areas;
end:
    do
    :: d_step {
        area_retired[0] || area_retired[1] || place_retired[1] || place_retired[2] ||
            place_retired[3] || place_retired[4] || place_retired[5] ->
        i = 1;
        do
        :: i == PLACES -> break
        :: else -> places = places | (place_retired[i] << i); place_retired[i] = false; i++
        od;
        areas = area_retired[0] | (area_retired[1] << 1);
        area_retired[0] = false;
        area_retired[1] = false;
        i = 0;
        open[READER] = inside[READER];
        was[READER] = turn[READER];
        open[COMPACTOR] = inside[COMPACTOR];
        was[COMPACTOR] = turn[COMPACTOR]
       };
#ifdef NOGRACE_TABLES
        areas_free(areas, i);
#endif
#ifdef NOGRACE_PLACES
        places_free(places, i);
#endif
        !open[READER] || !inside[READER] || turn[READER] != was[READER];
        atomic {
            !open[COMPACTOR] || !inside[COMPACTOR] || turn[COMPACTOR] != was[COMPACTOR];
            places_free(places, i);
            areas_free(areas, i)
        }
    od
}

init
{
    byte i, place;
    atomic {
        owner[1] = L;
        owner[2] = M;
        owner[3] = K;
        slot[0] = 1;
        slot[1] = 2;
        slot[2] = 3;
        area_free[1] = true;
        run reader();
        run appender(1, 2);
        run compactor();
        run grower();
        run reclaimer()
    };
    mutating == 0;
    d_step { place_of_k(place, i); assert(version[place] == written) }
}
