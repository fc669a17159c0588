/*
 * The one list of rules: X(function, name, unloaded, needs, not_for, meaning), see struct rule. The
 * function is in the file that the name's first parts say.
 */
#ifndef PLUGIN_CHECK_RULES_LIST_H
#define PLUGIN_CHECK_RULES_LIST_H

#include "check.h"

/* clang-format off */
#define PLUGIN_RULES(X) \
    X(plugin_load_succeeds, "plugin.load.succeeds", false, 0, 0, \
      "the file can be loaded, and its descriptor, options and table of operations are sound") \
    X(plugin_load_quiet, "plugin.load.quiet", true, 0, 0, \
      "loading it and calling its entry function starts no thread and opens no file") \
    X(plugin_load_one_symbol, "plugin.load.one-symbol", true, 0, 0, \
      "it exports kvs_plugin_entry_v1 and nothing else") \
    X(plugin_load_repeatable, "plugin.load.repeatable", true, 0, 0, \
      "the entry function returns the same list each time, and to a host of any minor") \
    X(plugin_descriptor_texts, "plugin.descriptor.texts", false, 0, 0, \
      "version, description and each option's help are there, one line each; reserved members are 0") \
    X(plugin_options_range, "plugin.options.range", false, 0, 0, \
      "an instance works with each option at its default, its least value, and each choice") \
    X(plugin_options_refused, "plugin.options.refused", false, 0, 0, \
      "what is declared of an option is enough for the host to refuse a bad value by name") \
    X(plugin_options_reloadable, "plugin.options.reloadable", false, 0, 0, \
      "an option is RELOADABLE only where there is reconfigure")

#define ENGINE_RULES(X) \
    X(engine_open_creates, "engine.open.creates", false, 0, 0, \
      "open with KVS_OPEN_CREATE makes an empty store in an empty folder") \
    X(engine_open_missing, "engine.open.missing", false, 0, 0, \
      "open of an empty folder without KVS_OPEN_CREATE gives KVS_MISSING and a message") \
    X(engine_open_two, "engine.open.two", false, 0, 0, \
      "two stores in two folders, open at once, know nothing of each other") \
    X(engine_open_read_only, "engine.open.read-only", false, KVS_ENGINE_DURABLE, 0, \
      "in a store opened KVS_OPEN_READ_ONLY gets work and writes give KVS_READ_ONLY") \
    X(engine_open_host_files, "engine.open.host-files", false, 0, 0, \
      "files named kvs.* in the data folder are left alone") \
    X(engine_close_null, "engine.close.null", false, 0, 0, \
      "close(NULL) gives KVS_OK") \
    X(engine_get_found, "engine.get.found", false, 0, 0, \
      "get of a key gives KVS_OK and calls the visitor once, with its value") \
    X(engine_get_not_found, "engine.get.not-found", false, 0, 0, \
      "get of a missing key gives KVS_NOT_FOUND and does not call the visitor") \
    X(engine_get_stopped, "engine.get.stopped", false, 0, 0, \
      "get gives KVS_STOPPED when the visitor returns non-zero") \
    X(engine_get_no_key, "engine.get.no-key", false, 0, 0, \
      "get of the empty key, or of one longer than key_max, gives KVS_NOT_FOUND") \
    X(engine_set_replaces, "engine.set.replaces", false, 0, 0, \
      "set of a key that is there replaces its value, by a shorter, longer or empty one") \
    X(engine_set_copies, "engine.set.copies", false, 0, 0, \
      "the memory of key and value is the host's again when set has returned") \
    X(engine_set_any_bytes, "engine.set.any-bytes", false, 0, 0, \
      "keys and values are any bytes, zeros included") \
    X(engine_set_sizes, "engine.set.sizes", false, 0, 0, \
      "keys and values of every size up to key_max and value_max are kept") \
    X(engine_set_too_large, "engine.set.too-large", false, 0, 0, \
      "set over key_max or value_max gives KVS_TOO_LARGE with a message and changes nothing") \
    X(engine_set_empty_key, "engine.set.empty-key", false, 0, 0, \
      "set of the empty key gives KVS_INVALID") \
    X(engine_remove_removes, "engine.remove.removes", false, 0, 0, \
      "remove takes the key away, and no other") \
    X(engine_remove_not_found, "engine.remove.not-found", false, 0, 0, \
      "remove of a missing key gives KVS_NOT_FOUND") \
    X(engine_error_filled, "engine.error.filled", false, 0, 0, \
      "a fault fills err: the status that was returned, and a message of one line") \
    X(engine_error_bounded, "engine.error.bounded", false, 0, 0, \
      "a message is cut to err->cap and terminated; err and err->msg may be NULL") \
    X(engine_submit_applies, "engine.submit.applies", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "a batch does all its operations, and each has a status of its own") \
    X(engine_submit_remove_not_found, "engine.submit.remove-not-found", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "in a batch, remove of a missing key has the status KVS_NOT_FOUND") \
    X(engine_submit_conditions, "engine.submit.conditions", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "an operation takes effect if and only if its condition holds") \
    X(engine_submit_check, "engine.submit.check", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "KVS_OP_CHECK writes nothing, and its condition counts for ALL_OR_NONE") \
    X(engine_submit_skips_failed, "engine.submit.skips-failed", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "without ALL_OR_NONE a failed condition skips its own operation only") \
    X(engine_submit_all_or_none, "engine.submit.all-or-none", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "with ALL_OR_NONE a failed condition leaves nothing applied") \
    X(engine_submit_in_order, "engine.submit.in-order", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "an operation of a batch sees those before it") \
    X(engine_submit_one_too_large, "engine.submit.one-too-large", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "an operation over a limit fails alone, with KVS_TOO_LARGE") \
    X(engine_submit_all_or_none_too_large, "engine.submit.all-or-none-too-large", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "an ALL_OR_NONE batch with an operation over a limit fails with KVS_TOO_LARGE, nothing applied") \
    X(engine_submit_limits, "engine.submit.limits", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "a batch of batch_ops_max operations is taken, one of more gives KVS_TOO_LARGE") \
    X(engine_submit_durable, "engine.submit.durable", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "KVS_BATCH_DURABLE is taken, whatever the store's durability") \
    X(engine_submit_completes_once, "engine.submit.completes-once", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "complete() runs exactly once if submit gave KVS_PENDING, and never if it did not") \
    X(engine_submit_thread_order, "engine.submit.thread-order", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "batches that one thread submits take effect in that order, also without waiting in between") \
    X(engine_submit_visible, "engine.submit.visible", false, KVS_ENGINE_HAS_SUBMIT, 0, \
      "what a completed batch wrote is visible to every get that begins afterwards") \
    X(engine_get_many_found, "engine.get-many.found", false, KVS_ENGINE_HAS_GET_MANY, 0, \
      "get_many has a status for each key and shows each value once") \
    X(engine_get_many_stopped, "engine.get-many.stopped", false, KVS_ENGINE_HAS_GET_MANY, 0, \
      "get_many gives KVS_STOPPED when the visitor returns non-zero, and calls it no more") \
    X(engine_get_many_completes_once, "engine.get-many.completes-once", false, KVS_ENGINE_HAS_GET_MANY, 0, \
      "complete() runs exactly once if get_many gave KVS_PENDING; visitors run one at a time") \
    X(engine_scan_all, "engine.scan.all", false, KVS_ENGINE_HAS_SCAN, 0, \
      "a scan shows each key of a store that does not change once, with its value") \
    X(engine_scan_pieces, "engine.scan.pieces", false, KVS_ENGINE_HAS_SCAN, 0, \
      "a scan in pieces of any limit shows the same") \
    X(engine_scan_keys_only, "engine.scan.keys-only", false, KVS_ENGINE_HAS_SCAN, 0, \
      "with KVS_SCAN_KEYS_ONLY values are empty") \
    X(engine_scan_stopped, "engine.scan.stopped", false, KVS_ENGINE_HAS_SCAN, 0, \
      "a scan that its visitor stops gives KVS_STOPPED, and can be continued") \
    X(engine_scan_reopened, "engine.scan.reopened", false, KVS_ENGINE_HAS_SCAN | KVS_ENGINE_DURABLE, 0, \
      "a scan can be continued after the store was closed and opened") \
    X(engine_scan_while_writing, "engine.scan.while-writing", false, KVS_ENGINE_HAS_SCAN, 0, \
      "keys that are there all the time are shown while others come and go") \
    X(engine_scan_snapshot, "engine.scan.snapshot", false, KVS_ENGINE_HAS_SCAN | KVS_ENGINE_SNAPSHOT_SCAN | KVS_ENGINE_HAS_SUBMIT | KVS_ENGINE_BATCH_ATOMIC, 0, \
      "with SNAPSHOT_SCAN one scan call sees one moment") \
    X(engine_scan_prefix, "engine.scan.prefix", false, KVS_ENGINE_HAS_SCAN, 0, \
      "a scan with a prefix shows the keys that begin with it, and no other") \
    X(engine_scan_order, "engine.scan.order", false, KVS_ENGINE_HAS_SCAN | KVS_ENGINE_ORDERED, 0, \
      "scans of an ORDERED engine go in the order of the keys' bytes, or in reverse") \
    X(engine_scan_ranges, "engine.scan.ranges", false, KVS_ENGINE_HAS_SCAN | KVS_ENGINE_ORDERED, 0, \
      "scans of an ORDERED engine keep to from (included), to (not included) and prefix") \
    X(engine_scan_unordered_refuses, "engine.scan.unordered-refuses", false, KVS_ENGINE_HAS_SCAN, KVS_ENGINE_ORDERED, \
      "an engine that is not ORDERED refuses from, to and REVERSE with KVS_UNSUPPORTED") \
    X(engine_threads_many, "engine.threads.many", false, 0, 0, \
      "many threads at once lose nothing and see no foreign value") \
    X(engine_threads_attached, "engine.threads.attached", false, KVS_ENGINE_HAS_THREADS, 0, \
      "the same with thread_attach in each thread") \
    X(engine_threads_detach_elsewhere, "engine.threads.detach-elsewhere", false, KVS_ENGINE_HAS_THREADS, 0, \
      "a thread's state can be detached by another one when it has ended") \
    X(engine_threads_short_lived, "engine.threads.short-lived", false, 0, 0, \
      "a thousand threads may come and go") \
    X(engine_threads_fresh_and_whole, "engine.threads.fresh-and-whole", false, 0, 0, \
      "a get sees the last value whose set had returned, or a newer one, and always a whole one") \
    X(engine_sync_returns, "engine.sync.returns", false, KVS_ENGINE_HAS_SYNC, 0, \
      "sync gives KVS_OK, also with nothing to do") \
    X(engine_stats_keys, "engine.stats.keys", false, KVS_ENGINE_HAS_STATS, 0, \
      "stats reports the figure \"keys\" once, and it is right when nothing goes on") \
    X(engine_stats_names, "engine.stats.names", false, KVS_ENGINE_HAS_STATS, 0, \
      "names of figures are made of a-z, 0-9 and _") \
    X(engine_checkpoint_opens, "engine.checkpoint.opens", false, KVS_ENGINE_HAS_CHECKPOINT, 0, \
      "a checkpoint opens as a store of its own, with what was there when it was made") \
    X(engine_compact_keeps, "engine.compact.keeps", false, KVS_ENGINE_HAS_COMPACT, 0, \
      "compact changes no key and no value") \
    X(engine_verify_sound, "engine.verify.sound", false, KVS_ENGINE_HAS_VERIFY | KVS_ENGINE_DURABLE, 0, \
      "verify gives KVS_OK for a sound store and changes nothing") \
    X(engine_repair_salvages, "engine.repair.salvages", false, KVS_ENGINE_HAS_REPAIR | KVS_ENGINE_DURABLE, 0, \
      "repair of a sound store saves all of it") \
    X(engine_reconfigure_options, "engine.reconfigure.options", false, KVS_ENGINE_HAS_RECONFIGURE, 0, \
      "reconfigure takes RELOADABLE options and gives KVS_UNSUPPORTED for others") \
    X(engine_durable_close, "engine.durable.close", false, KVS_ENGINE_DURABLE, 0, \
      "what was acknowledged is there after close and open, in each durability mode") \
    X(engine_durable_kill_always, "engine.durable.kill-always", false, KVS_ENGINE_DURABLE, 0, \
      "with KVS_DURABILITY_ALWAYS it is there after kill -9; batches are whole or absent") \
    X(engine_durable_kill_interval, "engine.durable.kill-interval", false, KVS_ENGINE_DURABLE, 0, \
      "the same with KVS_DURABILITY_INTERVAL") \
    X(engine_durable_kill_none, "engine.durable.kill-none", false, KVS_ENGINE_DURABLE, 0, \
      "the same with KVS_DURABILITY_NONE") \
    X(engine_leaks_threads, "engine.leaks.threads", false, 0, 0, \
      "open, use and close leave no thread behind") \
    X(engine_leaks_descriptors, "engine.leaks.descriptors", false, 0, 0, \
      "open, use and close leave no file descriptor behind") \
    X(engine_leaks_mappings, "engine.leaks.mappings", false, 0, 0, \
      "open, use and close leave no mapping behind") \
    X(engine_leaks_memory, "engine.leaks.memory", false, 0, 0, \
      "open, use and close leave no memory behind")

#define POOL_RULES(X) \
    X(pool_create_threads, "pool.create.threads", false, 0, KVS_POOL_INLINE, \
      "as many jobs run at once as there are threads") \
    X(pool_create_copies_config, "pool.create.copies-config", false, 0, 0, \
      "the configuration is the host's again when create has returned") \
    X(pool_create_two, "pool.create.two", false, 0, 0, \
      "two pools at once know nothing of each other") \
    X(pool_spawn_once, "pool.spawn.once", false, 0, 0, \
      "each accepted job runs exactly once, whoever spawns it; the pool keeps a copy") \
    X(pool_spawn_from_job, "pool.spawn.from-job", false, 0, KVS_POOL_INLINE, \
      "a job may spawn, also on a pool of one thread") \
    X(pool_spawn_never_blocks, "pool.spawn.never-blocks", false, 0, KVS_POOL_INLINE, \
      "spawn returns while all threads are busy") \
    X(pool_spawn_queue_limit, "pool.spawn.queue-limit", false, 0, KVS_POOL_INLINE | KVS_POOL_UNBOUNDED, \
      "beyond the queue limit spawn gives KVS_BUSY, and the job is neither run nor dropped") \
    X(pool_spawn_inline, "pool.spawn.inline", false, KVS_POOL_INLINE, 0, \
      "an INLINE pool runs the job in its caller, before spawn returns") \
    X(pool_batch_all, "pool.batch.all", false, KVS_POOL_HAS_SPAWN_BATCH, 0, \
      "spawn_batch accepts all jobs where there is room, each runs exactly once") \
    X(pool_batch_prefix, "pool.batch.prefix", false, KVS_POOL_HAS_SPAWN_BATCH, KVS_POOL_INLINE | KVS_POOL_UNBOUNDED, \
      "beyond the queue limit spawn_batch accepts the first jobs only, and says how many") \
    X(pool_stats_sum, "pool.stats.sum", false, KVS_POOL_HAS_STATS, 0, \
      "spawned = run + dropped + lost + queued + running, and each count is right") \
    X(pool_stats_size, "pool.stats.size", false, KVS_POOL_HAS_STATS, 0, \
      "stats writes nothing past the size that its caller set") \
    X(pool_resize_threads, "pool.resize.threads", false, KVS_POOL_HAS_RESIZE, KVS_POOL_INLINE | KVS_POOL_UNBOUNDED, \
      "resize changes how many jobs run at once and loses none") \
    X(pool_shutdown_drains, "pool.shutdown.drains", false, 0, KVS_POOL_INLINE | KVS_POOL_UNBOUNDED, \
      "shutdown with DRAIN runs all that is queued before it returns") \
    X(pool_shutdown_drops, "pool.shutdown.drops", false, 0, KVS_POOL_INLINE | KVS_POOL_UNBOUNDED, \
      "shutdown with DROP calls drop for all that is queued, once each") \
    X(pool_shutdown_waits, "pool.shutdown.waits", false, 0, KVS_POOL_INLINE | KVS_POOL_UNBOUNDED, \
      "shutdown returns after the last running job") \
    X(pool_shutdown_closed, "pool.shutdown.closed", false, 0, 0, \
      "after shutdown spawn gives KVS_CLOSED, and the job is neither run nor dropped") \
    X(pool_shutdown_twice, "pool.shutdown.twice", false, 0, KVS_POOL_INLINE | KVS_POOL_UNBOUNDED, \
      "a second shutdown waits for the first") \
    X(pool_shutdown_from_job, "pool.shutdown.from-job", false, 0, 0, \
      "shutdown from a job of the pool gives KVS_INVALID and changes nothing") \
    X(pool_destroy_null, "pool.destroy.null", false, 0, 0, \
      "destroy(NULL) does nothing") \
    X(pool_destroy_drops, "pool.destroy.drops", false, 0, 0, \
      "destroy without shutdown ends each accepted job") \
    X(pool_hooks_paired, "pool.hooks.paired", false, 0, 0, \
      "thread_start comes first and thread_stop last on each thread of the pool") \
    X(pool_loss_exit, "pool.loss.exit", false, KVS_POOL_SURVIVES_THREAD_EXIT, KVS_POOL_INLINE, \
      "after jobs that call pthread_exit as many jobs run at once as before, and all others run") \
    X(pool_loss_cancel, "pool.loss.cancel", false, KVS_POOL_SURVIVES_THREAD_EXIT, KVS_POOL_INLINE, \
      "the same after jobs that cancel their thread") \
    X(pool_loss_hooks, "pool.loss.hooks", false, KVS_POOL_SURVIVES_THREAD_EXIT, KVS_POOL_INLINE, \
      "job_lost is called once for each lost job, thread_stop for each lost thread") \
    X(pool_loss_stats, "pool.loss.stats", false, KVS_POOL_SURVIVES_THREAD_EXIT | KVS_POOL_HAS_STATS, KVS_POOL_INLINE, \
      "stats counts lost jobs and threads, and still adds up") \
    X(pool_loss_while_draining, "pool.loss.while-draining", false, KVS_POOL_SURVIVES_THREAD_EXIT, KVS_POOL_INLINE, \
      "threads lost during a shutdown do not keep it from ending the other jobs") \
    X(pool_idle_is_called, "pool.idle.is-called", false, KVS_POOL_RUNS_IDLE_HOOK, 0, \
      "a pool without work calls the idle hook, in one worker at a time, and runs what that spawns") \
    X(pool_idle_wakes, "pool.idle.wakes", false, KVS_POOL_RUNS_IDLE_HOOK, KVS_POOL_INLINE, \
      "a job spawned while a worker is inside the idle hook runs soon") \
    X(pool_idle_blocked_jobs, "pool.idle.blocked-jobs", false, KVS_POOL_RUNS_IDLE_HOOK, KVS_POOL_INLINE, \
      "the hook is served while all workers but one are held by jobs") \
    X(pool_leaks_threads, "pool.leaks.threads", false, 0, 0, \
      "create, shutdown and destroy leave no thread behind") \
    X(pool_leaks_descriptors, "pool.leaks.descriptors", false, 0, 0, \
      "create, shutdown and destroy leave no file descriptor behind") \
    X(pool_leaks_memory, "pool.leaks.memory", false, 0, 0, \
      "create, shutdown and destroy leave no memory behind")
/* clang-format on */

#define RULES_DECLARE(function, name, unloaded, needs, not_for, meaning)                           \
    void function(struct check *check);
PLUGIN_RULES(RULES_DECLARE)
ENGINE_RULES(RULES_DECLARE)
POOL_RULES(RULES_DECLARE)
#undef RULES_DECLARE

#endif
