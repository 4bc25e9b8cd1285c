//! How far a run is, from its list and the ends of its journals; nothing here writes. `tail_state` follows the
//! end of a journal, `replica` looks at one replica, `monitor` at all of them again and again, `run_status` is what comes of it.
//! Of a run that shares its work `block_accounts` tells who has what, `block_counts` how that stands, `shared_work` both of all.

mod block_accounts;
mod block_counts;
mod monitor;
mod replica;
mod run_status;
mod shared_work;
mod tail_state;

pub use monitor::{MonitoredRun, RunMonitor};
pub use run_status::{HeldPart, ReplicaState, ReplicaStatus, RunStatus, ShareHoldings, SharingStatus};
