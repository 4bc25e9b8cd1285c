//! Sharing while a run goes on: who has claimed which block, and whether whoever has it is still at it.

pub mod claimants;
pub mod claims;
pub mod ledger;
pub mod peers;
