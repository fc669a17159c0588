/* One cell of the engine benchmarks, and one run of it; shared by the files of this folder. */
#ifndef BENCH_ENGINE_CELL_H
#define BENCH_ENGINE_CELL_H

#include "engine/suite.h"

#define CELL_THREADS_MAX 4u

struct cell {
    const char *block;
    const char *name;
    const char *help; /* one line */
    const char *unit;
    bool less_is_better;
    const struct series_ops *ops;
    uint32_t needs;                     /* PEER_* */
    bool needs_window;                  /* the peer's window operation */
    uint32_t threads[CELL_THREADS_MAX]; /* 0 ends them */
    load_step_fn step;
    uint32_t write_percent;
    bool sync;
    bool shares_fixture;
    bool long_keys;       /* of the classic cells */
    bool killed;          /* of the reopen cells */
    double slices;        /* how many slices of time a sample takes... */
    double fills;         /* ...and how many times all keys are written */
    double begin_fills;   /* the same for begin */
    uint32_t samples_max; /* 0: as many as needed */
    uint32_t warm_ups;
};

extern const struct cell engine_cells[];
extern const size_t engine_cell_count;

/* A series: a cell with a peer and a number of threads. */
struct cell_run {
    const struct cell *cell;
    const struct peer *peer;
    uint32_t threads;
    const struct engine_config *config;
    const struct data *data; /* the keys that this kind of cell uses */
    struct fixture *fixture; /* of cells that share one */
    const uint32_t *draws;   /* of mixed loads */
    uint64_t draw_count;

    /* The state of the cell's kind. */
    char *dir;                /* owned */
    struct peer_store *store; /* owned */
    uint64_t version;
};

/* Each kind's way of measuring. */
extern const struct series_ops cells_filled_ops;  /* value: operations per second of step */
extern const struct series_ops cells_shadow_ops;  /* the same, beside a writer at full speed */
extern const struct series_ops cells_fill_ops;    /* all keys into a new store, by step */
extern const struct series_ops cells_durable_ops; /* step on a store of its own, for a slice */
extern const struct series_ops cells_classic_write_ops;
extern const struct series_ops cells_classic_read_ops;
extern const struct series_ops cells_reopen_ops;
extern const struct series_ops cells_memory_ops;
extern const struct series_ops cells_space_ops;

/* What every kind's free does at last. */
void cell_run_free(void *arg);

/* Opens an empty store of the run's own in a folder of its own (run->dir, run->store). */
KVS_MUST_USE kvs_status cell_store_open(struct cell_run *run, struct kvs_error *err);
/* Closes and removes it; no harm if there is none. */
void cell_store_close(struct cell_run *run);

/* Puts a load's first role into the sample: operations per second. */
void cell_sample_rate(struct sample *sample, const struct load_result *result);

#endif
