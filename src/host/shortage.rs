//! The system is short of processes, descriptors or memory: which errors say so, and how long to wait for more.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

/// The pause before what failed for a shortage is tried again.
pub const PAUSE: Duration = Duration::from_secs(1);

/// After this many pauses in a row, waiting does not help.
pub const MOST_PAUSES: u32 = 60;

/// Whether an error says so: the same may work later.
pub fn is_shortage(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE))
}

/// Tries again after a pause while `is_short` says so of the error. Before each pause it is asked whether to `go_on`.
///
/// # Errors
/// That of the attempt which was not for a shortage, or of the last one; that of `go_on`.
pub fn patiently<T, E>(
    attempt: impl Fn() -> Result<T, E>,
    is_short: impl Fn(&E) -> bool,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<T, E> {
    for _ in 0..MOST_PAUSES {
        match attempt() {
            Err(error) if is_short(&error) => {
                go_on()?;
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
    attempt()
}
