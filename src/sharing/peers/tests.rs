use std::fs::File;
use std::time::{Duration, Instant};

use crate::journal::event::{
    BlockProgress, ClaimAnnounced, Event, LaunchBegun, LaunchProgress, Limits, StopReason, Stopped,
};
use crate::journal::writer::JournalWriter;
use crate::liveness::watch::lock;
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::store::layout::Layout;

use super::{PeerLook, PeerState, PeerWatch};

const PEER: LaunchId = LaunchId { replica: 7, launch: 2 };

/// A results directory with an observer, whose time passes only as it is told to.
struct Observed {
    _root: tempfile::TempDir,
    layout: Layout,
    watch: PeerWatch,
    now: Instant,
}

impl Observed {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        std::fs::create_dir(layout.journals()).unwrap();
        let watch = PeerWatch::new(&layout, "run", Process::current(None));
        Self { _root: root, layout, watch, now: Instant::now() }
    }

    /// With a launch on another host that is dead after so many seconds.
    fn with_peer(takeover_after_s: Option<f64>) -> (Self, JournalWriter) {
        let observed = Self::new();
        let process = Process { host: "elsewhere".into(), ..Process::current(None) };
        let journal = observed.begin(process, takeover_after_s);
        (observed, journal)
    }

    fn begin(&self, process: Process, takeover_after_s: Option<f64>) -> JournalWriter {
        let path = self.layout.journal(PEER.replica, PEER.launch);
        let mut journal = JournalWriter::create(&path, "run", PEER.launch).unwrap();
        let begun = LaunchBegun {
            replica_id: PEER.replica,
            replica_count: 9,
            process,
            locked: true,
            options: std::collections::BTreeMap::new(),
            limits: Limits { cpus: 1.0, memory_bytes: None, cpu_set: None },
            jobs: 1,
            command_files: Vec::new(),
            share: 1,
            takeover_after_s,
            command: None,
            by_another: false,
        };
        say(&mut journal, &Event::Run(Box::new(begun)));
        journal
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn look(&mut self) -> PeerLook {
        let now = self.now;
        self.watch.look_at(PEER, || now)
    }

    fn state(&mut self) -> PeerState {
        let look = self.look();
        assert_eq!(look.trouble, None);
        look.state
    }

    /// Waits until its lock is free: processes that other tests start hold it too until they run their program.
    fn dies(&mut self) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.state() != PeerState::Dead {
            assert!(Instant::now() < until, "its lock is held on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Looks every so many seconds until the peer seems dead; tells after how many.
    fn dead_after(&mut self, pause: u64) -> u64 {
        let begun = self.now;
        while self.state() != PeerState::Dead {
            self.wait(pause);
        }
        self.now.duration_since(begun).as_secs()
    }
}

fn say(journal: &mut JournalWriter, event: &Event) {
    journal.add(event);
    journal.commit().unwrap();
}

fn alive(blocks: Vec<BlockProgress>, claims: u64) -> Event {
    Event::Alive(LaunchProgress { left: 3, blocks, claims, ..LaunchProgress::default() })
}

fn has(claim: &str) -> BlockProgress {
    BlockProgress { claim: claim.parse().unwrap(), files: 9, ok: 3, failed: 1, left: 5 }
}

fn stop(blocks: Vec<BlockProgress>) -> Event {
    Event::Stop(Box::new(Stopped {
        reason: StopReason::Done,
        signal: None,
        exit: 0,
        why: None,
        figures: None,
        blocks,
    }))
}

#[test]
fn a_journal_that_does_not_grow_is_dead_after_the_launchs_own_time() {
    for (told, seconds) in
        [(None, 120), (Some(30.0), 30), (Some(0.0), 120), (Some(-1.0), 120), (Some(6e30), 120)]
    {
        let (mut observed, mut journal) = Observed::with_peer(told);
        assert_eq!(observed.state(), PeerState::Unknown);
        observed.wait(5);
        assert_eq!(observed.dead_after(5), seconds - 5, "{told:?}");
        // It was frozen.
        say(&mut journal, &alive(Vec::new(), 0));
        assert_eq!(observed.state(), PeerState::Alive);
        assert_eq!(observed.dead_after(5), seconds);
    }
}

#[test]
fn time_without_answered_looks_counts_for_little() {
    // An observer that was frozen, or waited for storage that stood still.
    let (mut observed, _journal) = Observed::with_peer(Some(120.0));
    assert_eq!(observed.dead_after(60), 12 * 60);
    let (mut observed, _journal) = Observed::with_peer(Some(12.0));
    assert_eq!(observed.dead_after(60), 3 * 60);
    // Looks that fail.
    let (mut observed, journal) = Observed::with_peer(Some(120.0));
    assert_eq!(observed.state(), PeerState::Unknown);
    let folder = observed.layout.journals();
    let aside = folder.with_extension("aside");
    for _ in 0..100 {
        std::fs::rename(&folder, &aside).unwrap();
        std::fs::write(&folder, "").unwrap();
        observed.wait(10);
        let look = observed.look();
        assert!(look.trouble.unwrap().text.contains("can't read the journal"));
        assert_eq!(look.state, PeerState::Unknown);
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
    }
    assert_eq!(observed.state(), PeerState::Unknown);
    drop(journal);
}

#[test]
fn a_launch_is_alive_as_soon_as_it_grew_and_over_as_soon_as_it_said_so() {
    let (mut observed, mut journal) = Observed::with_peer(None);
    assert_eq!(observed.state(), PeerState::Unknown);
    say(&mut journal, &alive(vec![has("0/7.0")], 1));
    observed.wait(1);
    assert_eq!(observed.state(), PeerState::Alive);
    observed.wait(1);
    assert_eq!(observed.state(), PeerState::Alive);
    say(&mut journal, &stop(vec![has("0/7.0")]));
    assert_eq!(observed.state(), PeerState::Stopped);
    // However much later it is first seen.
    let mut late = PeerWatch::new(&observed.layout, "run", Process::current(None));
    let look = late.look(PEER);
    assert_eq!((look.state, look.blocks, look.claims), (PeerState::Stopped, vec![has("0/7.0")], Some(1)));
}

#[test]
fn a_sign_of_life_counts_from_the_look_before_it() {
    let (mut observed, mut journal) = Observed::with_peer(None);
    let begun = observed.now;
    observed.state();
    observed.wait(10);
    let since = observed.now;
    say(&mut journal, &alive(Vec::new(), 0));
    observed.wait(10);
    assert_eq!(observed.state(), PeerState::Alive);
    // It may have been written before that moment.
    assert!(!observed.watch.grew_since(PEER, since) && observed.watch.grew_since(PEER, begun));
    say(&mut journal, &alive(Vec::new(), 0));
    observed.wait(10);
    assert_eq!(observed.state(), PeerState::Alive);
    assert!(observed.watch.grew_since(PEER, since) && !observed.watch.grew_since(PEER, observed.now));
    assert!(!observed.watch.grew_since(LaunchId { launch: 9, ..PEER }, since));
}

#[test]
fn what_a_launch_has_is_read_from_the_end_of_its_journal() {
    let (mut observed, mut journal) = Observed::with_peer(None);
    assert_eq!(observed.look().claims, None);
    let announce = |claim: &str| Event::Claim(ClaimAnnounced { claim: claim.parse().unwrap() });
    say(&mut journal, &announce("0/7.0"));
    let announced = BlockProgress::announced("0/7.0".parse().unwrap());
    assert_eq!(observed.look().blocks, [announced]);
    say(&mut journal, &alive(vec![has("0/7.0")], 1));
    say(&mut journal, &alive(vec![has("0/7.0"), has("1/2.3")], 4));
    say(&mut journal, &announce("2/7.0"));
    let announced = BlockProgress::announced("2/7.0".parse().unwrap());
    let mut late = PeerWatch::new(&observed.layout, "run", Process::current(None));
    for look in [observed.look(), late.look(PEER)] {
        assert_eq!((&*look.blocks, look.claims), (&[has("0/7.0"), has("1/2.3"), announced][..], Some(4)));
        assert_eq!(look.held().count(), 2);
    }
    // Nothing is read where nothing is new.
    assert_eq!(observed.look().blocks.len(), 3);
    say(&mut journal, &alive(vec![has("2/7.0")], 5));
    let look = observed.look();
    assert_eq!((look.blocks, look.claims), (vec![has("2/7.0")], Some(5)));
}

#[test]
fn a_journal_that_is_not_there_is_waited_for() {
    let mut observed = Observed::new();
    for _ in 0..12 {
        assert_eq!(observed.state(), PeerState::Unknown);
        observed.wait(10);
    }
    assert_eq!(observed.state(), PeerState::Missing);
    let _journal = observed.begin(Process { host: "elsewhere".into(), ..Process::current(None) }, None);
    assert_eq!(observed.state(), PeerState::Unknown);
    std::fs::remove_file(observed.layout.journal(PEER.replica, PEER.launch)).unwrap();
    assert_eq!(observed.state(), PeerState::Unknown);
}

#[test]
fn a_lock_on_this_host_tells_at_once() {
    let mut observed = Observed::new();
    let mut journal = observed.begin(Process::current(None), None);
    assert!(lock(journal.file(), journal.path()));
    let since = observed.now;
    assert_eq!(observed.state(), PeerState::Alive);
    assert!(observed.watch.grew_since(PEER, since));
    // Whoever holds a lock and gives no sign of life is frozen.
    assert_eq!(observed.dead_after(10), 120);
    say(&mut journal, &alive(vec![has("0/7.0")], 1));
    assert_eq!(observed.state(), PeerState::Alive);
    drop(journal);
    observed.dies();
    assert_eq!(observed.look().blocks, [has("0/7.0")]);
}

#[test]
fn a_lock_that_a_killed_launch_left_to_what_it_was_starting_is_no_sign_of_life() {
    let mut observed = Observed::new();
    let mut killed = std::process::Command::new("true").spawn().unwrap();
    killed.wait().unwrap();
    let journal = observed.begin(Process { pid: killed.id(), ..Process::current(None) }, None);
    let heir = File::open(journal.path()).unwrap();
    assert!(lock(&heir, journal.path()));
    assert_eq!(observed.state(), PeerState::Unknown);
    assert!(!observed.watch.grew_since(PEER, observed.now));
    drop((heir, journal));
    observed.dies();
}

#[test]
fn another_journal_under_the_name_is_watched_anew() {
    let (mut observed, mut journal) = Observed::with_peer(Some(30.0));
    say(&mut journal, &alive(vec![has("0/7.0")], 1));
    assert_eq!(observed.dead_after(10), 30);
    let path = journal.path().to_owned();
    std::fs::rename(&path, path.with_extension("old")).unwrap();
    let _other = observed.begin(Process { host: "elsewhere".into(), ..Process::current(None) }, None);
    let look = observed.look();
    assert_eq!((look.state, look.blocks, look.claims), (PeerState::Unknown, Vec::new(), None));
    assert_eq!(observed.dead_after(10), 120);
    // One of another run says nothing of this one.
    std::fs::remove_file(&path).unwrap();
    let mut foreign = JournalWriter::create(&path, "other", 2).unwrap();
    say(&mut foreign, &stop(Vec::new()));
    assert_eq!(observed.state(), PeerState::Unknown);
}
