//! canfar-run as the platform runs it: the first process of a container that somebody else limits, stops and kills.

mod limits;
mod memory;
mod orphans;
mod stopping;
mod surroundings;
