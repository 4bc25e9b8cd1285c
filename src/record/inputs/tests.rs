//! What was published is read as it was, and nothing else is.

use super::line::BLOCK;
use super::{Command, InputList, Origin, Source, publish};
use crate::model::entries::{Entries, Entry};
use crate::model::provenance::Process;
use crate::model::replica::Replica;
use crate::model::shares::Strategy;
use crate::store::atomic_file::Published;
use crate::store::layout::Layout;
use crate::text::OsText;

fn published(folder: &std::path::Path, strategy: Strategy, count: u64) -> (Layout, Entries) {
    let layout = Layout::new(folder);
    let mut entries = Entries::default();
    for index in 0..count {
        let path = format!("/data/{index:07}");
        entries.push(Entry { path: path.as_ref(), size: Some(index % 7) }).unwrap();
    }
    let origin = Origin {
        source: Source::FilesFrom { file: OsText("-".into()), null: false },
        strategy,
        replica_count: 3,
        command: Command::Argv(vec![OsText("true".into())]),
        command_files: Vec::new(),
        settings: super::Settings::default(),
    };
    assert_eq!(publish(&layout, origin, &entries, &[], &Process::current(None)).unwrap(), Published::New);
    (layout, entries)
}

#[test]
fn every_share_is_read_whole_from_a_list_of_several_blocks() {
    for strategy in Strategy::ALL {
        let folder = tempfile::tempdir().unwrap();
        let (layout, entries) = published(folder.path(), strategy, 3 * BLOCK + 17);
        let list = InputList::open(&layout).unwrap().unwrap();
        for id in 1..=3 {
            let share = list.share_of(Replica::new(id, 3).unwrap()).unwrap();
            let expected = share.iter().map(|index| entries.get(usize::try_from(index).unwrap()).unwrap());
            assert_eq!(list.entries(&share).unwrap(), Entries::of(expected).unwrap());
        }
    }
}

#[test]
fn a_list_that_was_edited_anywhere_is_refused_and_never_misread() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, entries) = published(folder.path(), Strategy::Even, 20);
    let whole = std::fs::read(layout.inputs()).unwrap();
    let read = || -> anyhow::Result<Entries> {
        let list = InputList::open(&layout)?.expect("it is there");
        list.entries(&crate::model::shares::Share::Range(0..list.header().count))
    };
    assert_eq!(read().unwrap(), entries);
    for cut in 0..whole.len() {
        std::fs::write(layout.inputs(), &whole[..cut]).unwrap();
        assert!(read().is_err(), "cut at {cut}");
    }
    for place in 0..whole.len() {
        let mut edited = whole.clone();
        edited[place] ^= 1;
        std::fs::write(layout.inputs(), &edited).unwrap();
        assert!(read().is_err(), "byte {place}");
    }
    for (from, to) in [
        ("\"count\":20", "\"count\":99999999999999"),
        ("\"count\":20", "\"count\":19"),
        ("\"block_entries\":1024", "\"block_entries\":0"),
        ("\"offset\":0", "\"offset\":7"),
        ("\"replica_count\":3", "\"replica_count\":0"),
        ("\"v\":1", "\"v\":2"),
    ] {
        let text = String::from_utf8(whole.clone()).unwrap().replacen(from, to, 1);
        std::fs::write(layout.inputs(), text).unwrap();
        assert!(read().is_err(), "{to}");
    }
}
