//! Running a share: which task is next, how one is executed and stopped, and what is recorded about it.

mod almost_json;
pub mod call;
pub mod early_stop;
pub mod entry_names;
pub mod environment;
pub mod execute;
mod json_shape;
pub mod memory;
mod publishing;
pub mod queue;
pub mod recorder;
pub mod result;
pub mod retries;
pub mod schedule;
pub mod scratch;
mod verdict;
pub mod worker;
