//! The progress of a run, from its list and the ends of its journals; nothing here writes. `tail_state` follows the
//! end of a journal, `replica` looks at one replica, `monitor` polls all of them, `run_status` is the resulting data.
//! For a run with shared work, `block_accounts` says which launch has what, `block_counts` counts its tasks, `shared_work` combines both.

mod block_accounts;
mod block_counts;
mod monitor;
mod replica;
mod run_status;
mod shared_work;
mod tail_state;

pub use monitor::{MonitoredRun, RunMonitor};
pub use run_status::{HeldPart, ReplicaState, ReplicaStatus, RunStatus, ShareHoldings, SharingStatus};
