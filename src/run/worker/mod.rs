//! Warm workers: long-lived processes that read one request per task from standard input and answer on standard output.

mod answers;
mod idle;
mod kind;
mod live;
mod meter;
mod protocol;
mod shared;
mod slot;

pub(super) use answers::AnswerLimits;
pub use kind::WorkerKind;
pub(super) use protocol::TaskAnswer;
pub use protocol::{OUT, ROW, TaskRequest};
pub use shared::SharedWorkerState;
pub use slot::WorkerSlot;
