//! Commands that wait for another process to let go of a results directory.

use crate::liveness::run_lock::LockObserver;
use crate::terminal::console::{Console, Tone, Verbosity};

/// Says who is waited for. Signals end the wait with the process.
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
