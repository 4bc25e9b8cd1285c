//! Parsers for option values, and the words that some options accept, each with its meaning.

use std::ffi::OsStr;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::discover::EntryType;
use crate::model::call_target::CallTarget;
use crate::model::outcome::{OkCodes, Rerun};
use crate::model::product::Checksum;
use crate::model::selection::{OnlyList, TaskKind};
use crate::model::shares::Strategy;
use crate::record::logs::OutputStream;
use crate::run::recorder::KeepLogs;
use crate::run::result::ResultKind;
use crate::run::schedule::MaxFailures;
use crate::terminal::screen::Color;
use crate::units::{parse_duration, parse_size};

/// The words that an option accepts: each with its value and its help.
type Choices<T> = &'static [(&'static str, T, &'static str)];

/// The value of one of a few words.
pub(super) fn one_of<T: Clone + Send + Sync + 'static>(
    choices: Choices<T>,
) -> impl TypedValueParser<Value = T> {
    let words = choices.iter().map(|(word, _, help)| PossibleValue::new(*word).help(*help));
    PossibleValuesParser::new(words).try_map(|typed| {
        let choice = choices.iter().find(|(word, ..)| *word == typed);
        choice.map(|(_, value, _)| value.clone()).ok_or("none of these words")
    })
}

/// `--call`.
pub(super) fn call_target() -> impl TypedValueParser<Value = CallTarget> {
    OsStringValueParser::new().try_map(|typed| CallTarget::parse(&typed))
}

/// `--type`.
pub(super) const ENTRY_TYPES: Choices<EntryType> = &[
    ("file", EntryType::File, "Regular files"),
    ("dir", EntryType::Dir, "Directories: Measurement Sets, Zarr stores"),
];

/// `--strategy`.
pub(super) const STRATEGIES: Choices<Strategy> = &[
    ("even", Strategy::Even, "Contiguous, sizes differ by at most one"),
    (
        "chunk",
        Strategy::Chunk,
        "Contiguous as Python's `distributed.chunk`: `n // count` each, the rest to the last replica",
    ),
    ("stripe", Strategy::Stripe, "Every count-th entry, as Python's `distributed.stripe`"),
    ("size", Strategy::Size, "By bytes: largest first to the least loaded replica"),
];

/// `--rerun`.
pub(super) const RERUNS: Choices<Rerun> = &[
    ("failed", Rerun::Failed, "Failed ones, but not those that died with their container (`lost`)"),
    ("all", Rerun::All, "Failed and lost ones"),
    (
        "changed",
        Rerun::Changed,
        "Failed ones, and ok ones with a product (`--product`) that has changed since",
    ),
    ("never", Rerun::Never, "None; products that are gone are not made again either"),
];

/// `--checksum`.
pub(super) const CHECKSUMS: Choices<Checksum> = &[
    ("none", Checksum::None, "They are not hashed"),
    ("sha256", Checksum::Sha256, "Each has its SHA-256 in its record"),
];

/// `--ok-codes`.
pub(super) fn parse_ok_codes(typed: &str) -> Result<OkCodes, String> {
    let code = |word: &str| {
        let word = word.trim();
        word.parse::<u8>()
            .map_err(|_| format!("{word:?} is not an exit code: give numbers from 0 to 255, as in 1,3"))
    };
    typed.split(',').map(code).collect::<Result<_, _>>().map(OkCodes)
}

/// `--result`.
pub(super) const RESULT_KINDS: Choices<ResultKind> = &[
    (
        "auto",
        ResultKind::Auto,
        "The result file if not empty, else all of standard output if it is JSON, else its last line if that is a JSON object or array, else none",
    ),
    ("json", ResultKind::Json, "As auto, but having none is a failure"),
    ("text", ResultKind::Text, "All of standard output, as text"),
    ("none", ResultKind::None, "None"),
];

/// `--logs`.
pub(super) const KEEP_LOGS: Choices<KeepLogs> = &[
    (
        "failed",
        KeepLogs::Failed,
        "Output is kept of failed attempts, and of ok ones that lack an expected result",
    ),
    ("all", KeepLogs::All, "All output is kept"),
    ("none", KeepLogs::None, "No output is kept"),
];

/// `--only` of `logs`.
pub(super) const OUTPUT_STREAMS: Choices<OutputStream> = &[
    ("stdout", OutputStream::Stdout, "Standard output"),
    ("stderr", OutputStream::Stderr, "Standard error"),
];

/// `--color`.
pub(super) const COLORS: Choices<Color> = &[
    ("auto", Color::Auto, "On terminals"),
    ("always", Color::Always, "Everywhere"),
    ("never", Color::Never, "Nowhere"),
];

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A bar on a terminal, else plain lines.
    Auto,
    /// A bar.
    Bar,
    /// Plain lines.
    Plain,
    /// None.
    None,
}

pub(super) const PROGRESS: Choices<Progress> = &[
    ("auto", Progress::Auto, "A bar on a terminal, else plain lines"),
    ("bar", Progress::Bar, "A bar"),
    ("plain", Progress::Plain, "Plain lines"),
    ("none", Progress::None, "None"),
];

/// A switch that an environment variable or job file can also turn off.
pub(super) fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("write true, false, 1 or 0".into()),
    }
}

/// A number of tasks or threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auto {
    /// As the container's limits suggest.
    Auto,
    /// Taken literally.
    Number(usize),
}

pub(super) fn parse_auto(text: &str) -> Result<Auto, String> {
    match text {
        "auto" => Ok(Auto::Auto),
        _ => match text.parse() {
            Ok(0) => Err("0 would never run anything; write a number from 1, or auto".into()),
            Ok(number) if number <= MOST_JOBS => Ok(Auto::Number(number)),
            Ok(_) => Err(format!("more than {MOST_JOBS} at a time are not supported")),
            Err(_) => Err("write a number from 1, or auto".into()),
        },
    }
}

/// Far beyond any container's processes; a mistyped number should not exhaust the machine.
const MOST_JOBS: usize = 4096;

/// `--threads`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// This many.
    Set(Auto),
    /// The thread variables stay as they are.
    Inherit,
}

pub(super) fn parse_threads(text: &str) -> Result<Threads, String> {
    match text {
        "inherit" => Ok(Threads::Inherit),
        _ => parse_auto(text).map(Threads::Set).map_err(|_| "write a number from 1, auto or inherit".into()),
    }
}

pub(super) fn parse_count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "write a whole number from 0".to_owned())
}

/// Most `--tasks`: each takes some bytes of memory and a line of the list.
const MOST_TASKS: u64 = 100_000_000;

pub(super) fn parse_tasks(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| (1..=MOST_TASKS).contains(count));
    count.ok_or_else(|| "write how many tasks there are to be, from 1 to 100000000".to_owned())
}

pub(super) fn parse_max_failures(text: &str) -> Result<MaxFailures, String> {
    let wrong = || "write auto, none, a number, or a percentage such as 10%".to_owned();
    match (text, text.strip_suffix('%')) {
        ("auto", _) => Ok(MaxFailures::Auto),
        ("none", _) => Ok(MaxFailures::None),
        (_, Some(percent)) => match percent.trim().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(MaxFailures::Percent(percent)),
            _ => Err(wrong()),
        },
        (number, None) => number.parse().map(MaxFailures::Count).map_err(|_| wrong()),
    }
}

/// Largest `--max-result`: places in journals are kept in 32 bits.
const LARGEST_RESULT: u64 = 1 << 30;

pub(super) fn parse_max_result(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("0 leaves no room for any result; write --result none to have none".into()),
        size if size > LARGEST_RESULT => {
            Err("at most 1G; write large products to files and return their names".into())
        }
        size => Ok(size),
    }
}

/// No process takes less.
const LEAST_MEMORY: u64 = 64 * 1024;

pub(super) fn parse_memory(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("0 limits nothing; leave the option out to have memory measured".into()),
        // On the platform's command line memory is a plain number of GB, so people may type one here, too.
        size @ ..LEAST_MEMORY => Err(format!("that is {size} bytes; give the unit, too, such as 4G")),
        size => Ok(size),
    }
}

pub(super) fn parse_max_timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("0 would stop every task at once; leave the option out for no limit".into()),
        duration => Ok(duration),
    }
}

/// Shorter gaps in a live replica's heartbeats are common.
const LEAST_TAKEOVER_AFTER: Duration = Duration::from_secs(1);

pub(super) fn parse_takeover_after(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        short if short < LEAST_TAKEOVER_AFTER => {
            Err("at least 1s: a live replica may miss heartbeats for shorter times".into())
        }
        duration => Ok(duration),
    }
}

pub(super) fn parse_worker_tasks(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| "write a whole number from 1, or leave the option out".to_owned())
}

/// `--only`.
pub(super) fn only_list() -> impl TypedValueParser<Value = OnlyList> {
    OsStringValueParser::new().try_map(|typed| parse_only(&typed))
}

fn parse_only(typed: &OsStr) -> Result<OnlyList, &'static str> {
    let mut only = OnlyList::default();
    for item in typed.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if item.is_empty() {
            return Err("an item of the list is empty; write such as failed,timeout or f0007.fits,12");
        }
        match TaskKind::NAMED.into_iter().find(|kind| kind.to_string().as_bytes() == item) {
            Some(kind) => _ = only.kinds.insert(kind),
            None => only.names.push(OsStr::from_bytes(item).to_owned()),
        }
    }
    Ok(only)
}

/// `--shares`: ids of replicas and ranges of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares(pub Vec<RangeInclusive<u32>>);

pub(super) fn parse_shares(text: &str) -> Result<Shares, String> {
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number > 0);
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = number(first)?..=number(last)?;
        (!range.is_empty()).then_some(range)
    };
    text.split(',')
        .map(|part| {
            range(part).ok_or_else(|| {
                format!(
                    "{part:?} is neither a replica id nor a range of ids; write a list such as 3,17,40-42"
                )
            })
        })
        .collect::<Result<_, _>>()
        .map(Shares)
}
