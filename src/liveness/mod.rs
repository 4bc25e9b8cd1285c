//! Who is running: signs of life, and what follows from their absence.

pub mod heartbeat;
pub mod run_lock;
pub mod takeover;
