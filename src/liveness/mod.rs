//! Which launches are running: heartbeats, and what follows from their absence.

pub mod answered_time;
pub mod fence;
pub mod heartbeat;
pub mod probe;
pub mod run_lock;
pub mod takeover;
pub mod watch;
