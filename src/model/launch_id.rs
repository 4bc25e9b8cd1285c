//! Which launch of which replica.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One launch of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaunchId {
    /// From 1. Above the run's count: a container that was added.
    pub replica: u32,
    /// From 1.
    pub launch: u32,
}

impl fmt::Display for LaunchId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.replica, self.launch)
    }
}
