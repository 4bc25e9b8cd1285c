//! Sharing work during a run: which launch has claimed which block, and whether it is still running.

pub mod claimants;
pub mod claims;
pub mod ledger;
pub mod peers;
