//! docs/advanced-examples.md. Its blocks are read from the page itself: each snippet of the original is run with the real
//! `canfar` package, and what stands beside it with canfar-run. The page's paths are real here, in a root of its own.
//! The page is not among those of the other documentation, which has one test for all.

mod faults;
mod launches;
mod page;
mod place;
mod records;
mod shares;

use std::sync::OnceLock;

use crate::support::{Component, require};

/// Whether originals can be run here, and where they expect to be.
fn can_run() -> bool {
    // The import takes long enough to do it once.
    static HAS_CANFAR: OnceLock<bool> = OnceLock::new();
    *HAS_CANFAR.get_or_init(|| require(Component::Python("canfar"))) && require(Component::PrivateMounts)
}
