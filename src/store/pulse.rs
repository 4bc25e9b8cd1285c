//! Files that grow as long as their writers run.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};

use crate::threads::locked;

/// A file that shows by growing that its writer runs.
pub trait Pulse: Send + 'static {
    /// What of the file a sync covers.
    type Mark: Send;

    /// What people call it.
    const NAME: &str;

    /// Lets the file grow.
    ///
    /// # Errors
    /// When it can't be written.
    fn beat(&mut self) -> io::Result<()>;

    /// The file, unless all of it was synced, and what of it a sync that begins now covers.
    fn begin_sync(&mut self) -> Option<(Arc<File>, Self::Mark)>;

    /// A sync has ended.
    fn end_sync(&mut self, mark: Self::Mark, result: &io::Result<()>);
}

/// Syncs a file without blocking others meanwhile.
///
/// # Errors
/// When it can't be synced.
pub fn sync<P: Pulse>(pulse: &Mutex<P>) -> io::Result<()> {
    let Some((file, mark)) = locked(pulse).begin_sync() else { return Ok(()) };
    let result = file.sync_data();
    locked(pulse).end_sync(mark, &result);
    result
}
