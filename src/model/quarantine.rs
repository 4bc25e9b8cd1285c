//! How tasks must be run because of earlier attempts and deaths: plain data.

/// What of a limit on memory tasks may fill, bytes: 80 %.
pub fn share_of_memory(limit: u64) -> u64 {
    limit / 5 * 4
}

/// A task that must not run among others as if nothing had happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Suspect {
    /// Containers that died around it since it last ended.
    pub deaths: u32,
    /// Whether memory ran out under it, so that it needs the container for itself.
    pub is_hungry: bool,
    /// Whether the last of these containers showed memory with room in it.
    pub had_room: bool,
}

impl Suspect {
    /// Whether others may run beside it: it was there once, and memory is not likely what it was.
    pub fn may_have_company(self) -> bool {
        self.deaths == 1 && self.had_room && !self.is_hungry
    }
}

/// The observed usage of tasks, without those that ran out of memory: they run alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenUsage {
    /// Attempts that ended.
    pub attempts: u64,
    /// The most memory that one of them had, bytes; 0 if unknown.
    pub largest: u64,
}

impl SeenUsage {
    /// Takes one more attempt into account, with the most memory it had.
    pub fn add(&mut self, bytes: Option<u64>) {
        self.attempts += 1;
        self.largest = self.largest.max(bytes.unwrap_or(0));
    }

    /// Adds the observed usage of others.
    pub fn absorb(&mut self, other: Self) {
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.largest = self.largest.max(other.largest);
    }
}
