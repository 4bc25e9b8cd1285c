//! Options by name, as they were typed: names are all that the command line has in common with variables and job
//! files.

use std::ffi::{OsStr, OsString};
use std::marker::PhantomData;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Subcommand};

use crate::cli::{Cli, Request};

/// Options that mean something only together with those of weaker layers.
#[derive(Debug)]
pub struct Typed<A> {
    matches: ArgMatches,
    args: PhantomData<A>,
}

impl<A: Args> Typed<A> {
    /// Reads a line that begins with the program's name and a subcommand.
    ///
    /// # Errors
    /// When it is wrong.
    pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut matches = Cli::command().try_get_matches_from(line)?;
        let matches = matches.remove_subcommand().map(|(_, matches)| matches).unwrap_or_default();
        Ok(Self { matches, args: PhantomData })
    }

    /// What they say.
    ///
    /// # Errors
    /// When one that is required is missing.
    pub fn args(&self) -> Result<A, clap::Error> {
        A::from_arg_matches(&self.matches)
    }

    /// Whether an option of this name was typed.
    pub fn is_typed(&self, name: &str) -> bool {
        let id = id_of(name);
        self.matches.try_contains_id(&id).unwrap_or(false)
            && self.matches.value_source(&id) == Some(ValueSource::CommandLine)
    }

    /// Whether a switch was turned on.
    pub fn is_on(&self, switch: &str) -> bool {
        self.matches.try_get_one::<bool>(switch).is_ok_and(|on| on == Some(&true))
    }

    /// The values of an option, as they were typed or else by default.
    pub fn values(&self, name: &str) -> Vec<&OsStr> {
        let values = self.matches.try_get_raw(&id_of(name)).ok().flatten();
        values.into_iter().flatten().collect()
    }
}

/// clap's id of an option: its field's name.
fn id_of(name: &str) -> String {
    if name == "type" { "entry_type".to_owned() } else { name.replace('-', "_") }
}

impl<A: Args> FromArgMatches for Typed<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { matches: matches.clone(), args: PhantomData })
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { matches: std::mem::take(matches), args: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.matches = matches.clone();
        Ok(())
    }
}

impl<A: Args> Args for Typed<A> {
    fn augment_args(command: clap::Command) -> clap::Command {
        A::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        A::augment_args_for_update(command)
    }
}

/// The subcommand of a command line, and the words after its name.
pub fn subcommand_of(argv: &[OsString]) -> (&str, &[OsString]) {
    let named = argv.get(1).and_then(|word| word.to_str()).filter(|word| Request::has_subcommand(word));
    match named {
        Some(name) => (name, &argv[2..]),
        None => ("run", argv.get(1..).unwrap_or_default()),
    }
}

/// The long names of options.
#[derive(Debug)]
pub struct OptionNames {
    /// The options of a subcommand.
    pub own: Vec<String>,
    /// The options of `run`.
    pub run: Vec<String>,
    /// The options that take many values.
    pub lists: Vec<String>,
}

impl OptionNames {
    /// The options that a subcommand has.
    pub fn of(subcommand: &str) -> Self {
        let root = Cli::command();
        let names = |subcommand| {
            let options = root.find_subcommand(subcommand).unwrap_or(&root).get_arguments();
            options.filter_map(Arg::get_long).map(str::to_owned).collect()
        };
        let lists = root.get_arguments().filter(|option| matches!(option.get_action(), ArgAction::Append));
        let lists = lists.filter_map(Arg::get_long).map(str::to_owned).collect();
        Self { own: names(subcommand), run: names("run"), lists }
    }
}

/// What is wrong with some arguments of a subcommand, ignoring missing ones.
pub fn refusal_of(subcommand: &str, words: &[OsString]) -> Option<clap::Error> {
    let start = ["canfar-run".into(), subcommand.into()];
    let refused = Cli::command().try_get_matches_from(start.into_iter().chain(words.iter().cloned())).err();
    refused.filter(|error| error.kind() != ErrorKind::MissingRequiredArgument)
}
