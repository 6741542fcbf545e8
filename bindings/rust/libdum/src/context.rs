// SPDX-License-Identifier: MIT
use std::fmt;
use std::os::raw::{c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use libdum_sys as sys;

use crate::call::{array_text, c_path, c_text, check, count, guard, text};
use crate::{Error, Result};

/// How grave a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Something failed, and the call went on without it.
    Error,
    /// Something is probably not what was meant.
    Warning,
    /// What was done, and why.
    Info,
    /// Anything else.
    Debug,
}

/// One line of the log.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LogLine<'a> {
    /// How grave it is.
    pub level: Level,
    /// What it is about, for filters: one of the codes in `dum.h`, such as `libdum_sys::DUM_LOG_CONSTANT_SCORE`.
    pub code: i32,
    /// The line, without newline.
    pub text: &'a str,
}

struct Logger(Box<dyn Fn(&LogLine<'_>) + Send + Sync>);

unsafe extern "C" fn log(user: *mut c_void, level: i32, code: i32, line: *const c_char) {
    guard("log", (), || {
        // SAFETY: user is the Logger of the context, which its handles keep; it is only ever shared.
        let logger = unsafe { &*user.cast::<Logger>() };
        // SAFETY: the library gives a text that lives during this call.
        let text = unsafe { text(line) }.unwrap_or_default();
        let level = match u32::try_from(level) {
            Ok(sys::DUM_LOG_ERROR) => Level::Error,
            Ok(sys::DUM_LOG_WARNING) => Level::Warning,
            Ok(sys::DUM_LOG_INFO) => Level::Info,
            _ => Level::Debug,
        };
        (logger.0)(&LogLine { level, code, text });
        Ok(())
    });
}

/// Destroys the context, then the log closure.
struct Inner {
    pointer: NonNull<sys::dum_context>,
    _logger: Option<Arc<Logger>>,
}

// SAFETY: "one context may serve many threads" (dum.h), also for creating and destroying: its references and bytes are
// counted atomically. The log closure is Send and Sync.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: every handle keeps its context, so this is the last one.
        unsafe { sys::dum_context_destroy(self.pointer.as_ptr()) }
    }
}

/// Threads, memory, log and backend of what is made with it. A clone is the same context.
///
/// ```
/// use libdum::Context;
///
/// let context = Context::builder()
///     .threads(2)
///     .max_bytes(1 << 30)
///     .log(|line| eprintln!("{:?}: {}", line.level, line.text))
///     .build()?;
/// assert_eq!(context.threads(), 2);
/// # Ok::<(), libdum::Error>(())
/// ```
///
/// The log closure lives as long as the context and all that is made with it, so it cannot borrow:
///
/// ```compile_fail,E0373
/// let lines = std::sync::Mutex::new(Vec::new());
/// let context = libdum::Context::builder().log(|line| lines.lock().unwrap().push(line.code)).build();
/// ```
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

impl Context {
    /// A context with the best backend and all processors that the process may use, without a limit or a log.
    pub fn new() -> Result<Context> {
        Context::builder().build()
    }

    /// A context with options.
    pub fn builder() -> ContextBuilder {
        ContextBuilder::default()
    }

    /// The number of threads that large calls use, the caller's included.
    pub fn threads(&self) -> usize {
        // SAFETY: the context lives as long as self.
        count(unsafe { sys::dum_context_threads(self.as_ptr()) })
    }

    /// The name of the backend in use.
    pub fn backend(&self) -> &'static str {
        // SAFETY: the context lives as long as self; the text is static.
        unsafe { text(sys::dum_context_backend(self.as_ptr())) }.unwrap_or_default()
    }

    /// Bytes that the context and what was made with it hold now.
    pub fn bytes(&self) -> u64 {
        // SAFETY: the context lives as long as self.
        unsafe { sys::dum_context_bytes(self.as_ptr()) }
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::dum_context {
        self.inner.pointer.as_ptr()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("backend", &self.backend())
            .field("threads", &self.threads())
            .field("bytes", &self.bytes())
            .finish()
    }
}

/// The options of a [`Context`].
#[derive(Default)]
#[must_use]
pub struct ContextBuilder {
    backend: Option<String>,
    device: i32,
    threads: i32,
    max_bytes: u64,
    module_dir: Option<PathBuf>,
    logger: Option<Arc<Logger>>,
}

impl ContextBuilder {
    /// The name of a backend ([`backends`]), or "auto": the best that there is.
    pub fn backend(mut self, name: &str) -> Self {
        self.backend = Some(name.to_string());
        self
    }

    /// The index of the accelerator; 0 on backends of the processor.
    pub fn device(mut self, index: u32) -> Self {
        self.device = i32::try_from(index).unwrap_or(i32::MAX);
        self
    }

    /// How many threads large calls use, the caller's included; 0: the processors that the process may use.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = i32::try_from(threads).unwrap_or(i32::MAX);
        self
    }

    /// The most memory that the context and what is made with it may hold together; 0: no limit.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Where backend modules lie, if not in the installed folder.
    pub fn module_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.module_dir = Some(path.as_ref().to_path_buf());
        self
    }

    /// What gets the lines of the log, on the thread that made the call which logs. Where it panics, that call returns
    /// [`Error::Callback`], though what it did is done.
    pub fn log(mut self, log: impl Fn(&LogLine<'_>) + Send + Sync + 'static) -> Self {
        self.logger = Some(Arc::new(Logger(Box::new(log))));
        self
    }

    /// Makes the context.
    pub fn build(self) -> Result<Context> {
        let backend = self.backend.map(|name| c_text("the backend", &name)).transpose()?;
        let module_dir = self.module_dir.map(|path| c_path(&path)).transpose()?;
        let mut options = sys::dum_context_options {
            struct_size: std::mem::size_of::<sys::dum_context_options>(),
            backend: backend.as_ref().map_or(ptr::null(), |name| name.as_ptr()),
            device: self.device,
            threads: self.threads,
            max_bytes: self.max_bytes,
            module_dir: module_dir.as_ref().map_or(ptr::null(), |path| path.as_ptr()),
            ..Default::default()
        };
        if let Some(logger) = &self.logger {
            options.log = Some(log);
            options.log_user = Arc::as_ptr(logger) as *mut c_void;
        }
        let mut out = ptr::null_mut();
        // SAFETY: the options and their texts live during the call, and the logger as long as the context.
        let result = check(|| unsafe { sys::dum_context_create(&options, &mut out) });
        let context = NonNull::new(out)
            .map(|pointer| Context { inner: Arc::new(Inner { pointer, _logger: self.logger }) });
        result?;
        context.ok_or_else(|| Error::Internal(String::from("success, but there is no context")))
    }
}

impl fmt::Debug for ContextBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextBuilder")
            .field("backend", &self.backend)
            .field("device", &self.device)
            .field("threads", &self.threads)
            .field("max_bytes", &self.max_bytes)
            .field("module_dir", &self.module_dir)
            .field("log", &self.logger.is_some())
            .finish()
    }
}

/// A backend that the library knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backend {
    /// Its name, for [`ContextBuilder::backend`].
    pub name: String,
    /// Whether a context can be made with it.
    pub available: bool,
    /// Why not, or what it runs on.
    pub reason: String,
}

/// The backends that the library knows, best first.
///
/// ```
/// assert!(libdum::backends()?.iter().any(|backend| backend.name == "ref" && backend.available));
/// # Ok::<(), libdum::Error>(())
/// ```
pub fn backends() -> Result<Vec<Backend>> {
    // SAFETY: takes nothing.
    let number = unsafe { sys::dum_backend_count() };
    (0..number)
        .map(|index| {
            let mut info = sys::dum_backend_info {
                struct_size: std::mem::size_of::<sys::dum_backend_info>(),
                ..Default::default()
            };
            // SAFETY: info lives during the call and has its size.
            check(|| unsafe { sys::dum_backend_get(index, &mut info) })?;
            Ok(Backend {
                // SAFETY: the text is static.
                name: unsafe { text(info.name) }.unwrap_or_default().to_string(),
                available: info.available != 0,
                reason: array_text(&info.reason),
            })
        })
        .collect()
}

/// The version of the library that is loaded, such as "0.1.0".
pub fn version() -> &'static str {
    // SAFETY: the text is static.
    unsafe { text(sys::dum_version()) }.unwrap_or_default()
}
