//! Both loops of the original give each replica the files that canfar-run gives it.

use serde_json::Value;

use super::can_run;
use super::page::{command, original};
use super::place::Place;

/// Runs each of these files for each of so many replicas, and prints what was analysed: `[[[path, ...], ...], ...]`.
const LOOPS: &str = r#"
import json, os, sys
sys.path.insert(0, "/path/to")
from your.code import analyzed, analysis
os.environ["REPLICA_COUNT"] = sys.argv[1]
shares = []
for path in sys.argv[2:]:
    program = compile(open(path).read(), path, "exec")
    shares.append([])
    for replica in range(1, int(sys.argv[1]) + 1):
        os.environ["REPLICA_ID"] = str(replica)
        exec(program, {"process_datafile": analysis})
        shares[-1].append(analyzed[:])
        analyzed.clear()
print(json.dumps(shares))
"#;

/// What stands for the user's analysis.
pub(super) const ANALYSIS: &str = "\
analyzed = []
def analysis(path):
    analyzed.append(path)
    return {\"number\": int(open(path).read())}
";

/// The loops, each with what it needs to be run.
const ORIGINALS: [(&str, &str); 3] =
    [("The batch loop", ""), ("Chunks", "from glob import glob\n"), ("Stripes", "from glob import glob\n")];

/// A loop that lists the files in their order on every machine.
fn in_order(snippet: &str) -> String {
    let sorted = snippet.replace(" = glob(", " = sorted(glob(").replace(".fits\")", ".fits\"))");
    assert_ne!(sorted, snippet);
    sorted
}

/// The files that each replica gets in each of the loops, which are changed first.
fn of_the_originals(place: &Place, replicas: usize, change: fn(&str) -> String) -> Vec<Vec<Vec<String>>> {
    place.write("/path/to/loops.py", LOOPS);
    let mut words = vec!["python".to_owned(), "/path/to/loops.py".to_owned(), replicas.to_string()];
    for (title, first) in ORIGINALS {
        let path = format!("/path/to/{title}.py");
        place.write(&path, first.to_owned() + &change(&original(title)));
        words.push(path);
    }
    serde_json::from_value(place.start(words, []).exits(0).json()).unwrap()
}

/// The files that canfar-run would give to some of the replicas, by replica and then by loop.
fn of_ours(place: &Place, replicas: &[usize], count: usize) -> Vec<Vec<String>> {
    let dry = |(title, _)| command(title).replacen("canfar-run ", "canfar-run -n ", 1) + "; echo ==";
    let dry = ORIGINALS.map(dry).join("\n");
    let printed = place.sh_as(replicas.iter().copied(), count, &dry).exits(0).printed();
    printed.split_terminator("==\n").map(|share| share.lines().map(file_of).collect()).collect()
}

/// The file of a printed call.
fn file_of(line: &str) -> String {
    let start = line.find("/path/to/data/").unwrap_or_else(|| panic!("{line}"));
    let end = line.rfind(".fits").unwrap() + ".fits".len();
    line[start..end].to_owned()
}

#[test]
fn both_loops_and_ours_give_each_replica_the_same_files() {
    if !can_run() {
        return;
    }
    for (files, replicas) in [(1000, 100), (199, 100), (7, 3), (3, 10)] {
        let place = Place::new();
        place.add_files("/path/to/data", files);
        place.link("/path/to/data/files", ".");
        place.write("/path/to/your/code.py", ANALYSIS);
        place.write("/arc/home/user/analyze.py", "def process_datafile(path):\n    return None\n");
        let sorted = of_the_originals(&place, replicas, in_order);
        if replicas < 100 {
            // As printed the order is the folder's, but who gets how many does not depend on it.
            let printed = of_the_originals(&place, replicas, str::to_owned);
            assert_eq!(lengths(&printed), lengths(&sorted));
        }
        let some: Vec<usize> = match replicas {
            100 => vec![1, 2, 57, 99, 100],
            few => (1..=few).collect(),
        };
        let expected = some.iter().flat_map(|id| sorted.iter().map(move |shares| shares[id - 1].clone()));
        let expected: Vec<Vec<String>> = expected.collect();
        assert_eq!(of_ours(&place, &some, replicas), expected, "{files} files, {replicas} replicas");
        check_plans(&place, &sorted);
    }
}

/// How many files each replica gets in each loop.
fn lengths(loops: &[Vec<Vec<String>>]) -> Vec<usize> {
    loops.iter().flat_map(|shares| shares.iter().map(Vec::len)).collect()
}

/// All rows of the plan for each of our commands.
fn check_plans(place: &Place, sorted: &[Vec<Vec<String>>]) {
    let count = sorted[0].len();
    let plan = |(title, _)| {
        let command = command(title);
        let (run, _) = command.split_once(" --results-dir").unwrap();
        run.replacen("canfar-run ", &format!("canfar-run plan --json --replica-count {count} "), 1)
    };
    let plans = place.sh(&ORIGINALS.map(plan).join("\n")).exits(0).printed();
    assert_eq!(plans.lines().count(), sorted.len());
    for (plan, shares) in plans.lines().zip(sorted) {
        let plan: Value = serde_json::from_str(plan).unwrap();
        let rows = plan["replicas"].as_array().unwrap().iter();
        let rows =
            rows.map(|row| (row["files"].as_u64().unwrap(), row["first"].as_str(), row["last"].as_str()));
        let expected = shares.iter().map(|share| {
            (share.len() as u64, share.first().map(String::as_str), share.last().map(String::as_str))
        });
        assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

#[test]
fn without_a_strategy_shares_are_chunks_where_the_count_divides_and_even_elsewhere() {
    if !can_run() {
        return;
    }
    for (files, [first, last], evenly) in [(200, [2, 2], [2, 2]), (199, [1, 100], [1, 2])] {
        let place = Place::new();
        place.add_files("/path/to/data", files);
        let shares = |strategy: &str| {
            let plan = place.sh(&(command("When to use which") + " --json" + strategy)).exits(0).json();
            let rows = plan["replicas"].as_array().unwrap().iter();
            rows.map(|row| row["files"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        let (chunks, even) = (shares(" --strategy chunk"), shares(""));
        assert!(chunks[..99].iter().all(|chunk| *chunk == first) && chunks[99] == last, "{chunks:?}");
        assert_eq!([even.iter().min(), even.iter().max()], [Some(&evenly[0]), Some(&evenly[1])]);
    }
}
