//! Warm workers: processes that stay, read one request a task from standard input and answer on standard output.

mod answers;
mod crew;
mod idle;
mod live;
mod meter;
mod protocol;
mod slot;

pub use crew::SharedWorkerState;
pub use protocol::write_request;
pub use slot::WorkerSlot;
