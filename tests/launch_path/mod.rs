//! The way of a launch: typed, through the real client, through the platform's splitting and quoting, into a container
//! in which canfar-run does what the line says, or says what became of it.

mod absent;
mod arrival;
pub(crate) mod client;
mod documented;
mod image;
pub(crate) mod platform;
mod surroundings;
mod world;
