//! Child processes: starting them, reading their output, stopping them with all their descendants, and being process 1.

pub mod capture;
pub mod child;
pub mod descendants;
pub mod init;
pub mod latch;
pub mod memory_tree;
pub mod program;
pub mod reap;
pub mod registry;
pub mod shutdown;
pub mod signals;
pub mod spawn;
pub mod stream;
pub mod supervisor;
