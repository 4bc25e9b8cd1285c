//! The system is short of processes, descriptors or memory: which errors say so, and how long to wait for more.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

/// The pause before what failed for a shortage is tried again.
pub const PAUSE: Duration = Duration::from_secs(1);

/// After so many pauses in a row waiting does not help.
pub const MOST_PAUSES: u32 = 60;

/// Whether an error says so: the same may work later.
pub fn is_shortage(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE))
}
