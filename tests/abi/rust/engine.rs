//! An engine in Rust, through plain FFI: a BTreeMap behind a RwLock. A sketch of how it is done, not a
//! crate: the structs below are kvs/types.h, kvs/plugin.h and kvs/engine.h, member by member.
//!
//! Two things to mind. No panic may cross a call of the host's: each operation runs inside `guarded`,
//! which turns one into a status. And the host may be older than these structs: what it hands in is
//! read up to the size that it says.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::RwLock;

type Status = i32;
const OK: Status = 0;
const NOT_FOUND: Status = 1;
const STOPPED: Status = 5;
const INVALID: Status = -1;
const TOO_LARGE: Status = -2;
const READ_ONLY: Status = -7;
const MISSING: Status = -12;
const INTERNAL: Status = -18;

const OPEN_CREATE: u32 = 1 << 0;
const OPEN_READ_ONLY: u32 = 1 << 1;
const HAS_STATS: u64 = 1 << 5;
const CONCURRENT_WRITERS: u64 = 1 << 19;

const KEY_MAX: u64 = 1024;
const VALUE_MAX: u64 = 1 << 20;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    ptr: *const c_void,
    len: u64,
}

impl Bytes {
    /// Good for as long as the call that handed it in.
    unsafe fn as_slice<'a>(self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.ptr as *const u8, self.len as usize)
    }
}

#[repr(C)]
pub struct Error {
    size: u32,
    status: Status,
    os_errno: i32,
    cap: u32,
    msg: *mut c_char,
}

#[repr(C)]
pub struct EngineConfig {
    size: u32,
    flags: u32,
    durability: u32,
    threads: u32,
    sync_interval_ms: u64,
    data_dir: *const c_char,
    host: *const c_void,
}

pub struct Db {
    values: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
    read_only: bool,
}

type Visit = unsafe extern "C" fn(*mut c_void, Bytes) -> i32;
type VisitStat = unsafe extern "C" fn(*mut c_void, *const c_char, u64);

#[repr(C)]
pub struct EngineOps {
    size: u32,
    reserved: u32,
    capabilities: u64,
    key_max: u64,
    value_max: u64,
    batch_bytes_max: u64,
    batch_ops_max: u64,
    open: unsafe extern "C" fn(*const EngineConfig, *mut *mut Db, *mut Error) -> Status,
    close: unsafe extern "C" fn(*mut Db, *mut Error) -> Status,
    get: unsafe extern "C" fn(*mut Db, *mut c_void, Bytes, Visit, *mut c_void, *mut Error) -> Status,
    set: unsafe extern "C" fn(*mut Db, *mut c_void, Bytes, Bytes, *mut Error) -> Status,
    remove: unsafe extern "C" fn(*mut Db, *mut c_void, Bytes, *mut Error) -> Status,
    /// submit, get_many, scan, sync, thread_attach, thread_detach: absent.
    absent: [*const c_void; 6],
    stats: unsafe extern "C" fn(*mut Db, VisitStat, *mut c_void),
    // The table ends here: what lies behind its size is absent, too.
}

#[repr(C)]
pub struct Plugin {
    size: u32,
    magic: u32,
    abi_major: u32,
    abi_minor: u32,
    kind: u32,
    reserved: u32,
    name: *const c_char,
    version: *const c_char,
    description: *const c_char,
    author: *const c_char,
    licence: *const c_char,
    url: *const c_char,
    options: *const c_void,
    option_stride: u32,
    option_count: u32,
    ops: *const EngineOps,
}

/// Fills an error that may be NULL, or without room for a message, and passes the status on.
unsafe fn fail(err: *mut Error, status: Status, message: &str) -> Status {
    if !err.is_null() && (*err).size as usize >= std::mem::size_of::<Error>() {
        (*err).status = status;
        (*err).os_errno = 0;
        if !(*err).msg.is_null() && (*err).cap > 0 {
            let size = message.len().min((*err).cap as usize - 1);
            std::ptr::copy_nonoverlapping(message.as_ptr(), (*err).msg as *mut u8, size);
            *(*err).msg.add(size) = 0;
        }
    }
    status
}

/// The border: a panic inside ends here.
unsafe fn guarded(err: *mut Error, body: impl FnOnce() -> Status) -> Status {
    catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|_| fail(err, INTERNAL, "the rust engine panicked"))
}

unsafe extern "C" fn open(config: *const EngineConfig, ret_db: *mut *mut Db, err: *mut Error) -> Status {
    guarded(err, || {
        if (*config).flags & OPEN_CREATE == 0 {
            return fail(err, MISSING, "the rust engine keeps nothing: open it with KVS_OPEN_CREATE");
        }
        let db = Db {
            values: RwLock::new(BTreeMap::new()),
            read_only: (*config).flags & OPEN_READ_ONLY != 0,
        };
        *ret_db = Box::into_raw(Box::new(db));
        OK
    })
}

unsafe extern "C" fn close(db: *mut Db, err: *mut Error) -> Status {
    guarded(err, || {
        if !db.is_null() {
            drop(Box::from_raw(db));
        }
        OK
    })
}

unsafe extern "C" fn get(
    db: *mut Db,
    _tls: *mut c_void,
    key: Bytes,
    visit: Visit,
    arg: *mut c_void,
    err: *mut Error,
) -> Status {
    guarded(err, || {
        let values = (*db).values.read().unwrap();
        match values.get(key.as_slice()) {
            None => NOT_FOUND,
            Some(value) => {
                let view = Bytes { ptr: value.as_ptr() as *const c_void, len: value.len() as u64 };
                if visit(arg, view) == 0 { OK } else { STOPPED }
            }
        }
    })
}

unsafe fn check_write(db: &Db, key: Bytes, value_len: u64, err: *mut Error) -> Status {
    if db.read_only {
        fail(err, READ_ONLY, "the store was opened read-only")
    } else if key.len == 0 {
        fail(err, INVALID, "a key has at least 1 byte")
    } else if key.len > KEY_MAX || value_len > VALUE_MAX {
        fail(err, TOO_LARGE, "a key has at most 1024 bytes, a value 1048576")
    } else {
        OK
    }
}

unsafe extern "C" fn set(db: *mut Db, _tls: *mut c_void, key: Bytes, value: Bytes, err: *mut Error) -> Status {
    guarded(err, || {
        let status = check_write(&*db, key, value.len, err);
        if status == OK {
            let entry = (key.as_slice().to_vec(), value.as_slice().to_vec());
            (*db).values.write().unwrap().insert(entry.0, entry.1);
        }
        status
    })
}

unsafe extern "C" fn remove(db: *mut Db, _tls: *mut c_void, key: Bytes, err: *mut Error) -> Status {
    guarded(err, || {
        let status = check_write(&*db, key, 0, err);
        if status != OK {
            return status;
        }
        match (*db).values.write().unwrap().remove(key.as_slice()) {
            Some(_) => OK,
            None => NOT_FOUND,
        }
    })
}

const KEYS: &CStr = unsafe { CStr::from_bytes_with_nul_unchecked(b"keys\0") };

unsafe extern "C" fn stats(db: *mut Db, visit: VisitStat, arg: *mut c_void) {
    let _ = guarded(std::ptr::null_mut(), || {
        let keys = (*db).values.read().unwrap().len() as u64;
        visit(arg, KEYS.as_ptr(), keys);
        OK
    });
}

static OPERATIONS: EngineOps = EngineOps {
    size: std::mem::size_of::<EngineOps>() as u32,
    reserved: 0,
    capabilities: CONCURRENT_WRITERS | HAS_STATS,
    key_max: KEY_MAX,
    value_max: VALUE_MAX,
    batch_bytes_max: 0,
    batch_ops_max: 0,
    open,
    close,
    get,
    set,
    remove,
    absent: [std::ptr::null(); 6],
    stats,
};
unsafe impl Sync for EngineOps {}

static PLUGIN: Plugin = Plugin {
    size: std::mem::size_of::<Plugin>() as u32,
    magic: 0x6B76_7370,
    abi_major: 1,
    abi_minor: 0,
    kind: 1,
    reserved: 0,
    name: b"rust\0".as_ptr() as *const c_char,
    version: b"1.0\0".as_ptr() as *const c_char,
    description: b"a BTreeMap behind a lock\0".as_ptr() as *const c_char,
    author: std::ptr::null(),
    licence: std::ptr::null(),
    url: std::ptr::null(),
    options: std::ptr::null(),
    option_stride: 0,
    option_count: 0,
    ops: &OPERATIONS,
};
unsafe impl Sync for Plugin {}

struct List([*const Plugin; 2]);
unsafe impl Sync for List {}
static LIST: List = List([&PLUGIN, std::ptr::null()]);

/// The one symbol that a plugin exports.
#[no_mangle]
pub extern "C" fn kvs_plugin_entry_v1(_host_major: u32, _host_minor: u32) -> *const *const Plugin {
    LIST.0.as_ptr()
}
