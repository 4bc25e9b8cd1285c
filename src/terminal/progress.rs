//! How far a launch is and what runs in which slot, as a line or as a picture.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::model::rate::{RateEstimator, time_left};
use crate::terminal::printer::Picture;
use crate::threads::locked;
use crate::units;

/// The bar is at most so wide, and left out where there is room for fewer columns.
const BAR: std::ops::RangeInclusive<usize> = 8..=32;

/// Times of running tasks stand in so many columns.
const TIME: usize = 10;

/// After fewer tasks the rate is more chance than anything else, with as many slots as there are.
const LEAST_ENDS: u64 = 3;

/// What tells how far a launch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// A bar with what runs, drawn anew as long as it runs; lines where others draw already.
    Bar,
    /// A line now and then.
    Lines,
    /// Nothing.
    Nothing,
}

/// What a launch begins with.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedTasks {
    /// Entries of its share.
    pub entries: u64,
    /// Of those, what had ended before.
    pub before: u64,
    /// Tasks that it is to begin. In a run that shares its work, those that it has so far.
    pub held: u64,
}

/// How far a launch is. Slots write to it as they begin and end, each at a place of its own.
#[derive(Debug)]
pub(crate) struct ProgressState {
    /// Entries in all, as far as they are known at the beginning.
    share: AtomicU64,
    /// Tasks that were begun or are to be: they may become more or fewer meanwhile, and more than the share has.
    held: AtomicU64,
    /// Of those, what had ended before.
    before: u64,
    ended: AtomicU64,
    failed: AtomicU64,
    slots: Vec<Mutex<Slot>>,
    begun: Instant,
    rate: Mutex<RateEstimator>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Since when something runs there.
    since: Option<Instant>,
    /// Its path.
    path: Vec<u8>,
}

impl ProgressState {
    /// Of a launch that begins with this; `slots` is how many are watched.
    pub(crate) fn new(expected: ExpectedTasks, slots: usize) -> Self {
        Self {
            share: AtomicU64::new(expected.entries),
            held: AtomicU64::new(expected.held),
            before: expected.before,
            ended: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            slots: (0..slots).map(|_| Mutex::default()).collect(),
            begun: Instant::now(),
            rate: Mutex::default(),
        }
    }

    fn slot(&self, number: usize) -> Option<MutexGuard<'_, Slot>> {
        self.slots.get(number.checked_sub(1)?).map(locked)
    }

    /// Something begins in a slot.
    pub(crate) fn begun(&self, slot: usize, path: &OsStr) {
        if let Some(mut slot) = self.slot(slot) {
            slot.since = Some(Instant::now());
            slot.path.clear();
            slot.path.extend_from_slice(path.as_bytes());
        }
    }

    /// Nothing runs in a slot any more.
    pub(crate) fn left(&self, slot: usize) {
        if let Some(mut slot) = self.slot(slot) {
            slot.since = None;
        }
    }

    /// A task ended.
    pub(crate) fn ended(&self, failed: bool) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    /// So many more tasks are to be run.
    pub(crate) fn add(&self, tasks: u64) {
        self.held.fetch_add(tasks, Ordering::Relaxed);
    }

    /// So many of the tasks that were to be run are not to be run here any more.
    pub(crate) fn take_away(&self, tasks: u64) {
        for number in [&self.share, &self.held] {
            number.update(Ordering::Relaxed, Ordering::Relaxed, |number| number.saturating_sub(tasks));
        }
    }

    /// Nothing of its share is to be had any more: what others took of it is not to be run here.
    pub(crate) fn share_is_used_up(&self) {
        self.share.store(0, Ordering::Relaxed);
    }

    /// Entries in all, and how many of them are done.
    fn standing(&self) -> (u64, u64) {
        let [share, held] = [&self.share, &self.held].map(|number| number.load(Ordering::Relaxed));
        let share = share.max(self.before + held);
        (share, (self.before + self.ended.load(Ordering::Relaxed)).min(share))
    }

    /// How far it is, on one line: `12 of 40 done, 1 failed, 2 running, 30.0/min, 56s left`.
    pub(crate) fn line(&self, running: usize) -> String {
        let [ended, failed] = [&self.ended, &self.failed].map(|number| number.load(Ordering::Relaxed));
        let now = self.begun.elapsed();
        let mut rate = locked(&self.rate);
        rate.mark(now, ended);
        let per_second = rate.per_second(now, ended).filter(|_| ended >= LEAST_ENDS);
        drop(rate);
        let (share, done) = self.standing();
        let mut line = format!("{done} of {share} done");
        if failed > 0 {
            line.push_str(&format!(", {failed} failed"));
        }
        line.push_str(&format!(", {running} running"));
        if let (Some(rate), Some(left)) = (per_second, time_left(share - done, per_second)) {
            line.push_str(&format!(", {}, {} left", units::rate(rate), units::rough(left)));
        }
        line
    }

    fn bar(&self, width: usize) -> String {
        if width < *BAR.start() {
            return String::new();
        }
        let inside = width.min(*BAR.end()) - 2;
        let (share, done) = self.standing();
        let filled = usize::try_from(u128::from(done) * inside as u128 / u128::from(share.max(1)));
        let filled = filled.unwrap_or(inside);
        format!("[{}{}]", "=".repeat(filled), " ".repeat(inside - filled))
    }

    /// What runs, longest first.
    fn running(&self) -> Vec<(Duration, String)> {
        let running = self.slots.iter().filter_map(|slot| {
            let slot = locked(slot);
            Some((slot.since?, units::path(OsStr::from_bytes(&slot.path))))
        });
        let mut running: Vec<(Instant, String)> = running.collect();
        running.sort_by_key(|(since, _)| *since);
        running.into_iter().map(|(since, path)| (since.elapsed(), path)).collect()
    }
}

impl Picture for ProgressState {
    fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let running = self.running();
        let line = self.line(running.len());
        let bar = self.bar(width.saturating_sub(line.width() + 1));
        let head = if bar.is_empty() { line } else { format!("{bar} {line}") };
        let mut lines = vec![start_of(&head, width)];
        let room = height.saturating_sub(1);
        let shown = if running.len() > room { room.saturating_sub(1) } else { running.len() };
        for (time, path) in &running[..shown] {
            let time = units::duration(whole_seconds(*time));
            lines.push(format!("{time:>TIME$} {}", end_of(path, width.saturating_sub(TIME + 1))));
        }
        if shown < running.len() && room > 0 {
            lines.push(start_of(&format!("{:TIME$} and {} more", "", running.len() - shown), width));
        }
        // Narrower than a time's columns nothing of use can be told of tasks.
        lines.retain(|line| line.width() <= width);
        lines
    }
}

/// Tenths that change at every look are only unrest.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// As much of the beginning as fits.
fn start_of(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |letter: &char| {
        used += letter.width().unwrap_or(0);
        used <= width
    };
    let start: String = text.chars().take_while(fits).collect();
    if width == 0 { start } else { format!("{start}…") }
}

/// As much of the end as fits: that tells one file from the others.
fn end_of(text: &str, width: usize) -> String {
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    if text.width() <= width { text.to_owned() } else { reversed(&start_of(&reversed(text), width)) }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use unicode_width::UnicodeWidthStr;

    use super::{ExpectedTasks, ProgressState, end_of, start_of};
    use crate::terminal::printer::Picture;

    fn board() -> ProgressState {
        let board = ProgressState::new(ExpectedTasks { entries: 40, before: 10, held: 30 }, 5);
        for slot in 1..=5 {
            board.begun(slot, OsStr::new(&format!("/data/n1/obs_{slot}\u{7}_星系.fits")));
        }
        board.left(5);
        board.ended(true);
        board.ended(false);
        board
    }

    #[test]
    fn a_picture_tells_how_far_it_is_and_what_runs_longest_first() {
        let lines = board().lines(99, 9);
        assert_eq!(lines[0], "[=========                     ] 12 of 40 done, 1 failed, 4 running");
        assert_eq!(lines[1], "        0s /data/n1/obs_1\\u{7}_星系.fits");
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn a_picture_fits_whatever_room_there_is() {
        let board = board();
        for width in 0..120 {
            for height in 1..9 {
                let lines = board.lines(width, height);
                assert!(lines.len() <= height, "{width} {height} {lines:?}");
                assert!(lines.iter().all(|line| line.width() <= width), "{width} {height} {lines:?}");
            }
        }
        assert_eq!(board.lines(30, 3)[1..], ["        0s …s_1\\u{7}_星系.fits", "           and 3 more"]);
    }

    #[test]
    fn what_is_to_be_done_may_grow_and_shrink() {
        let board = board();
        board.add(60);
        assert_eq!(
            board.lines(99, 1)[0],
            "[===                           ] 12 of 100 done, 1 failed, 4 running"
        );
        board.take_away(88);
        assert_eq!(
            board.lines(99, 1)[0],
            "[==============================] 12 of 12 done, 1 failed, 4 running"
        );
    }

    #[test]
    fn what_is_taken_from_ones_own_share_was_expected() {
        let board = ProgressState::new(ExpectedTasks { entries: 40, before: 0, held: 0 }, 1);
        assert_eq!(board.line(0), "0 of 40 done, 0 running");
        board.add(10);
        board.ended(false);
        assert_eq!(board.line(2), "1 of 40 done, 2 running");
        board.add(50);
        assert_eq!(board.line(2), "1 of 60 done, 2 running");
    }

    #[test]
    fn what_others_took_of_a_share_does_not_count_at_its_end() {
        let board = ProgressState::new(ExpectedTasks { entries: 50, before: 8, held: 10 }, 1);
        board.add(20);
        (0..30).for_each(|_| board.ended(false));
        assert_eq!(board.standing(), (50, 38));
        board.share_is_used_up();
        assert_eq!(board.standing(), (38, 38));
        board.add(5);
        assert_eq!(board.standing(), (43, 38));
        board.take_away(5);
        assert_eq!(board.standing(), (38, 38));
    }

    #[test]
    fn of_long_names_the_end_is_shown() {
        assert_eq!((end_of("/a/b.fits", 7), start_of("/a/b.fits", 4)), ("…b.fits".into(), "/a/…".into()));
        assert_eq!(end_of("星系", 3), "…系");
    }
}
