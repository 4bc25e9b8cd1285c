//! Running a share: which task is next, how one is executed, how it is stopped, what is kept of it.

mod almost_json;
pub mod capture;
pub mod cgroup;
pub mod child;
pub mod descendants;
pub mod entry_names;
pub mod environment;
pub mod execute;
pub mod init;
pub mod latch;
pub mod limits;
pub mod memory;
mod proc_text;
pub mod program;
mod reaped;
pub mod recorder;
pub mod result;
pub mod schedule;
pub mod scratch;
pub mod shutdown;
pub mod signals;
pub mod source;
pub mod spawn;
mod stream;
pub mod supervisor;
mod verdict;
pub mod worker;
