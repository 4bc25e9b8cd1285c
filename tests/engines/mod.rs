//! Engines that start replicas: what they set, and the ready files for them in `examples/`.

mod files;
mod variables;
