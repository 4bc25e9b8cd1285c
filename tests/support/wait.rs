//! Waiting for what has to come: never for a time, always for a condition with a deadline.

use std::fs::File;
use std::io;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// Far longer than anything takes here, so that a busy machine fails no test.
pub(crate) const DEADLINE: Duration = Duration::from_mins(3);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(3);

/// Returns as soon as `condition` holds; panics, saying `what` was waited for, when it does not within `deadline`.
#[track_caller]
pub(crate) fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
        std::thread::sleep(LOOK);
    }
}

/// Programs that tests compare with, or prepare something by.
pub(crate) trait InTime {
    /// As [`Command::output`], but within [`DEADLINE`].
    fn output_in_time(&mut self) -> io::Result<Output>;

    /// The same with something to read on standard input.
    fn output_given(&mut self, input: &[u8]) -> io::Result<Output>;
}

impl InTime for Command {
    #[track_caller]
    fn output_in_time(&mut self) -> io::Result<Output> {
        self.output_given(b"")
    }

    // Files, which are never full: of two pipes, each may wait for the other one to be emptied.
    #[track_caller]
    fn output_given(&mut self, input: &[u8]) -> io::Result<Output> {
        let streams = tempfile::tempdir()?;
        let [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map(|name| streams.path().join(name));
        std::fs::write(&stdin, input)?;
        self.stdin(File::open(stdin)?).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
        let mut child = Started(self.spawn()?);
        let mut status = None;
        wait_until(DEADLINE, &format!("the end of {self:?}"), || {
            status = child.0.try_wait().unwrap();
            status.is_some()
        });
        Ok(Output { status: status.unwrap(), stdout: std::fs::read(stdout)?, stderr: std::fs::read(stderr)? })
    }
}

/// Killed when dropped, so that a failed test leaves nothing behind.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
