//! Plain data that several modules use: replicas and their shares, entries, outcomes, usage.

pub mod blocks;
pub mod call_target;
pub mod counts;
pub mod cpu_sharing;
pub mod entries;
pub mod failures;
pub mod histogram;
pub mod index_ranges;
pub mod launch_id;
pub mod outcome;
pub mod product;
pub mod provenance;
pub mod quarantine;
pub mod rate;
mod reason_key;
pub mod replica;
pub mod row;
pub mod selection;
pub mod shares;
pub mod usage;
