//! What the workers of a launch have in common.

use std::ffi::OsStr;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::run::recorder::Observer;
use crate::units;

/// What the workers of a launch have in common.
pub struct SharedWorkerState<'a> {
    /// Whether one of them ever took a task: then it is no fault of the command when another one does not.
    took: AtomicBool,
    /// After this long without an answer, output or CPU use there is a warning about a worker.
    idle_after: Option<Duration>,
    is_idle_told: AtomicBool,
    is_refusal_told: AtomicBool,
    watch: &'a dyn Observer,
}

impl fmt::Debug for SharedWorkerState<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SharedWorkerState").field("took", &self.took).finish_non_exhaustive()
    }
}

impl<'a> SharedWorkerState<'a> {
    /// Workers of a launch with observers; there is a warning about one that is idle for this long.
    pub fn new(idle_after: Option<Duration>, watch: &'a dyn Observer) -> Self {
        let [took, is_idle_told, is_refusal_told] = std::array::from_fn(|_| AtomicBool::new(false));
        Self { took, idle_after, is_idle_told, is_refusal_told, watch }
    }

    /// One of them took a task.
    pub(super) fn note_taken(&self) {
        self.took.store(true, Ordering::Relaxed);
    }

    /// Whether one ever did.
    pub(super) fn has_taken(&self) -> bool {
        self.took.load(Ordering::Relaxed)
    }

    /// After how long without any activity to warn about a worker; `None` once that was done.
    pub(super) fn idle_after(&self) -> Option<Duration> {
        self.idle_after.filter(|_| !self.is_idle_told.load(Ordering::Relaxed))
    }

    /// Warns, once, about a worker that is idle at the entry `path`, with the last line that it printed, if any.
    pub(super) fn tell_idle(&self, path: &OsStr, last_line: Option<&str>) {
        if self.is_idle_told.swap(true, Ordering::Relaxed) {
            return;
        }
        let (path, time) = (units::path(path), units::duration(self.idle_after.unwrap_or_default()));
        let what = match last_line {
            Some(line) => format!("printed `{line}` and has been idle for {time} without an answer"),
            None => format!("has printed nothing and has been idle for {time}"),
        };
        self.watch.worker_idle(&format!(
            "the worker for {path} {what}; an answer is one line of JSON such as {{\"stars\": 42}}, with a line end, and is not held back in a buffer (in Python: print(json.dumps(...), flush=True))"
        ));
    }

    /// Reports, once, what Python printed about why it can't call a function.
    pub(super) fn tell_refusal(&self, printed: &str) {
        if !self.is_refusal_told.swap(true, Ordering::Relaxed) && !printed.trim().is_empty() {
            self.watch.import_failed(printed);
        }
    }
}
