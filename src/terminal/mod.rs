//! Messages to people: lines on standard error, and what is redrawn on a terminal.

pub mod console;
pub mod fullscreen;
pub mod only_colors;
pub mod printer;
pub mod progress;
pub mod screen;
pub mod size;
