// SPDX-License-Identifier: MIT
use std::ffi::CStr;
use std::fmt;

use libdum_sys as sys;

/// What went wrong, each with the library's message: it says which argument had which value and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An argument is out of range, or an unknown name.
    Argument(String),
    /// Rows or columns do not fit.
    Shape(String),
    /// NaN or infinity in the data, or training diverged.
    Nonfinite(String),
    /// Not fitted, not calibrated, or fitted already.
    State(String),
    /// An allocation failed.
    OutOfMemory(String),
    /// The operating system refused to open, read or write a file.
    Io(String),
    /// A file is not what it should be.
    Format(String),
    /// A model file needs a newer library.
    Version(String),
    /// A model file was altered or damaged.
    Checksum(String),
    /// The context's `max_bytes` or a stated size limit would be passed.
    Limit(String),
    /// A backend is missing, of the wrong version, or failed.
    Backend(String),
    /// This library or this kind cannot do that.
    Unsupported(String),
    /// The library does not know a struct that this crate passed: they are of different releases.
    Abi(String),
    /// A closure returned an error or panicked.
    Callback(String),
    /// A bug in libdum.
    Internal(String),
    /// A status that this crate does not know.
    Unknown {
        /// The number of the status.
        status: i32,
        /// The library's message.
        message: String,
    },
}

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The error of a status that is a failure.
    pub(crate) fn new(status: sys::dum_status, message: String) -> Error {
        match status {
            sys::DUM_ERR_ARGUMENT => Error::Argument(message),
            sys::DUM_ERR_SHAPE => Error::Shape(message),
            sys::DUM_ERR_NONFINITE => Error::Nonfinite(message),
            sys::DUM_ERR_STATE => Error::State(message),
            sys::DUM_ERR_NOMEM => Error::OutOfMemory(message),
            sys::DUM_ERR_IO => Error::Io(message),
            sys::DUM_ERR_FORMAT => Error::Format(message),
            sys::DUM_ERR_VERSION => Error::Version(message),
            sys::DUM_ERR_CHECKSUM => Error::Checksum(message),
            sys::DUM_ERR_LIMIT => Error::Limit(message),
            sys::DUM_ERR_BACKEND => Error::Backend(message),
            sys::DUM_ERR_UNSUPPORTED => Error::Unsupported(message),
            sys::DUM_ERR_ABI => Error::Abi(message),
            sys::DUM_ERR_CALLBACK => Error::Callback(message),
            sys::DUM_ERR_INTERNAL => Error::Internal(message),
            status => Error::Unknown { status, message },
        }
    }

    /// The error of this thread's last call, which returned `status`.
    #[cold]
    pub(crate) fn last(status: sys::dum_status) -> Error {
        // SAFETY: never NULL, and valid until this thread's next call into the library.
        let message = unsafe { CStr::from_ptr(sys::dum_error_message()) };
        Error::new(status, message.to_string_lossy().into_owned())
    }

    /// The number of the status in `dum.h`.
    pub fn status(&self) -> i32 {
        match self {
            Error::Argument(_) => sys::DUM_ERR_ARGUMENT,
            Error::Shape(_) => sys::DUM_ERR_SHAPE,
            Error::Nonfinite(_) => sys::DUM_ERR_NONFINITE,
            Error::State(_) => sys::DUM_ERR_STATE,
            Error::OutOfMemory(_) => sys::DUM_ERR_NOMEM,
            Error::Io(_) => sys::DUM_ERR_IO,
            Error::Format(_) => sys::DUM_ERR_FORMAT,
            Error::Version(_) => sys::DUM_ERR_VERSION,
            Error::Checksum(_) => sys::DUM_ERR_CHECKSUM,
            Error::Limit(_) => sys::DUM_ERR_LIMIT,
            Error::Backend(_) => sys::DUM_ERR_BACKEND,
            Error::Unsupported(_) => sys::DUM_ERR_UNSUPPORTED,
            Error::Abi(_) => sys::DUM_ERR_ABI,
            Error::Callback(_) => sys::DUM_ERR_CALLBACK,
            Error::Internal(_) => sys::DUM_ERR_INTERNAL,
            Error::Unknown { status, .. } => *status,
        }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        match self {
            Error::Argument(message)
            | Error::Shape(message)
            | Error::Nonfinite(message)
            | Error::State(message)
            | Error::OutOfMemory(message)
            | Error::Io(message)
            | Error::Format(message)
            | Error::Version(message)
            | Error::Checksum(message)
            | Error::Limit(message)
            | Error::Backend(message)
            | Error::Unsupported(message)
            | Error::Abi(message)
            | Error::Callback(message)
            | Error::Internal(message)
            | Error::Unknown { message, .. } => message,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses are those of dum.h; each has a variant.
    #[test]
    fn statuses() {
        let header =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../include/dum.h")).unwrap();
        let numbers: Vec<i32> = header
            .lines()
            .filter_map(|line| line.trim().strip_prefix("DUM_ERR_")?.split_once(" = "))
            .filter_map(|(_, rest)| rest.split([',', ' ']).next()?.parse().ok())
            .collect();
        assert!(numbers.len() >= 15);
        for number in numbers {
            let error = Error::new(number, String::from("why"));
            assert!(!matches!(error, Error::Unknown { .. }), "{number} has no variant");
            assert_eq!((error.status(), error.to_string().as_str()), (number, "why"));
        }
        let unknown = Error::new(-99, String::from("why"));
        assert_eq!((unknown.status(), unknown.message()), (-99, "why"));
    }
}
