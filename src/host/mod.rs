//! The machine this runs on: what control groups and limits allow, what /proc says, how storage fails.

pub mod cgroup;
pub mod limits;
pub mod procfs;
pub mod shortage;
pub mod storage;
