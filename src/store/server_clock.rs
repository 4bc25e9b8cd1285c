//! The file server's clock, for comparing times of files.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long ago something was written, by such a clock.
pub fn age(now: SystemTime, written: SystemTime) -> Duration {
    // Written after `now` was asked for, it seems to come from the future.
    now.duration_since(written).unwrap_or_else(|early| early.duration())
}

/// [`now_at_file_server`], and this host's clock where that can't be asked: to tell whether a file was written lately, a
/// clock that is a little wrong is better than none.
pub fn now_as_good_as_known(folder: &Path) -> SystemTime {
    now_at_file_server(folder).unwrap_or_else(SystemTime::now)
}

/// The file server's clock, by which times of files can be compared whatever this host's clock says; `None` where a
/// folder can't be written to.
pub fn now_at_file_server(folder: &Path) -> Option<SystemTime> {
    tempfile::tempfile_in(folder).ok()?.metadata().ok()?.modified().ok()
}
