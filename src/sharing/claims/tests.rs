use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use rustix::io::Errno;

use super::storage::{ClaimStorage, FileServer};
use super::{ClaimRead, Claimant, Claimed, ClaimsFolder, RunMovedAway};
use crate::host::storage::StorageError;
use crate::model::blocks::{BlockId, ClaimName};
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::store::file_id::FileId;
use crate::store::layout::Layout;
use crate::threads::locked;

/// When a call fails that is made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    /// It does nothing.
    Before,
    /// It does what it was asked for, and the answer is lost.
    After,
}

const FAILS: [Fails; 2] = [Fails::Before, Fails::After];

/// A file server whose calls fail as they are told to, by their number from 0, and that may know no links.
#[derive(Debug, Default)]
struct FaultyServer {
    faults: Mutex<BTreeMap<usize, (Errno, Fails)>>,
    without_links: Option<Errno>,
    calls: AtomicUsize,
}

impl FaultyServer {
    fn without_links(errno: Errno) -> Arc<Self> {
        Arc::new(Self { without_links: Some(errno), ..Self::default() })
    }

    /// The calls from here on fail so, counted anew.
    fn set(&self, faults: &[(usize, Errno, Fails)]) {
        *locked(&self.faults) = faults.iter().map(|(call, errno, fails)| (*call, (*errno, *fails))).collect();
        self.calls.store(0, Ordering::Relaxed);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn call<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let fault = locked(&self.faults).get(&number).copied();
        match fault {
            None => work(),
            Some((errno, Fails::Before)) => Err(errno.into()),
            Some((errno, Fails::After)) => work().and(Err(errno.into())),
        }
    }
}

impl ClaimStorage for FaultyServer {
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| match self.without_links {
            Some(errno) => Err(errno.into()),
            None => FileServer.link(from, to),
        })
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        self.call(|| FileServer.create(path))
    }

    fn write(&self, file: &mut File, text: &[u8]) -> io::Result<()> {
        self.call(|| FileServer.write(file, text))
    }

    fn read(&self, path: &Path, most: u64) -> io::Result<(Vec<u8>, FileId)> {
        self.call(|| FileServer.read(path, most))
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.call(|| FileServer.make_folder(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.call(|| FileServer.exists(path))
    }
}

/// A run with two claimants, each with a file server of its own.
struct Run {
    _root: tempfile::TempDir,
    layout: Layout,
    servers: [Arc<FaultyServer>; 2],
    claimants: [Claimant; 2],
}

impl Run {
    fn new(server: impl Fn() -> Arc<FaultyServer>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let servers = [server(), server()];
        let claimant = |at: usize| {
            let storage = Arc::clone(&servers[at]) as Arc<dyn ClaimStorage>;
            let by = LaunchId { replica: u32::try_from(at).unwrap() + 1, launch: 1 };
            let folder = ClaimsFolder::on(storage, &layout, "run");
            let claimant = Claimant::new(folder, by, &Process::current(None)).unwrap();
            servers[at].set(&[]);
            claimant
        };
        let claimants = [claimant(0), claimant(1)];
        Self { _root: root, layout, servers, claimants }
    }

    fn both() -> [Self; 2] {
        [Self::new(Arc::default), Self::new(|| FaultyServer::without_links(Errno::PERM))]
    }

    fn folder(&self) -> ClaimsFolder {
        ClaimsFolder::new(&self.layout, "run")
    }

    /// Who has a claim, as others see it.
    fn holder(&self, claim: ClaimName) -> Option<u32> {
        match self.folder().read(claim).unwrap() {
            ClaimRead::Of(claim) => Some(claim.by.replica),
            ClaimRead::Broken | ClaimRead::Missing => None,
        }
    }
}

fn name(round: u32, share: u32, generation: u32) -> ClaimName {
    ClaimName { block: BlockId { round, share }, generation }
}

/// What storage may answer.
const ERRORS: [Errno; 9] = [
    Errno::EXIST,
    Errno::NOENT,
    Errno::IO,
    Errno::STALE,
    Errno::INTR,
    Errno::TIMEDOUT,
    Errno::PERM,
    Errno::NOSPC,
    Errno::ACCESS,
];

#[test]
fn a_claim_is_one_call_and_the_first_of_a_round_three() {
    for (run, [first, later]) in Run::both().into_iter().zip([[3, 1], [5, 2]]) {
        for (share, calls) in [(1, first), (2, later), (3, later)] {
            run.servers[0].set(&[]);
            assert_eq!(run.claimants[0].try_claim(name(4, share, 0)).unwrap(), Claimed::Ours);
            assert_eq!(run.servers[0].calls(), calls);
        }
        let Claimed::Others(ClaimRead::Of(claim)) = run.claimants[1].try_claim(name(4, 1, 0)).unwrap() else {
            panic!()
        };
        assert!(run.claimants[0].is_ours(&claim) && !run.claimants[1].is_ours(&claim));
        assert_eq!((claim.by.to_string(), &*claim.run), ("1.1".to_owned(), "run"));
        assert_eq!(run.claimants[1].try_claim(name(4, 1, 1)).unwrap(), Claimed::Ours);
        assert!(!run.folder().is_highest(name(4, 1, 0)).unwrap());
        assert!(run.folder().is_highest(name(4, 1, 1)).unwrap());
        assert_eq!(run.folder().round(4).unwrap(), BTreeMap::from([(1, 1), (2, 0), (3, 0)]));
        assert!(run.folder().round(5).unwrap().is_empty());
        // Its own, asked for again.
        assert_eq!(run.claimants[0].try_claim(name(4, 1, 0)).unwrap(), Claimed::Ours);
    }
}

#[test]
fn an_answer_that_was_lost_loses_no_claim() {
    for errno in ERRORS {
        for is_first_of_round in [true, false] {
            let run = Run::new(Arc::default);
            if !is_first_of_round {
                assert_eq!(run.claimants[1].try_claim(name(0, 2, 0)).unwrap(), Claimed::Ours);
            }
            run.servers[0].set(&[(usize::from(is_first_of_round) * 2, errno, Fails::After)]);
            assert_eq!(run.claimants[0].try_claim(name(0, 1, 0)).unwrap(), Claimed::Ours, "{errno}");
            assert_eq!(run.holder(name(0, 1, 0)), Some(1));
        }
    }
}

/// Whatever goes wrong, twice in one claim: there is one owner at most, who says that it is one is what others read, and it
/// takes no more than so many calls.
#[test]
fn whatever_fails_in_a_claim_nobody_has_what_the_file_does_not_say() {
    let faults = || (0..6).flat_map(|call| ERRORS.map(|errno| FAILS.map(|fails| (call, errno, fails))));
    let faults: Vec<_> = faults().flatten().collect();
    for run in Run::both() {
        let mut share = 0;
        for (at, one) in faults.iter().enumerate() {
            for other in faults[at..].iter().step_by(7) {
                share += 1;
                let claim = name(share % 50, share, 0);
                run.servers[0].set(&[*one, *other]);
                let mine = run.claimants[0].try_claim(claim);
                // Writing what was created is no call for metadata.
                assert!(run.servers[0].calls() <= 6 + 2, "{one:?} {other:?}");
                let theirs = run.claimants[1].try_claim(claim);
                let held = run.holder(claim);
                let is_moved = mine.as_ref().is_err_and(anyhow::Error::is::<RunMovedAway>);
                assert!(!is_moved, "{one:?} {other:?}");
                if matches!(mine, Ok(Claimed::Ours)) {
                    assert_eq!(held, Some(1), "{one:?} {other:?}");
                }
                assert_eq!(matches!(theirs, Ok(Claimed::Ours)), held == Some(2), "{one:?} {other:?}");
            }
        }
    }
}

#[test]
fn a_claim_that_could_not_be_written_is_nobodys() {
    for fails in FAILS {
        let run = Run::new(|| FaultyServer::without_links(Errno::NOTSUP));
        assert_eq!(run.claimants[0].try_claim(name(0, 9, 0)).unwrap(), Claimed::Ours);
        // Created, and the answer was lost: nothing proves whose it is.
        run.servers[0].set(&[(0, Errno::IO, Fails::After)]);
        let broken = Claimed::Others(ClaimRead::Broken);
        assert_eq!(run.claimants[0].try_claim(name(0, 1, 0)).unwrap(), broken);
        assert_eq!(run.claimants[1].try_claim(name(0, 1, 0)).unwrap(), broken);
        // Created, and the content did not arrive, or did although it was said that it did not.
        run.servers[0].set(&[(1, Errno::NOSPC, fails)]);
        let claimed = run.claimants[0].try_claim(name(0, 2, 0));
        if fails == Fails::After {
            assert_eq!(claimed.unwrap(), Claimed::Ours);
        } else {
            let error = format!("{:#}", claimed.unwrap_err());
            assert!(error.contains("can't write") && error.contains("0/2.0: No space left"), "{error}");
            assert_eq!(run.claimants[1].try_claim(name(0, 2, 0)).unwrap(), broken);
        }
        assert_eq!(run.claimants[1].try_claim(name(0, 1, 1)).unwrap(), Claimed::Ours);
    }
}

#[test]
fn where_links_are_refused_claims_are_files_of_their_own_from_then_on() {
    for errno in [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK, Errno::XDEV] {
        let run = Run::new(|| FaultyServer::without_links(errno));
        for share in 1..=3 {
            run.servers[0].set(&[]);
            assert_eq!(run.claimants[0].try_claim(name(0, share, 0)).unwrap(), Claimed::Ours);
            assert_eq!(run.holder(name(0, share, 0)), Some(1));
            assert!(share == 1 || run.servers[0].calls() <= 3);
        }
        let files: std::collections::BTreeSet<_> =
            run.folder().list(0).unwrap().into_iter().map(|entry| entry.file).collect();
        assert_eq!(files.len(), 3);
    }
    let run = Run::new(Arc::default);
    for share in 1..=3 {
        assert_eq!(run.claimants[0].try_claim(name(0, share, 0)).unwrap(), Claimed::Ours);
    }
    let listed = run.folder().list(0).unwrap();
    assert!(listed.iter().all(|entry| entry.file == listed[0].file));
}

#[test]
fn a_run_that_was_moved_away_is_told_from_a_round_that_nobody_began() {
    for run in Run::both() {
        assert_eq!(run.claimants[0].try_claim(name(0, 1, 0)).unwrap(), Claimed::Ours);
        std::fs::remove_dir_all(run.folder().path().join("0")).unwrap();
        assert_eq!(run.claimants[0].try_claim(name(0, 1, 0)).unwrap(), Claimed::Ours);
        std::fs::remove_file(run.folder().path().join("1.1.json")).unwrap();
        assert_eq!(run.claimants[0].try_claim(name(1, 1, 0)).unwrap(), Claimed::Ours);
        std::fs::rename(run.layout.claims(), run.layout.root().join("previous")).unwrap();
        // Another run began meanwhile.
        std::fs::create_dir_all(run.layout.claims_of("other")).unwrap();
        let gone = run.claimants[0].try_claim(name(0, 2, 0)).unwrap_err();
        assert!(gone.is::<RunMovedAway>(), "{gone:#}");
        assert!(!run.folder().path().exists());
    }
}

#[test]
fn storage_that_fails_for_good_is_told_with_what_was_tried() {
    let run = Run::new(Arc::default);
    for (errno, calls) in [(Errno::IO, 6), (Errno::ACCESS, 2), (Errno::ROFS, 2)] {
        let fails: Vec<_> = (0..9).step_by(2).map(|call| (call, errno, Fails::Before)).collect();
        run.servers[0].set(&fails);
        let error = run.claimants[0].try_claim(name(0, 1, 0)).unwrap_err();
        let error = StorageError::from(&error).to_string();
        assert!(error.starts_with("can't link ") && error.contains("/0/1.0: "), "{error}");
        assert_eq!(run.servers[0].calls(), calls, "{errno}");
    }
}

#[test]
fn a_claimant_begins_whatever_was_said_of_its_file() {
    for errno in ERRORS {
        for (call, fails) in (0..3).flat_map(|call| FAILS.map(|fails| (call, fails))) {
            let root = tempfile::tempdir().unwrap();
            let layout = Layout::new(root.path());
            let server = Arc::new(FaultyServer::default());
            server.set(&[(call, errno, fails)]);
            let storage = Arc::clone(&server) as Arc<dyn ClaimStorage>;
            let folder = ClaimsFolder::on(storage, &layout, "run");
            let by = LaunchId { replica: 1, launch: 1 };
            match Claimant::new(folder, by, &Process::current(None)) {
                Ok(claimant) => assert_eq!(claimant.try_claim(name(0, 1, 0)).unwrap(), Claimed::Ours),
                Err(error) => assert_eq!(fails, Fails::Before, "{call} {errno} {error}"),
            }
        }
    }
}

#[test]
fn of_two_who_claim_at_once_one_gets_it() {
    const RACES: u32 = 2000;
    for run in Run::both() {
        let begin = Barrier::new(2);
        let race = |claimant: &Claimant| -> Vec<bool> {
            let claim = |number| {
                begin.wait();
                match claimant.try_claim(name(number % 7, number + 1, 0)).unwrap() {
                    Claimed::Ours => true,
                    // Between creating and writing another one's file is empty.
                    Claimed::Others(ClaimRead::Of(_) | ClaimRead::Broken) => false,
                    Claimed::Others(ClaimRead::Missing) => unreachable!(),
                }
            };
            (0..RACES).map(claim).collect()
        };
        let [one, other] = &run.claimants;
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| race(other));
            (race(one), other.join().unwrap())
        });
        assert!(one.iter().zip(&other).all(|(one, other)| one != other));
        for (number, is_first) in (0..RACES).zip(&one) {
            let holder = run.holder(name(number % 7, number + 1, 0));
            assert_eq!(holder, Some(if *is_first { 1 } else { 2 }));
        }
    }
}

#[test]
fn what_is_no_claim_is_broken_and_what_is_no_claims_name_is_passed_over() {
    let run = Run::new(Arc::default);
    assert_eq!(run.claimants[0].try_claim(name(0, 1, 0)).unwrap(), Claimed::Ours);
    let folder = run.folder();
    let round = folder.path().join("0");
    let ours = std::fs::read_to_string(round.join("1.0")).unwrap();
    let broken = [
        String::new(),
        ours[..ours.len() / 2].to_owned(),
        ours.replace("\"run\":\"run\"", "\"run\":\"other\""),
        "{}".into(),
        format!("{ours}{}", " ".repeat(5000)),
        "[".repeat(4000),
        format!("{ours}{ours}"),
    ];
    for (text, share) in broken.iter().zip(2..) {
        std::fs::write(round.join(format!("{share}.0")), text).unwrap();
        assert_eq!(folder.read(name(0, share, 0)).unwrap(), ClaimRead::Broken, "{text}");
    }
    std::fs::create_dir(round.join("90.0")).unwrap();
    assert_eq!(folder.read(name(0, 90, 0)).unwrap(), ClaimRead::Broken);
    assert_eq!(folder.read(name(0, 91, 0)).unwrap(), ClaimRead::Missing);
    for odd in ["1.00", "0.1", "x", "1", ".1.0.tmp", "1.0.json", "-1.0"] {
        std::fs::write(round.join(odd), "").unwrap();
    }
    let listed = folder.round(0).unwrap();
    assert_eq!(listed.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 90]);
    // Later versions may say more.
    std::fs::write(round.join("92.0"), ours.replace('{', "{\"more\":[1],")).unwrap();
    assert!(matches!(folder.read(name(0, 92, 0)).unwrap(), ClaimRead::Of(_)));
}
