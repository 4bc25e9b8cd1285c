//! What was published is read as it was, and nothing else is.

use super::line::PIECE_ENTRIES;
use super::{InputList, InputSpec, Origin, TaskCommand, prepare};
use crate::exit_code::ExitCode;
use crate::model::blocks::Blocks;
use crate::model::entries::{Entries, Entry};
use crate::model::provenance::Process;
use crate::model::replica::Replica;
use crate::model::shares::{Share, Strategy};
use crate::store::atomic_file::Published;
use crate::store::layout::Layout;
use crate::text::OsText;

fn published(folder: &std::path::Path, strategy: Strategy, count: u64) -> (Layout, Entries) {
    let layout = Layout::new(folder);
    let mut entries = Entries::default();
    for index in 0..count {
        let path = format!("/data/{index:07}");
        entries.push(Entry { size: Some(index % 7), ..Entry::of(&path) }).unwrap();
    }
    let origin = Origin {
        parent: None,
        source: InputSpec::List { file: OsText("-".into()), null: false },
        strategy,
        replica_count: 3,
        balance: false,
        command: TaskCommand::Argv(vec![OsText("true".into())]),
        command_files: Vec::new(),
        products: Vec::new(),
        settings: super::Settings::default(),
    };
    let list = prepare(&layout, origin, &entries, &[], &Process::current(None)).unwrap();
    assert_eq!(list.publish().unwrap(), Published::New);
    (layout, entries)
}

#[test]
fn every_share_is_read_whole_from_a_list_of_several_pieces() {
    for strategy in Strategy::ALL {
        let folder = tempfile::tempdir().unwrap();
        let (layout, entries) = published(folder.path(), strategy, 3 * PIECE_ENTRIES + 17);
        let list = InputList::open(&layout).unwrap().unwrap();
        for id in 1..=3 {
            let share = list.share_of(Replica::new(id, 3).unwrap()).unwrap();
            let expected = share.iter().map(|index| entries.get(usize::try_from(index).unwrap()).unwrap());
            assert_eq!(list.entries(&share).unwrap(), Entries::of(expected).unwrap());
        }
    }
}

#[test]
fn blocks_are_cut_by_the_sizes_that_the_list_has() {
    for strategy in Strategy::ALL {
        let folder = tempfile::tempdir().unwrap();
        let (layout, entries) = published(folder.path(), strategy, 500);
        let list = InputList::open(&layout).unwrap().unwrap();
        assert!(list.header().has_sizes() && !list.has_balance());
        let sizes: Vec<u64> = entries.iter().map(|entry| entry.size.unwrap()).collect();
        let expected = Blocks::new(strategy, 500, &sizes, list.replicas().unwrap());
        let blocks = list.blocks().unwrap();
        assert!(blocks.all().eq(expected.all()));
        for block in blocks.all() {
            assert_eq!(blocks.indices(block), expected.indices(block));
        }
        assert!((1..=3).map(|id| blocks.share(id)).eq(list.shares().unwrap()));
    }
}

#[test]
fn a_list_without_sizes_is_cut_by_the_number_of_entries() {
    let list = opened(VERSION_1, str::to_owned).unwrap();
    assert!(!list.header().has_sizes() && !list.has_balance());
    assert_eq!(list.blocks().unwrap().count(), 2);
}

#[test]
fn a_list_that_was_edited_anywhere_is_refused_and_never_misread() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, entries) = published(folder.path(), Strategy::Even, 20);
    let whole = std::fs::read(layout.inputs()).unwrap();
    let read = || -> anyhow::Result<Entries> {
        let list = InputList::open(&layout)?.expect("it is there");
        list.entries(&Share::Range(0..list.header().count))
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
        ("\"piece_entries\":1024", "\"piece_entries\":0"),
        ("\"offset\":0", "\"offset\":7"),
        ("\"replica_count\":3", "\"replica_count\":0"),
        ("\"v\":2", "\"v\":1"),
    ] {
        let text = String::from_utf8(whole.clone()).unwrap().replacen(from, to, 1);
        std::fs::write(layout.inputs(), text).unwrap();
        assert!(read().is_err(), "{to}");
    }
}

/// A list as 0.1 wrote it.
const VERSION_1: &str = r#"{"format":"canfar-run inputs","v":1,"run":"beqkal","source":{"kind":"files_from","file":"/l.txt","null":false},"strategy":"even","replica_count":1,"command":{"argv":["true","{}"]},"command_files":[],"settings":{"cwd":"/data"},"count":2,"bytes":36,"blake3":"3fdd3566e8946c2ec8c72c74154b8ad0e9cd723910bcf925549c41d6bcd8223e","unreadable":[],"created_by":{"host":"vm","boot_id":"1b6e894f","pid":26747,"version":"0.1.0"},"created_at":"2026-11-28T07:24:09.512Z","block_entries":1024,"blocks":[{"offset":0,"check":"3fdd3566e8946c2e"}]}
{"path":"M 87"}
{"path":"NGC 1275"}
"#;

/// Opens a list of which `edit` has made something else before it was sealed.
fn opened(list: &str, edit: impl Fn(&str) -> String) -> anyhow::Result<InputList> {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let (header, entries) = list.split_once('\n').unwrap();
    let mut text = super::header::sealed(edit(header).into_bytes());
    text.extend_from_slice(entries.as_bytes());
    std::fs::write(layout.inputs(), text).unwrap();
    InputList::open(&layout).map(Option::unwrap)
}

#[test]
fn a_list_of_version_1_is_read_as_it_is() {
    let list = opened(VERSION_1, str::to_owned).unwrap();
    let header = list.header();
    assert_eq!(header.source, InputSpec::List { file: "/l.txt".into(), null: false });
    assert_eq!((header.v, header.balance, header.products.len(), header.first_index), (1, false, 0, 0));
    assert_eq!((header.parent.as_deref(), header.pieces.len()), (None, 1));
    let expected = Entries::of(["M 87", "NGC 1275"].map(Entry::of)).unwrap();
    assert_eq!(list.entries(&Share::Range(0..2)).unwrap(), expected);
}

#[test]
fn the_indices_of_a_run_that_continues_another_go_on_after_those_of_that() {
    let with = |first: u64| {
        let members = format!(",\"parent\":\"abc\",\"first_index\":{first},\"count\"");
        opened(VERSION_1, |header| header.replace("\"v\":1", "\"v\":2").replace(",\"count\"", &members))
    };
    let list = with(7).unwrap();
    let header = list.header();
    assert_eq!((header.parent.as_deref(), header.run_ref().indices), (Some("abc"), 7..9));
    let expected = Entries::of(["M 87", "NGC 1275"].map(Entry::of)).unwrap();
    assert_eq!(list.entries(&Share::Range(7..9)).unwrap(), expected);
    let shared: Vec<u64> =
        list.shares().unwrap().iter().flat_map(|share| share.iter().collect::<Vec<_>>()).collect();
    assert_eq!(shared, [7, 8]);
    let blocks = list.blocks().unwrap();
    let of_blocks: Vec<u64> =
        blocks.all().flat_map(|block| blocks.indices(block).unwrap().iter().collect::<Vec<_>>()).collect();
    assert_eq!(of_blocks, [7, 8]);
    assert!(blocks.block_of(6).is_none() && blocks.block_of(8).is_some());
    assert!(list.entries(&Share::Range(0..2)).is_err());
    assert!(with(u64::MAX).is_err());
}

#[test]
fn what_a_later_version_asks_for_is_named_and_what_it_merely_says_is_passed_over() {
    let version_2 = |header: &str| {
        let named = [("\"v\":1", "\"v\":2"), ("files_from", "list"), ("\"block", "\"piece")];
        named.into_iter().fold(header.to_owned(), |header, (old, new)| header.replace(old, new))
    };
    let with = |from: &str, to: &str| opened(VERSION_1, |header| version_2(header).replace(from, to));
    assert_eq!(with(",\"count\"", ",\"news\":{\"v\":3},\"parent\":\"abc\",\"count\"").unwrap().header().v, 2);
    let error = with("\"kind\":\"list\"", "\"kind\":\"sky\"").unwrap_err();
    assert_eq!(ExitCode::of_error(&error), ExitCode::Incomplete);
    let error = format!("{error:#}");
    let what = "its tasks come from a source of the kind \"sky\"";
    assert!(error.contains(what) && error.contains("use the later one that made it"), "{error}");
    let error = with("\"v\":2", "\"v\":3").unwrap_err();
    assert_eq!(ExitCode::of_error(&error), ExitCode::Usage);
    assert!(format!("{error:#}").contains("reads versions 1 and 2"), "{error:#}");
}
