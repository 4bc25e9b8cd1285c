//! Keeping tasks within the container's memory: how many run at once, and which is stopped before the kernel kills.

mod budget;
mod monitor;
mod oom_kill;
mod policy;

pub use budget::{MemoryBudget, fitting};
pub use monitor::MemoryMonitor;
pub use oom_kill::out_of_memory;
