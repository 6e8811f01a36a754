//! What the process's allocator, mimalloc, keeps of the memory that was given back to it.
//!
//! Budgets hold for what is in use. What is free but not yet the system's again comes on top, and a node that writes
//! checkpoints, decodes batches and evicts pages gives back as much in a second as its cache holds: with mimalloc's own
//! delay of a second a node under a limit of 192 MiB took 30 MiB more than with the one here.

#![expect(unsafe_code, reason = "the options of mimalloc are set through C")]

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_get, mi_option_set_default, mi_option_t};

/// How long free pages are kept before the system has them back, in milliseconds. Less makes large answers dearer: their
/// buffers come and go every few milliseconds, and each page of one that went back is cleared anew (a fetched row cost a
/// fifth more at 10).
const RETURN_DELAY_MS: c_long = 50;

/// `mi_option_purge_delay` of `mimalloc.h`, which the binding leaves out; the same number in versions 2 and 3 of mimalloc.
const PURGE_DELAY: mi_option_t = 15;

/// Makes mimalloc return free memory after fifty milliseconds, unless `MIMALLOC_PURGE_DELAY` says otherwise. To be called once,
/// where the program starts.
pub fn return_memory_soon() {
    // SAFETY: the option's number is below `_mi_option_last`, and mimalloc reads options with plain loads wherever it needs
    // them; both calls touch nothing else.
    unsafe {
        if mi_option_get(PURGE_DELAY) > RETURN_DELAY_MS {
            mi_option_set_default(PURGE_DELAY, RETURN_DELAY_MS);
        }
    }
}
