//! Contestants that take turns, and what their figures are held against.

use std::ops::RangeInclusive;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::timed::Sample;

/// Runs once and says what was measured; what comes before and after is its own, and not counted.
type Turn<'b> = Box<dyn Fn() -> Result<Sample> + 'b>;

/// One way to do the work.
pub(crate) struct Contestant<'b> {
    pub(crate) name: &'static str,
    /// How much of it, so that those that do less compare: their seconds are divided by it.
    pub(crate) work: u64,
    turn: Turn<'b>,
}

/// What is promised. Names are those of contestants.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// The first takes at most so many times the seconds of the second, for the same work.
    AtMost(&'static str, f64, &'static str),
    /// The first is at least so many times faster than the second.
    Faster(&'static str, f64, &'static str),
    /// At most so many seconds.
    Seconds(&'static str, f64),
    /// At least so much work a second.
    Rate(&'static str, f64),
    /// At most so many bytes.
    Peak(&'static str, u64),
    /// The first takes at most so many bytes more than the second.
    PeakOver(&'static str, u64, &'static str),
}

/// A row: who runs, and what is promised.
pub(crate) struct Race<'b> {
    /// Ways to do it with canfar-run.
    pub(crate) ours: Vec<Contestant<'b>>,
    peers: Vec<Contestant<'b>>,
    pub(crate) goals: Vec<Goal>,
    check: Option<Check<'b>>,
    rounds: Rounds,
}

/// Whether all did the same: what they left is compared after they warmed up.
type Check<'b> = Box<dyn Fn() -> Result<()> + 'b>;

/// How often all take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounds {
    /// Once to warm up, then as often as medians need.
    Several,
    /// What takes its time because it waits, and hardly varies.
    Few,
    /// What takes minutes and does not vary.
    One,
}

/// A contestant's figures.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    pub(crate) work: u64,
    pub(crate) samples: Vec<Sample>,
}

impl<'b> Race<'b> {
    pub(crate) fn new(goals: impl Into<Vec<Goal>>) -> Self {
        Self {
            ours: Vec::new(),
            peers: Vec::new(),
            goals: goals.into(),
            check: None,
            rounds: Rounds::Several,
        }
    }

    /// Who is measured.
    pub(crate) fn with(
        mut self,
        name: &'static str,
        work: u64,
        turn: impl Fn() -> Result<Sample> + 'b,
    ) -> Self {
        self.ours.push(Contestant { name, work, turn: Box::new(turn) });
        self
    }

    /// Who is measured beside it.
    pub(crate) fn peer(
        mut self,
        name: &'static str,
        work: u64,
        turn: impl Fn() -> Result<Sample> + 'b,
    ) -> Self {
        self.peers.push(Contestant { name, work, turn: Box::new(turn) });
        self
    }

    /// What to compare; an error when that is not the same.
    pub(crate) fn checked(mut self, check: impl Fn() -> Result<()> + 'b) -> Self {
        self.check = Some(Box::new(check));
        self
    }

    pub(crate) fn once(mut self) -> Self {
        self.rounds = Rounds::One;
        self
    }

    pub(crate) fn few(mut self) -> Self {
        self.rounds = Rounds::Few;
        self
    }

    /// All take turns.
    pub(crate) fn run(&self, bench: &Bench) -> Result<Vec<Figures>> {
        let all = || self.ours.iter().chain(&self.peers);
        let mut figures: Vec<Figures> = all().map(Figures::of).collect();
        for round in self.rounds(bench) {
            for (contestant, figures) in all().zip(&mut figures) {
                self.turn(contestant, round, figures)?;
            }
            if let Some(check) = self.check.as_ref().filter(|_| round == *self.rounds(bench).start()) {
                check()?;
            }
        }
        Ok(figures)
    }

    /// Only ours, each beside the same one of `before`, if that has it; who comes first changes from round to round.
    pub(crate) fn run_beside(&self, before: &Self, bench: &Bench) -> Result<Vec<[Figures; 2]>> {
        let same = |after: &Contestant<'b>| before.ours.iter().find(|before| before.name == after.name);
        let pairs = || self.ours.iter().filter_map(|after| Some([after, same(after)?]));
        let mut figures: Vec<[Figures; 2]> = pairs().map(|pair| pair.map(Figures::of)).collect();
        for round in self.rounds(bench) {
            for (pair, figures) in pairs().zip(&mut figures) {
                let turns = if round % 2 == 0 { [0, 1] } else { [1, 0] };
                turns.iter().try_for_each(|&turn| self.turn(pair[turn], round, &mut figures[turn]))?;
            }
        }
        Ok(figures)
    }

    fn rounds(&self, bench: &Bench) -> RangeInclusive<usize> {
        match self.rounds {
            Rounds::Several => 0..=bench.rounds(),
            Rounds::Few => 1..=bench.rounds().min(3),
            Rounds::One => 0..=0,
        }
    }

    fn turn(&self, contestant: &Contestant<'_>, round: usize, figures: &mut Figures) -> Result<()> {
        let sample = (contestant.turn)().with_context(|| format!("measuring {}", contestant.name))?;
        if round > 0 || self.rounds == Rounds::One {
            figures.samples.push(sample);
        }
        Ok(())
    }
}

impl Figures {
    fn of(contestant: &Contestant<'_>) -> Self {
        Self { name: contestant.name, work: contestant.work, samples: Vec::new() }
    }

    pub(crate) fn seconds(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.seconds))
    }

    /// Bytes, the most of all rounds.
    pub(crate) fn peak(&self) -> u64 {
        self.samples.iter().map(|sample| sample.peak).max().unwrap_or(0)
    }

    /// How many times the seconds of another one each round took, for the same work: the median.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        median((0..self.samples.len()).map(|round| self.pace(round) / other.pace(round)))
    }

    fn pace(&self, round: usize) -> f64 {
        self.samples[round].seconds / self.work as f64
    }
}

impl Goal {
    /// The figure that counts: a ratio (median over rounds), seconds, work a second, or bytes; and whether it will do.
    /// `None` when a contestant did not take part.
    pub(crate) fn judge(&self, all: &[Figures]) -> Option<(f64, bool)> {
        let of = |name: &str| all.iter().find(|figures| figures.name == name);
        Some(match *self {
            Self::AtMost(one, limit, other) => at_most(of(one)?.ratio(of(other)?), limit),
            Self::Faster(one, limit, other) => at_least(of(other)?.ratio(of(one)?), limit),
            Self::Seconds(one, limit) => at_most(of(one)?.seconds(), limit),
            Self::Rate(one, limit) => at_least(of(one)?.work as f64 / of(one)?.seconds(), limit),
            Self::Peak(one, limit) => at_most(of(one)?.peak() as f64, limit as f64),
            Self::PeakOver(one, limit, other) => {
                at_most(of(one)?.peak() as f64 - of(other)?.peak() as f64, limit as f64)
            }
        })
    }
}

fn at_most(figure: f64, limit: f64) -> (f64, bool) {
    (figure, figure <= limit)
}

fn at_least(figure: f64, limit: f64) -> (f64, bool) {
    (figure, figure >= limit)
}

/// The one in the middle; of an even number the lower.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
