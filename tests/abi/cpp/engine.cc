/*
 * An engine in C++17: a std::map behind a std::shared_mutex. What C++ brings along is exceptions, and
 * none may cross a call of the host's: each operation runs inside guarded(), which turns whatever is
 * thrown into a status with a message.
 *
 * The option `throws` makes open throw, so that a test sees where that ends.
 */
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <string_view>

#include <kvs/engine.h>

/* One open store. The host knows it by its address only. */
struct kvs_db {
    std::shared_mutex lock;
    std::map<std::string, std::string, std::less<>> values; /* guarded by lock */
    bool read_only = false;
};

namespace
{

constexpr uint64_t key_max = 1024;
constexpr uint64_t value_max = 1 << 20;

std::string_view view(kvs_bytes bytes)
{
    return bytes.len > 0 ? std::string_view(static_cast<const char *>(bytes.ptr), bytes.len)
                         : std::string_view();
}

/* The border: nothing that is thrown inside gets out. */
template <typename Body> kvs_status guarded(kvs_error *err, Body body) noexcept
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory");
    } catch (const std::exception &exception) {
        return kvs_error_set(err, KVS_INTERNAL, 0, "the cpp engine failed: %s", exception.what());
    } catch (...) {
        return kvs_error_set(err, KVS_INTERNAL, 0, "the cpp engine failed");
    }
}

kvs_status engine_open(const kvs_engine_config *config, kvs_db **ret_db, kvs_error *err)
{
    return guarded(err, [&] {
        kvs_option_value throws = {};
        throws.size = sizeof(throws);
        if (config->host->config_get(config->host, "throws", &throws) == KVS_OK && throws.u64 != 0)
            throw std::runtime_error("it was told to throw");
        if ((config->flags & KVS_OPEN_CREATE) == 0)
            return kvs_error_set(err, KVS_MISSING, 0,
                                 "the cpp engine keeps nothing: open it with "
                                 "KVS_OPEN_CREATE");
        auto db = std::make_unique<kvs_db>();
        db->read_only = (config->flags & KVS_OPEN_READ_ONLY) != 0;
        *ret_db = db.release();
        return kvs_status{KVS_OK};
    });
}

kvs_status engine_close(kvs_db *db, kvs_error *)
{
    delete db;
    return KVS_OK;
}

kvs_status engine_get(kvs_db *db, kvs_tls *, kvs_bytes key, kvs_value_fn visit, void *arg,
                      kvs_error *err)
{
    return guarded(err, [&] {
        std::shared_lock guard(db->lock);
        auto found = db->values.find(view(key));
        if (found == db->values.end())
            return kvs_status{KVS_NOT_FOUND};
        kvs_bytes value = {found->second.data(), found->second.size()};
        return kvs_status{visit(arg, value) == 0 ? KVS_OK : KVS_STOPPED};
    });
}

kvs_status check_write(const kvs_db *db, kvs_bytes key, kvs_bytes value, kvs_error *err)
{
    if (db->read_only)
        return kvs_error_set(err, KVS_READ_ONLY, 0, "the store was opened read-only");
    if (key.len == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "a key has at least 1 byte");
    if (key.len > key_max || value.len > value_max)
        return kvs_error_set(err, KVS_TOO_LARGE, 0, "a key has at most %llu bytes, a value %llu",
                             static_cast<unsigned long long>(key_max),
                             static_cast<unsigned long long>(value_max));
    return KVS_OK;
}

kvs_status engine_set(kvs_db *db, kvs_tls *, kvs_bytes key, kvs_bytes value, kvs_error *err)
{
    return guarded(err, [&] {
        kvs_status status = check_write(db, key, value, err);
        if (status != KVS_OK)
            return status;
        std::string copied_key(view(key));
        std::string copied_value(view(value));
        std::unique_lock guard(db->lock);
        db->values.insert_or_assign(std::move(copied_key), std::move(copied_value));
        return status;
    });
}

kvs_status engine_remove(kvs_db *db, kvs_tls *, kvs_bytes key, kvs_error *err)
{
    return guarded(err, [&] {
        kvs_status status = check_write(db, key, kvs_bytes{nullptr, 0}, err);
        if (status != KVS_OK)
            return status;
        std::unique_lock guard(db->lock);
        auto found = db->values.find(view(key));
        if (found == db->values.end())
            return kvs_status{KVS_NOT_FOUND};
        db->values.erase(found);
        return status;
    });
}

void engine_stats(kvs_db *db, kvs_stat_fn visit, void *arg)
{
    std::shared_lock guard(db->lock);
    visit(arg, "keys", db->values.size());
}

/* C++17 has no designated initialisers, and a table in the wrong order would be a bad surprise. */
kvs_engine_ops make_operations()
{
    kvs_engine_ops operations = {};
    operations.size = sizeof(operations);
    operations.capabilities = KVS_ENGINE_CONCURRENT_WRITERS | KVS_ENGINE_HAS_STATS;
    operations.key_max = key_max;
    operations.value_max = value_max;
    operations.open = engine_open;
    operations.close = engine_close;
    operations.get = engine_get;
    operations.set = engine_set;
    operations.remove = engine_remove;
    operations.stats = engine_stats;
    return operations;
}

kvs_option make_throws()
{
    kvs_option option = {};
    option.size = sizeof(option);
    option.type = KVS_OPTION_ENUM;
    option.name = "throws";
    option.default_value = "never";
    option.range = "never";
    option.help = "whether open throws; built with THROWS it can";
#ifdef THROWS
    option.default_value = "at-open";
    option.range = "never|at-open";
#endif
    return option;
}

kvs_plugin make_plugin(const kvs_option *options, const kvs_engine_ops *operations)
{
    kvs_plugin plugin = {};
    plugin.size = sizeof(plugin);
    plugin.magic = KVS_PLUGIN_MAGIC;
    plugin.abi_major = KVS_ABI_MAJOR;
    plugin.abi_minor = KVS_ABI_MINOR;
    plugin.kind = KVS_PLUGIN_ENGINE;
    plugin.name = ENGINE_NAME;
    plugin.version = "1.0";
    plugin.description = "a std::map behind a lock";
    plugin.options = options;
    plugin.option_stride = sizeof(kvs_option);
    plugin.option_count = 1;
    plugin.ops = operations;
    return plugin;
}

} // namespace

const kvs_plugin *const *kvs_plugin_entry_v1(uint32_t, uint32_t)
{
    static const kvs_engine_ops operations = make_operations();
    static const kvs_option options[] = {make_throws()};
    static const kvs_plugin plugin = make_plugin(options, &operations);
    static const kvs_plugin *const list[] = {&plugin, nullptr};
    return list;
}
