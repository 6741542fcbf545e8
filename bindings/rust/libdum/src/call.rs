// SPDX-License-Identifier: MIT
//! Calls into the library, and calls back out of it.

use std::any::Any;
use std::ffi::{CStr, CString};
use std::mem;
use std::os::raw::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

use libdum_sys as sys;

use crate::{Error, Outcome, Result};

#[allow(clippy::declare_interior_mutable_const)] // what thread_local! makes of it
mod failed {
    use std::cell::Cell;

    thread_local! {
        /// How a closure failed that the running call of this thread called.
        pub(super) static FAILED: Cell<Option<String>> = const { Cell::new(None) };
    }
}

/// None, too, on a thread that is ending.
fn exchange(message: Option<String>) -> Option<String> {
    failed::FAILED.try_with(|failed| failed.replace(message)).ok().flatten()
}

/// Makes a call. Calls that a closure makes meanwhile do not see each other's failures.
pub(crate) fn call(function: impl FnOnce() -> sys::dum_status) -> Result<Outcome> {
    let outer = exchange(None);
    let status = function();
    let failed = exchange(outer);
    match (status, failed) {
        (sys::DUM_OK | sys::DUM_CANCELLED | sys::DUM_ERR_CALLBACK, Some(message)) => {
            Err(Error::Callback(message))
        }
        (sys::DUM_OK, None) => Ok(Outcome::Complete),
        (sys::DUM_CANCELLED, None) => Ok(Outcome::Stopped),
        (status, _) => Err(Error::last(status)),
    }
}

/// The same for a call that is never stopped.
pub(crate) fn check(function: impl FnOnce() -> sys::dum_status) -> Result<()> {
    call(function).map(drop)
}

/// The same for a call that never calls back: it costs nothing over the function itself.
#[inline]
pub(crate) fn direct(function: impl FnOnce() -> sys::dum_status) -> Result<()> {
    match function() {
        sys::DUM_OK => Ok(()),
        status => Err(Error::last(status)),
    }
}

/// What a panic said.
fn said(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(message) => (*message).to_string(),
            Err(panic) => {
                // Dropping it may panic; what comes of that is left alone.
                if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                    mem::forget(again);
                }
                String::from("no message")
            }
        },
    }
}

/// Runs a closure of the host below C code: neither an error nor a panic goes further than here. `failed` is what C
/// gets then, and the call that is under way returns [`Error::Callback`].
pub(crate) fn guard<T>(what: &str, failed: T, body: impl FnOnce() -> Result<T, String>) -> T {
    // What the closure may have left half done is the host's own, and is not touched before the call has come back.
    let message = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(message)) => format!("the {what} closure failed: {message}"),
        Err(panic) => format!("the {what} closure panicked: {}", said(panic)),
    };
    let first = exchange(None).unwrap_or(message);
    exchange(Some(first));
    failed
}

/// A text for C.
pub(crate) fn c_text(what: &str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Argument(format!("{what} {text:?} holds a NUL character")))
}

/// A path for C.
pub(crate) fn c_path(path: &Path) -> Result<CString> {
    #[cfg(unix)]
    let bytes = Some(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
    #[cfg(not(unix))]
    let bytes = path.to_str().map(str::as_bytes);
    bytes
        .and_then(|bytes| CString::new(bytes).ok())
        .ok_or_else(|| Error::Argument(format!("the path {path:?} holds what no path of this system can")))
}

/// A text from C, or None for NULL and what is not UTF-8.
///
/// # Safety
///
/// The text lives and is not changed for 'a.
pub(crate) unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not NULL; the rest is the caller's duty. All texts of the library end with a NUL.
    unsafe { CStr::from_ptr(pointer) }.to_str().ok()
}

/// A text in an array of a struct.
pub(crate) fn array_text(array: &[c_char]) -> String {
    let bytes: Vec<u8> = array.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the library fills for a count that it gave: never negative.
pub(crate) fn count(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(0)
}

/// A length for C.
pub(crate) fn length<T>(slice: &[T]) -> i64 {
    // A slice has at most isize::MAX bytes.
    slice.len() as i64
}
