//! How far a run is, from its list and the ends of its journals; nothing here writes. `tail_state` follows the
//! end of a journal, `replica` looks at one replica, `monitor` at all of them again and again, `run_status` is what comes of it.

mod monitor;
mod replica;
mod run_status;
mod tail_state;

pub use monitor::RunMonitor;
pub use run_status::{ReplicaState, ReplicaStatus, RunStatus};
