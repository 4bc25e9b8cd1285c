//! Running a share: which task is next, how one is executed, how it is stopped, what is kept of it.

pub mod attendance;
pub mod capture;
pub mod cgroup;
pub mod child;
pub mod descendants;
pub mod environment;
pub mod execute;
pub mod first_thread;
pub mod gate;
pub mod limits;
pub mod memory;
mod proc_text;
pub mod program;
mod reaped;
pub mod recorder;
pub mod result;
pub mod schedule;
pub mod scratch;
pub mod source;
pub mod spawn;
pub mod stop;
mod stream;
mod verdict;
pub mod worker;
