//! What a function returns, and what becomes of it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use serde_json::{Value, json};

use super::{failed, launch};
use crate::support::{Component, Dir, require};

/// Launches with one task for each expression, of which a function returns the value.
fn returned(dir: &Dir, options: &[&str], imports: &str, expressions: &[&str], code: i32) {
    dir.add_inputs(expressions.len());
    let all = expressions.join("),\n    lambda: (");
    let source = format!(
        "{imports}\nALL = [\n    lambda: ({all}),\n]\ndef analyze(path, index):\n    return ALL[index]()\n"
    );
    launch(dir, options, &source).args(["-q", "-j", "1", "--max-failures", "none"]).run().exits(code);
}

const IMPORTS: &str = "
import collections, dataclasses, datetime, enum, os, pathlib, types, decimal
from dataclasses import dataclass
Point = collections.namedtuple('Point', 'x y')
class Colour(enum.Enum):
    RED = 'red'
class Level(enum.IntEnum):
    HIGH = 3
@dataclass
class Star:
    flux: float
    where: Point
class Scalar:
    def item(self): return 7
class Moment:
    def isoformat(self): return 'now'
class Text(str): pass
def deep(levels):
    value = 1
    for _ in range(levels): value = [value]
    return value
loop = {}; loop['again'] = [loop]
def nan(): return float('nan')
";

#[test]
fn what_json_can_say_becomes_the_record() {
    let cases = [
        (
            "{'stars': 42, 'error': 'none', 'file': 'mine'}",
            json!({"stars": 42, "error": "none", "file": "mine"}),
        ),
        ("{}", json!({})),
        ("[1, 'a', None, True]", json!([1, "a", null, true])),
        ("42", json!(42)),
        ("'text'", json!("text")),
        ("0.1", json!(0.1)),
        ("False", json!(false)),
        ("float('nan')", json!(null)),
        ("[nan(), -float('inf')]", json!([null, null])),
        ("(1, (2, 3))", json!([1, [2, 3]])),
        ("Point(1, 2)", json!({"x": 1, "y": 2})),
        ("Star(1.5, Point(0, 1))", json!({"flux": 1.5, "where": {"x": 0, "y": 1}})),
        ("{'c': Colour.RED, 'l': Level.HIGH, Colour.RED: 1}", json!({"c": "red", "l": 3, "red": 1})),
        ("{1: 'a', 2.5: 'b', True: 'c'}", json!({"1": "c", "2.5": "b"})),
        ("{None: 1, False: 2}", json!({"null": 1, "false": 2})),
        ("pathlib.Path('/a/b')", json!("/a/b")),
        ("datetime.datetime(2026, 11, 28, 1, 2, 3, 4)", json!("2026-11-28T01:02:03.000004")),
        ("[datetime.date(2026, 1, 2), datetime.time(3, 4)]", json!(["2026-01-02", "03:04:00"])),
        ("datetime.timedelta(days=1, microseconds=500000)", json!("PT86400.5S")),
        ("[Scalar(), Moment(), Text('t')]", json!([7, "now", "t"])),
        ("types.MappingProxyType({'a': collections.OrderedDict(b=1)})", json!({"a": {"b": 1}})),
        ("'\\udcff\\n\\u00e9\\U0001f52d'", json!("?")),
        ("deep(1000)", json!("deep")),
        ("10 ** 5000", json!("huge")),
        ("None", json!(null)),
    ];
    let dir = Dir::new();
    returned(&dir, &[], IMPORTS, &cases.iter().map(|(expression, _)| *expression).collect::<Vec<_>>(), 0);
    let text = dir.text("out/container_1_results.json");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(lines.len(), cases.len());
    for (line, (expression, expected)) in lines.iter().zip(&cases) {
        match expected.as_str() {
            Some("?") => assert!(line.contains(r#""result":"\udcff\n\u00e9\ud83d\udd2d""#), "{line}"),
            Some("deep") => assert!(line.contains(&"[".repeat(1000)), "{line}"),
            Some("huge") => assert!(line.contains(&format!("\"result\":1{},", "0".repeat(5000))), "{line}"),
            _ => {
                let mut record: Value = serde_json::from_str(line.trim_end_matches(',')).unwrap();
                let mut rest = record.as_object_mut().unwrap().clone();
                rest.remove("canfar_run");
                let file = rest.remove("file").unwrap();
                match expected {
                    Value::Null if *expression == "None" => assert!(rest.is_empty(), "{line}"),
                    Value::Object(members) => {
                        let mut members = members.clone();
                        let own = members.remove("file");
                        assert!(own.is_none_or(|own| own == file), "{line}");
                        assert_eq!(rest, members, "{expression}");
                    }
                    other => assert_eq!(&rest["result"], other, "{expression}"),
                }
            }
        }
    }
    let counted = |index: usize| lines[index].split_once("\"non_finite\":").map(|(_, rest)| &rest[..1]);
    assert_eq!((counted(7), counted(8), counted(5)), (Some("1"), Some("2"), None));
}

#[test]
fn what_it_can_not_say_fails_that_task_and_names_the_key_and_what_to_write() {
    let cases = [
        (
            "{'stars': [0, {'flux': 1j}]}",
            "stars[1].flux is a complex number: return its .real and .imag separately",
        ),
        ("{1}", "what analyze returned is a set, which has no order: return sorted(...) or list(...)"),
        ("{'a b': b'x'}", "[\"a b\"] is bytes: return a string (.decode()) or a list of numbers"),
        ("{'a': {'b': range(3)}}", "a.b is a range: return list(...)"),
        ("(n for n in [1])", "what analyze returned is a generator: return list(...)"),
        ("{'a': loop}", "a.again[0] is circular: it contains itself"),
        (
            "deep(1001)",
            &format!("{}...{} is nested more than 1000 deep", "[0]".repeat(34).get(..100).unwrap(), {
                let text = "[0]".repeat(1000);
                text[text.len() - 100..].to_owned()
            }),
        ),
        ("{1: 'a', '1': 'b'}", "what analyze returned has two keys that become \"1\" in JSON"),
        ("{'m': {(1, 2): 0}}", "m has a key that is a tuple: (1, 2); keys must be strings"),
        ("{'d': decimal.Decimal(1)}", "d is a decimal.Decimal: return float(...) or str(...)"),
        ("{'f': len}", "f is the function `len` itself: call it"),
        ("{'f': Star}", "f is the class `Star` itself: call it"),
        ("ValueError('x')", "what analyze returned is an exception: raise it, or return str(...)"),
        ("[object()]", "[0] is an object: convert it to numbers, strings, lists or dicts"),
        ("{'canfar_run': 1}", "analyze returned the key \"canfar_run\", which is reserved for canfar-run"),
        (
            "'x' * 200000",
            "what analyze returned is larger than --max-result (200002 bytes of JSON, 102400 are allowed)",
        ),
    ];
    let dir = Dir::new();
    let expressions: Vec<&str> = cases.iter().map(|(expression, _)| *expression).collect();
    returned(&dir, &["--max-result", "100k", "--logs", "none"], IMPORTS, &expressions, 1);
    for ((index, cause, message, _), (expression, said)) in failed(&dir, 1).into_iter().zip(cases) {
        assert_eq!((cause.as_str(), message.as_str()), ("result", said), "{index}: {expression}");
    }
    assert_eq!(failed(&dir, 1).len(), expressions.len());
}

#[test]
fn values_of_numpy_astropy_and_pandas_become_plain_ones_or_say_why_not() {
    if !require(Component::Python("numpy, astropy, pandas")) {
        return;
    }
    let imports = "import numpy as np, pandas as pd\nimport astropy.units as u\nfrom astropy.coordinates import SkyCoord\nfrom astropy.table import Table, Column\nfrom astropy.time import Time";
    let good = [
        ("np.float32(0.5)", json!(0.5)),
        ("np.int64(7)", json!(7)),
        ("np.bool_(True)", json!(true)),
        ("{'a': np.arange(3), np.int64(2): 1}", json!({"a": [0, 1, 2], "2": 1})),
        ("np.array([[1.5, np.nan]])", json!([[1.5, null]])),
        ("np.array(5)", json!(5)),
        ("np.str_('s')", json!("s")),
        ("[np.ma.masked, np.ma.array([1, 2], mask=[0, 1])]", json!([null, [1, null]])),
        ("np.datetime64('2026-11-28T01:02:03')", json!("2026-11-28T01:02:03")),
        ("np.array(['2026-11-28', 'NaT'], 'datetime64[ns]')", json!(["2026-11-28T00:00:00.000000000", null])),
        (
            "[np.timedelta64(1500, 'ms'), np.timedelta64('NaT'), np.timedelta64(-2, 'h')]",
            json!(["PT1.5S", null, "-PT2H"]),
        ),
        ("np.longdouble(0.5)", json!(0.5)),
        ("np.array([(1, b'x'.decode())], [('n', 'i4'), ('t', 'U1')])", json!([{"n": 1, "t": "x"}])),
        (
            "[pd.Timestamp('2026-01-02'), pd.NaT, pd.NA, pd.Timedelta('1s')]",
            json!(["2026-01-02T00:00:00", null, null, "PT1S"]),
        ),
        ("pd.Series([1, 2])", json!([1, 2])),
        ("Column([1, 2])", json!([1, 2])),
    ];
    let bad = [
        (
            "{'flux': 3 * u.Jy}",
            "flux is an astropy.Quantity in Jy, and JSON has no units: return .value, or .to_value(...)",
        ),
        (
            "[Column([1], unit='Jy')]",
            "[0] is an astropy.Column in Jy, and JSON has no units: return .value, or .to_value(...)",
        ),
        ("{'z': np.array([1j])}", "z[0] is a complex number: return its .real and .imag separately"),
        (
            "pd.DataFrame({'a': [1]})",
            "what analyze returned is a pandas.DataFrame: return .to_dict('records')",
        ),
        (
            "pd.DataFrame({'unit': ['Jy'], 'value': [1]})",
            "what analyze returned is a pandas.DataFrame: return .to_dict('records')",
        ),
        ("{'t': Time('2026-01-02')}", "t is an astropy.Time: return .isot, .mjd or .jd"),
        ("{'t': Time('2026-01-02') - Time('2026-01-01')}", "t is an astropy.TimeDelta: return .sec or .jd"),
        (
            "{'c': SkyCoord(1, 2, unit='deg')}",
            "c is an astropy.SkyCoord: return its numbers, such as .ra.deg and .dec.deg",
        ),
        ("{'s': np.timedelta64(5)}", "s is a numpy.timedelta64 without a unit of time: return .astype(int)"),
        ("{'b': np.array([b'x'])}", "b[0] is bytes: return a string (.decode()) or a list of numbers"),
    ];
    let expressions: Vec<&str> =
        good.iter().map(|(text, _)| *text).chain(bad.iter().map(|(text, _)| *text)).collect();
    let dir = Dir::new();
    returned(&dir, &[], imports, &expressions, 1);
    for ((index, _, message, _), (expression, said)) in failed(&dir, 1).into_iter().zip(bad) {
        assert_eq!(message, said, "{index}: {expression}");
    }
    let results = dir.results(1);
    assert_eq!(results.len(), good.len(), "{:?}", failed(&dir, 1));
    for (record, (expression, expected)) in results.iter().zip(&good) {
        match expected {
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| assert_eq!(&record[key], value, "{expression}"));
            }
            other => assert_eq!(&record["result"], other, "{expression}"),
        }
    }
    dir.canfar_run().args(["merge", "out", "-o", "stars.csv"]).run().exits(1);
    assert!(dir.text("stars.csv").lines().next().unwrap().contains("result,"), "{}", dir.text("stars.csv"));
}

#[test]
fn none_is_said_to_be_what_the_function_returned() {
    for (options, code, said) in [
        (&[][..], 0, "analyze returned None for 3 files (the first, "),
        (&[], 0, "return a dict, or give --result none if there is no result"),
        (&["--result", "json"], 1, "result: no result (--result json): analyze returned None"),
        (&["--result", "none"], 0, "replica 1 of 1: 3 of 3 files ok (in"),
    ] {
        let dir = Dir::with_inputs(3);
        let ended = launch(&dir, options, "def analyze(path): pass").run().exits(code).says(said);
        assert_eq!(ended.stderr.contains("None"), options != ["--result", "none"], "{ended}");
    }
}

#[test]
fn parameters_are_filled_by_their_names_and_the_one_that_is_left_gets_the_path() {
    let dir = Dir::new();
    let name = OsString::from_vec(b"data/a\xff\n.fits".to_vec());
    dir.write(&name, "x");
    let source = "
from __future__ import annotations
import os, functools, pathlib, typing
from pathlib import Path as P
if typing.TYPE_CHECKING:
    from somewhere import Table
def told(path, **more): return dict(kind=type(path).__name__, size=os.path.getsize(path), **more)
def plain(path): return told(path)
def annotated(path: str, *, table: Table = None) -> Table: return told(path)
def as_path(path: pathlib.Path): return told(path)
def alias(path: P): return told(path)
def optional(path: typing.Optional[P]): return told(path)
def either(path: 'str | P'): return told(path)
def named(tmpdir, image, index, level=3): return told(image, index=index, empty=os.listdir(tmpdir), level=level)
def keywords(*, index, path: P): return told(path, index=index)
def positional(index, path, /, *rest, **more): return told(path, index=index, rest=rest, more=more)
def any(*args, **more): return told(*args, **more)
class Survey:
    @classmethod
    def of_class(cls, path): return told(path, name=cls.__name__)
    @staticmethod
    def without(path): return told(path)
    def method(self, path): return told(path)
    def __call__(self, path: P): return told(path)
survey = Survey()
partial = functools.partial(told, level=2)
@functools.lru_cache(None)
def cached(path): return told(path)
";
    dir.write("analysis.py", source);
    dir.write("package/__init__.py", "");
    dir.write("package/stars.py", "from analysis import as_path as analyze\n");
    for (target, expected) in [
        ("analysis.py:plain", json!({"kind": "str"})),
        ("analysis.py:annotated", json!({"kind": "str"})),
        ("analysis.py:as_path", json!({"kind": "PosixPath"})),
        ("analysis.py:alias", json!({"kind": "PosixPath"})),
        ("analysis.py:optional", json!({"kind": "PosixPath"})),
        ("analysis.py:either", json!({"kind": "str"})),
        ("analysis.py:named", json!({"index": 0, "empty": [], "level": 3})),
        ("analysis.py:keywords", json!({"index": 0, "kind": "PosixPath"})),
        ("analysis.py:positional", json!({"index": 0, "rest": [], "more": {}})),
        ("analysis.py:any", json!({"kind": "str"})),
        ("analysis.py:Survey.of_class", json!({"name": "Survey"})),
        ("analysis.py:Survey.without", json!({"kind": "str"})),
        ("analysis.py:survey.method", json!({"kind": "str"})),
        ("analysis.py:survey", json!({"kind": "PosixPath"})),
        ("analysis.py:partial", json!({"level": 2})),
        ("analysis.py:cached", json!({"kind": "str"})),
        ("package.stars:analyze", json!({"kind": "PosixPath"})),
    ] {
        let out = format!("of/{target}");
        let line = ["-i", "data", "-o", &out, "-q", "--call", target];
        dir.canfar_run().args(line).run().exits(0);
        let records = dir.json(format!("{out}/container_1_results.json"));
        assert_eq!(records[0]["size"], 1, "{target}");
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&records[0][key], value, "{target}");
        }
    }
}
