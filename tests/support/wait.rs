//! Waiting for what has to come: never for a time, always for a condition with a deadline.

use std::time::{Duration, Instant};

/// Far longer than anything takes here, so that a busy machine fails no test.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

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
