// SPDX-License-Identifier: MIT
use std::ptr::{self, NonNull};

use libdum_sys as sys;

use crate::call::check;
use crate::{Context, Error, Result};

/// A type of the library whose objects a context makes.
///
/// # Safety
///
/// `DESTROY` is the type's destroy function, and the type obeys the thread safety rule of dum.h.
pub(crate) unsafe trait Object {
    const DESTROY: unsafe extern "C" fn(*mut Self);
}

macro_rules! object {
    ($($type:ident, $destroy:ident;)*) => {$(
        // SAFETY: it is, and it does: "handles may be used by several threads at once for calls that take them as
        // const; a call that takes a handle without const needs that handle for itself".
        unsafe impl Object for sys::$type {
            const DESTROY: unsafe extern "C" fn(*mut Self) = sys::$destroy;
        }
    )*};
}

object! {
    dum_dataset, dum_dataset_destroy;
    dum_encoder, dum_encoder_destroy;
    dum_head, dum_head_destroy;
    dum_scorer, dum_scorer_destroy;
    dum_monitor, dum_monitor_destroy;
}

/// An object of the library. It keeps its context, and with it the log closure that the object may call.
pub(crate) struct Handle<T: Object> {
    pointer: NonNull<T>,
    context: Context,
}

// SAFETY: no call is bound to a thread, and a handle is destroyed by one thread. The context, whose log closure is
// Send and Sync, may be shared.
unsafe impl<T: Object> Send for Handle<T> {}
// SAFETY: through a shared reference only `get` and `get_shared` give a pointer. The first is const; calls that take
// it may run at once. The second is for the calls that dum.h allows at once though they are not const.
unsafe impl<T: Object> Sync for Handle<T> {}

impl<T: Object> Handle<T> {
    /// Makes an object by a function of the library that gets the context and where the pointer goes.
    pub(crate) fn create(
        context: &Context,
        function: impl FnOnce(*mut sys::dum_context, *mut *mut T) -> sys::dum_status,
    ) -> Result<Self> {
        let mut out = ptr::null_mut();
        let result = check(|| function(context.as_ptr(), &mut out));
        // Also after an error: of a log closure, when all else was well.
        let handle = NonNull::new(out).map(|pointer| Handle { pointer, context: context.clone() });
        result?;
        handle.ok_or_else(|| Error::Internal(String::from("success, but there is no object")))
    }

    /// For calls that take the handle as const.
    pub(crate) fn get(&self) -> *const T {
        self.pointer.as_ptr()
    }

    /// For calls that need the handle for themselves.
    pub(crate) fn get_mut(&mut self) -> *mut T {
        self.pointer.as_ptr()
    }

    /// For calls that dum.h allows at once though they take the handle without const.
    pub(crate) fn get_shared(&self) -> *mut T {
        self.pointer.as_ptr()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }
}

impl<T: Object> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a create function, and nobody uses it after this. The context is released
        // after it.
        unsafe { T::DESTROY(self.pointer.as_ptr()) }
    }
}
