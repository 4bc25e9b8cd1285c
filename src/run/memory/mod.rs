//! Keeping tasks within the container's memory: how many run at once, and which is stopped before the kernel kills.

mod guard;
mod judge;
mod room;

pub use guard::MemoryMonitor;
pub use room::{MemoryBudget, fitting};
