//! The command template: what the user typed once, and what it becomes for each task. [`Template::from_argv`] is the
//! argument list after `--`, [`Template::from_shell`] the line of `--shell`. It uses no threads and starts no process.

mod argv;
mod error;
mod hazard;
mod lexer;
mod parts;
mod placeholder;
mod quote;
mod shell;
mod word;

pub use argv::{PathTemplate, Template, ValueTemplate};
pub use error::TemplateError;
pub use hazard::is_shell;
pub use placeholder::{EntryKind, TaskPlace, Token, Vocabulary, first_out};
pub use quote::{quoted, quoted_but_tokens, shell_quote};
