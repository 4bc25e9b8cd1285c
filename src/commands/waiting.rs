//! Messages of commands that wait for another process to release a results directory.

use crate::liveness::run_lock::LockObserver;
use crate::terminal::console::{Console, Tone, Verbosity};

/// Says which process it waits for. Signals end the wait together with this process.
pub(super) struct WaitingForLock<'a>(pub(super) &'a Console);

impl LockObserver for WaitingForLock<'_> {
    fn keep_going(&self) -> bool {
        true
    }

    fn waiting_for_lock(&self, who: &str) {
        let text = format!("waiting for {who}, which lists inputs, merges, or moves a run away");
        self.0.say(Verbosity::Normal, Tone::Plain, &text);
    }
}
