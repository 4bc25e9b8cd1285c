//! A run on a real CephFS, seen by two nodes through clients of their own: what each of them can suffer.
#![cfg(target_os = "linux")]

mod launches;
mod products;
mod sharing;
