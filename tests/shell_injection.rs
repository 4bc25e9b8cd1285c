//! No name ever becomes shell text: scripts and names through real shells. Scripts come from tables and from a
//! generator, names are as nasty as a file system allows.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use canfar_run::testing::{TaskPlace, Template, Vocabulary, shell_quote};
use proptest::prelude::*;

use crate::support::InTime;

/// Each of these, when a shell reads it in the wrong place, leaves a file `pwned`.
const NAMES: [&[u8]; 16] = [
    b"a  b * ? [a] ~ {a,b}",
    b"$(touch pwned)",
    b"`touch pwned`",
    b"; touch pwned;",
    b"\"; touch pwned; \"",
    b"'; touch pwned; '",
    b"\n touch pwned\n",
    b"E\ntouch pwned\nE\n",
    b"-n",
    b"--",
    b"{} {/} {{}} {index}",
    b"\"${1}\" $1 ${2} \\$1",
    b"\xff\xfe'\x80\x01\x7f\r\t",
    b"\\",
    b"!",
    b"x[$(touch pwned)]",
];

/// All of them in one.
fn worst_name() -> Vec<u8> {
    NAMES.join(&b'.')
}

/// A script, and what it is to write, each word as [`Template::from_argv`] renders it and followed by a NUL byte.
const SCRIPTS: [(&str, &[&str]); 32] = [
    ("printf '%s\\0' {}", &["{}"]),
    ("printf '%s\\0' {out} a{out:cat} {{out}} {/}", &["{out}", "a{out:cat}", "{{out}}", "{/}"]),
    (
        "printf '%s\\0' {} {/} {//} {.} {/.} {:} {/:} {rel} {index} {slot} {replica}",
        &["{}", "{/}", "{//}", "{.}", "{/.}", "{:}", "{/:}", "{rel}", "{index}", "{slot}", "{replica}"],
    ),
    ("printf '%s\\0' a{}b{/}'c '\"d \"{}", &["a{}b{/}c d {}"]),
    ("printf '%s\\0' \"$1\" {} \"a $1\"", &["{}", "{}", "a {}"]),
    ("printf '%s\\0' \"$(printf '%s.' \"$1\")\" {/}", &["{}.", "{/}"]),
    (
        "b={/}; printf '%s\\0' \"a $(printf '%s.' \"$(printf '%s.' \"$1\")\" \"$b\") b\" {}",
        &["a {}..{/}. b", "{}"],
    ),
    ("x=$(printf '%s.' \"$1\"); printf '%s\\0' \"${x%.}\" {/}", &["{}", "{/}"]),
    ("p={}:{/.}; printf '%s\\0' \"$p\"", &["{}:{/.}"]),
    ("p={/} sh -c 'printf \"%s\\0\" \"$p\" \"$1\"' sh {}", &["{/}", "{}"]),
    ("env p={/} sh -c 'printf \"%s\\0\" \"$p\"' {}", &["{/}"]),
    ("export p={}; sh -c 'printf \"%s\\0\" \"$p\"'", &["{}"]),
    ("printf '%s\\0' {} | cat", &["{}"]),
    ("true && printf '%s\\0' {} || false {}", &["{}"]),
    ("for f in {} {/}; do printf '%s\\0' \"$f\"; done", &["{}", "{/}"]),
    ("for f in {} {/}; do\n  printf '%s\\0' \"$f\" {}\ndone", &["{}", "{}", "{/}", "{}"]),
    ("case {} in a) ;; ({}) printf '%s\\0' {};; esac", &["{}"]),
    ("if [ {} = {} ] && [ -n {} ]; then printf '%s\\0' {}; fi", &["{}"]),
    ("{ printf '%s\\0' {}; } 2>&1; (printf '%s\\0' {/})", &["{}", "{/}"]),
    ("set -eu; set -- {} {/}; printf '%s\\0' \"$@\"", &["{}", "{/}"]),
    ("p={/}; f() { printf '%s\\0' \"$p\" \"$1\"; }; f x", &["{/}", "x"]),
    ("printf '%s\\0' '{{}}' \"{{/}}\" {{index}} \\{} {}", &["{{}}", "{{/}}", "{{index}}", "{{}}", "{}"]),
    ("printf '%s\\0' \\\n  {} # don't \" ` $( {}\nprintf '%s\\0' {/}", &["{}", "{/}"]),
    (
        "printf '%s\\0' {} {/}; cat >/dev/null <<E\n$1 `echo {{}}` \" '\nE\nprintf '%s\\0' \"$1\"",
        &["{}", "{/}", "{}"],
    ),
    ("b={/}\ncat >/dev/null <<'E'\n$(touch pwned) ` \" '\nE\nprintf '%s\\0' \"$1\" \"$b\"", &["{}", "{/}"]),
    ("printf '%s\\0' {} && cat <<-E && printf '\\0'\n\t$1.\n\tE\n", &["{}", "{}.\n"]),
    ("p={}; x=$(cat <<E\n) \" '\nE\n); printf '%s\\0' \"$x\" \"$p\"", &[") \" '", "{}"]),
    (
        "printf '%s\\0' {}; x=$(case a in (a) echo b;; esac) y=`echo '\\'`; printf '%s\\0' \"$x\"",
        &["{}", "b"],
    ),
    ("printf '%s\\0' `echo \"a\"` $((1 + (2 * 3))) \"${x:-a}\" {}", &["a", "7", "a", "{}"]),
    ("mkdir d && printf '%s\\0' {} > d/{replica}.{index}; cat d/*", &["{}"]),
    ("printf a > ./{/.}.txt; [ -f ./{/.}.txt ] && [ -s ./{/.}.txt ] && printf '%s\\0' {/.}", &["{/.}"]),
    ("printf '%s\\0' {} >&2; printf '%s\\0' {/} 3>&1", &["{/}"]),
];

/// Scripts with a placeholder where none can stand, each with what is written instead, as its error says.
const REWRITTEN: [(&str, &str, &[&str]); 9] = [
    ("printf '%s\\0' \"$(printf '%s.' {})\"", "printf '%s\\0' \"$(printf '%s.' \"$1\")\"", &["{}."]),
    (
        "x=$(printf '%s.' {}); printf '%s\\0' \"$x\"",
        "x=$(printf '%s.' \"$1\"); printf '%s\\0' \"$x\"",
        &["{}."],
    ),
    (
        "x=$(printf '%s.' {/}); printf '%s\\0' \"$x\"",
        "b={/}; x=$(printf '%s.' \"$b\"); printf '%s\\0' \"$x\"",
        &["{/}."],
    ),
    (
        "x=`printf '%s.' {}`; printf '%s\\0' \"$x\"",
        "x=`printf '%s.' \"$1\"`; printf '%s\\0' \"$x\"",
        &["{}."],
    ),
    ("printf '%s\\0' \"a {}\"", "printf '%s\\0' \"a $1\"", &["a {}"]),
    ("printf '%s\\0' \"${x:-{}}\"", "printf '%s\\0' \"${x:-\"$1\"}\"", &["{}"]),
    ("printf '%s\\0' $(({index} + 1))", "b={index}; printf '%s\\0' $((b + 1))", &["42"]),
    ("cat <<E\n{}\nE\nprintf '\\0'", "cat <<E\n$1\nE\nprintf '\\0'", &["{}\n"]),
    (
        "cat <<E | cat > {/}\na\nE\nprintf '%s\\0' {}",
        "cat <<E > /dev/null\na\nE\nprintf '%s\\0' \"$1\"",
        &["{}"],
    ),
];

/// A shell that may be somewhere's /bin/sh.
struct Shell {
    name: &'static str,
    program: PathBuf,
    options: &'static [&'static str],
}

/// The shells of this machine. In CI, dash and bash must be there.
fn shells() -> Vec<Shell> {
    let known: [(&str, &[&str]); 3] = [("dash", &[]), ("bash", &["--posix"]), ("busybox", &["sh"])];
    let mut shells = Vec::new();
    for (name, options) in known {
        match find_program(name) {
            Some(program) => shells.push(Shell { name, program, options }),
            None if name != "busybox" && std::env::var_os("CI").is_some() => {
                panic!("{name} is not installed")
            }
            None => eprintln!("skipped for {name}: it is not installed"),
        }
    }
    shells
}

fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&usual_path()).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Products with and without a name.
fn outs() -> Vocabulary {
    Vocabulary::new([None, Some("cat".to_owned())])
}

/// Where to write them.
static OUTS: LazyLock<[PathBuf; 2]> =
    LazyLock::new(|| ["/o/a  '\" $(>pwned) `>pwned`; ${1} *\n#<<E", "-n"].map(PathBuf::from));

fn place<'a>(path: &'a [u8], rel: &'a [u8]) -> TaskPlace<'a> {
    TaskPlace {
        path: OsStr::from_bytes(path),
        rel: OsStr::from_bytes(rel),
        index: 41,
        slot: 3,
        replica: 7,
        outs: &*OUTS,
        row: None,
    }
}

/// Runs a rendered `/bin/sh -c ...` with this shell in its place.
fn run(shell: &Shell, argv: &[OsString], dir: &Path, path_variable: &OsStr) -> Output {
    assert_eq!(argv[..2], ["/bin/sh", "-c"]);
    // A generated script that goes astray is stopped: files end at 1 MiB, processes after 10 s of work.
    Command::new("/bin/sh")
        .args(["-c", "ulimit -f 2048 && ulimit -t 10 && exec \"$@\"", "sh"])
        .arg(&shell.program)
        .args(shell.options)
        .args(&argv[1..])
        .current_dir(dir)
        .env_clear()
        .env("PATH", path_variable)
        .env("HOME", "/nowhere")
        .output_in_time()
        .unwrap()
}

fn usual_path() -> OsString {
    std::env::var_os("PATH").unwrap()
}

/// What a table's script is to write for a task.
fn expected(words: &[&str], place: &TaskPlace) -> Vec<u8> {
    // The last word is there so that the path is not appended.
    let argv: Vec<OsString> = ["x"].iter().chain(words).chain(&["{}"]).map(OsString::from).collect();
    let rendered = Template::from_argv(&argv, &outs()).unwrap().render(place);
    rendered[1..argv.len() - 1].iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect()
}

fn assert_arrives(shell: &Shell, script: &str, words: &[&str], path: &[u8], rel: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("decoy"), "").unwrap();
    let template =
        Template::from_shell(OsStr::new(script), &outs()).unwrap_or_else(|error| panic!("{script}\n{error}"));
    let place = place(path, rel);
    let output = run(shell, &template.render(&place), dir.path(), &usual_path());
    let context = format!(
        "{} on {script}\npath {}\nstderr {}",
        shell.name,
        path.escape_ascii(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    assert_eq!(text(&output.stdout), text(&expected(words, &place)), "{context}");
    assert!(output.status.success(), "{context}");
    assert!(!dir.path().join("pwned").exists(), "a name was run: {context}");
}

#[test]
fn the_worst_name_arrives_byte_for_byte_in_every_script() {
    let name = worst_name();
    let path = [b"/data/".as_slice(), &name, b".fits.gz"].concat();
    for shell in &shells() {
        for (script, words) in SCRIPTS {
            assert_arrives(shell, script, words, &path, &name);
        }
    }
}

#[test]
fn a_placeholder_within_an_expansion_is_refused_and_what_the_error_says_works() {
    let name = worst_name();
    for (refused, written, words) in REWRITTEN {
        let error = Template::from_shell(OsStr::new(refused), &outs()).expect_err(refused).to_string();
        let advised = ["Write \"$1\" there", "at the beginning and \"$b\" there", "and $((b + 1)) there"];
        assert!(advised.iter().any(|advice| error.contains(advice)), "{refused}: {error}");
        for shell in &shells() {
            assert_arrives(shell, written, words, &name, &name);
        }
    }
}

#[test]
fn every_nasty_name_arrives_byte_for_byte() {
    for shell in &shells() {
        for name in NAMES {
            for (script, words) in [SCRIPTS[1], SCRIPTS[5], SCRIPTS[16]] {
                assert_arrives(shell, script, words, name, name);
            }
        }
    }
}

#[test]
fn a_quoted_line_runs_exactly_what_it_shows() {
    let worst = OsString::from_vec(worst_name());
    let trailing = OsString::from_vec(b"a\n\n".to_vec());
    let controls = OsString::from_vec((1..=255).collect());
    let argv = ["printf".into(), r"%s\0".into(), OsString::new(), worst, trailing, controls, "a=b".into()];
    let line = OsString::from_vec(shell_quote(&argv));
    let written: Vec<u8> = argv[2..].iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
    for shell in &shells() {
        let dir = tempfile::tempdir().unwrap();
        let output = run(shell, &["/bin/sh".into(), "-c".into(), line.clone()], dir.path(), &usual_path());
        assert_eq!(OsStr::from_bytes(&output.stdout), OsStr::from_bytes(&written), "{}", shell.name);
    }
}

/// A word of a generated command. What is in quotes, comments and here-documents looks like what would end them.
fn word() -> impl Strategy<Value = String> {
    const LITERALS: [&str; 25] = [
        "{}",
        "{/}",
        "{.}x{}",
        "{{}}",
        "a",
        "'q # {{}} \" $( '",
        "\"d ' # ) $1\"",
        "\\\"",
        "\\{}",
        "\\'",
        "\\\\{}",
        "a#b",
        "$1",
        "$#",
        "${1%b}",
        "\"${1%b}\"",
        "${9:-c}",
        "${9-c/d}x",
        "`echo b`",
        "\"`echo \"a ; $1\"`\"",
        "$(( (1+2)*3 ))",
        "=",
        "]",
        "\\\n",
        "b{}'c'\"d\"",
    ];
    proptest::sample::select(&LITERALS[..]).prop_map(str::to_owned)
}

/// The script with `$1` for its placeholders, for where none can stand.
fn without_tokens(script: &str) -> String {
    let without = |text: &str| {
        ["{}", "{/}", "{.}"].iter().fold(text.to_owned(), |text, token| text.replace(token, "$1"))
    };
    script.split("{{}}").map(without).collect::<Vec<_>>().join("{{}}")
}

/// Scripts that are valid, with placeholders mostly where they can stand.
fn script() -> impl Strategy<Value = String> {
    let command = proptest::collection::vec(word(), 1..4)
        .prop_map(|words| format!("printf '<%s>' {}", words.join(" ")));
    command.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            two.clone().prop_map(|(a, b)| format!("{a}; {b}")),
            two.clone().prop_map(|(a, b)| format!("{a}\n{b}")),
            two.clone().prop_map(|(a, b)| format!("{a} {{}} # it's ) \" {{}}\n{b}")),
            two.clone().prop_map(|(a, b)| format!("{a} $({})", without_tokens(&b))),
            two.clone().prop_map(|(a, b)| format!("{a} $({b})")),
            two.clone().prop_map(|(a, b)| format!("{a} \"x $({}) {{{{}}}}\"{{}}", without_tokens(&b))),
            two.clone().prop_map(|(a, b)| {
                format!("{a}; cat <<E\n$1 \" ' $(echo ')')\nE\n{}", without_tokens(&b))
            }),
            two.clone().prop_map(|(a, b)| {
                format!(
                    "cat {{}} <<-'E'\n$( ` \" ' \\\n\tE\n{}; : | {}",
                    without_tokens(&a),
                    without_tokens(&b)
                )
            }),
            two.clone().prop_map(|(a, b)| format!("if [ {{}} ]; then {a}; else {b}; fi")),
            two.clone().prop_map(|(a, b)| format!("case {{}} in x|y) {a};; ({{}}) {b};; esac")),
            two.prop_map(|(a, b)| format!("({a}) > {{/}}; {{ {b}; }}")),
            inner.clone().prop_map(|a| format!("for i in a {{}}; do {a}; done")),
            inner.prop_map(|a| format!("x=$({}); printf '<%s>' \"$x\"{{}}", without_tokens(&a))),
        ]
    })
}

/// What is put into a valid script at any place, to see whether the lexer loses its way with the shell.
const NOISE: [&str; 50] = [
    "'",
    "\"",
    "`",
    "\\",
    "\\\n",
    "\n",
    " ",
    ";",
    "#",
    " #",
    "$",
    "$(",
    "$((",
    "${",
    "${x:-",
    "${x%",
    "$'",
    "$[",
    "$\"",
    "(",
    ")",
    "((",
    "))",
    "}",
    "{",
    " { ",
    "{}",
    "{/}",
    "{{}}",
    "<<E ",
    "<<-E\n",
    "<<'E'\n",
    "<<\\E",
    "<<",
    "<<<",
    "\nE\n",
    "E",
    "> ",
    "<",
    "!",
    " case a in ",
    " a) ",
    ";; esac ",
    "=",
    "x=(",
    "\"${1%\"b\"}\"",
    "${9:-'c d'}",
    "`echo \"a )\"`",
    "`",
    "a[",
];

fn noisy_script() -> impl Strategy<Value = String> {
    let noise = (any::<proptest::sample::Index>(), proptest::sample::select(&NOISE[..]));
    (script(), proptest::collection::vec(noise, 0..4)).prop_map(|(mut script, noise)| {
        for (at, piece) in noise {
            let at = at.index(script.len() + 1);
            if script.is_char_boundary(at) {
                script.insert_str(at, piece);
            }
        }
        script
    })
}

/// The script with each parameter of ours replaced by its value in single quotes. Where the parameter is outside of
/// all quotes, and only there, the two mean the same.
fn with_literals(argv: &[OsString]) -> Vec<OsString> {
    let mut script = argv[2].as_bytes().to_vec();
    for (place, value) in argv[4..].iter().enumerate().rev() {
        let quoted =
            value.as_bytes().split(|byte| *byte == b'\'').collect::<Vec<_>>().join(br"'\''".as_slice());
        let parameter = format!("\"${{{}}}\"", place + 1);
        let literal = [b"'".as_slice(), &quoted, b"'"].concat();
        script = split_at_all(&script, parameter.as_bytes()).join(literal.as_slice());
    }
    let mut argv = argv.to_vec();
    argv[2] = OsString::from_vec(script);
    argv
}

fn split_at_all<'a>(mut text: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = text.windows(separator.len()).position(|window| window == separator) {
        parts.push(&text[..at]);
        text = &text[at + separator.len()..];
    }
    parts.push(text);
    parts
}

/// What a run left: its output, exit code, and files with their contents.
type Left = (OsString, Option<i32>, Vec<(OsString, Vec<u8>)>);

fn run_in_new_directory(shell: &Shell, argv: &[OsString], programs: &Path) -> Left {
    let dir = tempfile::tempdir().unwrap();
    let output = run(shell, argv, dir.path(), programs.as_os_str());
    let mut files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap_or_default()))
        .collect();
    files.sort();
    (OsString::from_vec(output.stdout), output.status.code(), files)
}

/// A directory with nothing but these programs, so that a script that goes astray can do no harm.
fn only(programs: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for program in programs {
        symlink(find_program(program).unwrap(), dir.path().join(program)).unwrap();
    }
    dir
}

fn cases(usual: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_global_rejects: 1 << 20,
        ..ProptestConfig::default()
    }
}

#[test]
fn an_accepted_script_treats_a_parameter_as_it_would_a_quoted_literal() {
    // In a directory that does not exist, so that no command reads what another one is writing.
    const PATH: &[u8] = b"none/a  * ' \" $(>pwned) `>pwned`; >pwned; {} ${1} \\ \n#<<E\n";
    let programs = only(&["cat"]);
    proptest!(cases(60), |(script in noisy_script())| {
        // With a backslash at the very end, bash may look for more.
        prop_assume!(!script.ends_with('\\'));
        let Ok(template) = Template::from_shell(OsStr::new(&script), &outs()) else { return Err(TestCaseError::reject("refused")) };
        let argv = template.render(&place(PATH, PATH));
        // The number of the process differs from run to run.
        prop_assume!(!argv[2].to_string_lossy().contains("$$"));
        for shell in &shells() {
            let left = run_in_new_directory(shell, &argv, programs.path());
            let literally = run_in_new_directory(shell, &with_literals(&argv), programs.path());
            prop_assert_eq!(&left, &literally, "{} on {}\nwhich became {:?}", shell.name, script, &argv[2]);
            prop_assert!(left.2.iter().all(|(name, _)| name != "pwned"), "{} on {}", shell.name, script);
        }
    });
}

/// Commands that might read an operand as code: as commands, as arithmetic or as the name of a variable. Each must be
/// refused or harmless.
const READERS: [&str; 100] = [
    "{}",
    "exec {}",
    "command {}",
    "eval {}",
    "command eval echo {}",
    "builtin eval {}",
    "! \\eval {}",
    "time eval {}",
    "x=1 >f eval {}",
    "eval &>f {}",
    "if eval {}; then :; fi",
    "case a in a) eval {};; esac",
    "eval \"$(printf %s {})\"",
    "eval <(:) {}",
    "$x eval {}",
    "SHELL=sh; $SHELL -c {}",
    "SHELL=bash; \"${SHELL}\" -ec {}",
    "bash -oo errexit nounset -c {}",
    "bash -coo errexit nounset {}",
    "BASH_ENV={} bash -c :",
    "ENV={} sh -ic :",
    "trap {} EXIT",
    "alias a={}\na",
    "set -x; PS4={}; :",
    "PS4={} eval 'set -x; :'",
    "sh -c {}",
    "env -i sh -ec {}",
    "command sh -o errexit -c {}",
    "bash --rcfile f -c {}",
    "sh -c -- {}",
    "sh -c x={}",
    "printf 'a' | xargs sh -c {}",
    "sh -{}",
    "sh {}",
    "sh -c ': \"$1\"' sh {}",
    "let {}",
    "let a={}",
    "[[ {} -eq 1 ]]",
    "[[ -v {} ]]",
    "[[ a =~ {} ]]",
    "[[ 1 -eq 1 && {} -eq 1 ]]",
    "[[ ( {} -eq 1 ) ]]",
    "((a = {}))",
    "echo $[{}]",
    "a[1 + {}]=2",
    "a[b[1] + {}]=2",
    "a[${x%]} + {}]=2",
    "a[\"]\" + {}]=2",
    "a=([{}]=2)",
    "a=([1 + {}]=2)",
    "[ {} -eq 1 ]",
    "[ -v {} ]",
    "[ ! -v {} ]",
    "test -v {}",
    "test -R {}",
    "[ -t {} ]",
    "x=1; unset {}",
    "unset -v {}",
    "read {} < /dev/null",
    "read a {} <<E\n1\nE",
    "export {}",
    "export {}=1",
    "export a={}",
    "readonly {}=1",
    "readonly a={}",
    "printf -v {} a",
    "printf -v{} a",
    "printf %d {}",
    "printf {} a",
    "declare {}=1",
    "declare -i a={}",
    "typeset {}=1",
    "local {}",
    "getopts a {} -a",
    "mapfile {} < /dev/null",
    "mapfile -c 1 -C {} a <<E\n1\nE",
    "coproc : ; wait -n -p {}",
    "coproc eval {}",
    "a[{}]=2",
    "a[{}]=2 :",
    "export a[{}]=2",
    "exec {a[{}]}>f",
    "RANDOM={}",
    "SECONDS={}",
    "OPTIND={}",
    "export OPTIND={}",
    "HISTCMD={}",
    "LINENO={}",
    "complete -W {} a; compgen -W {}",
    "hash -p {} a",
    "exit {}",
    "shift {}",
    "umask {}",
    "ulimit -n {}",
    "kill -0 {}",
    ": >&{}",
    ": <&{}",
    ": 2>& {}",
    ": &>{}",
    ": >| {} <<< {} 3<> {} >> {}",
];

#[test]
fn no_command_of_the_shell_runs_a_name() {
    const NAMES: [&[u8]; 3] = [b"x[$(>pwned)]", b"$(>pwned)", b";>pwned;"];
    let programs = only(&["cat", "sh", "bash", "env", "xargs"]);
    for reader in READERS {
        let Ok(template) = Template::from_shell(OsStr::new(reader), &outs()) else { continue };
        for (shell, name) in shells().iter().flat_map(|shell| NAMES.map(|name| (shell, name))) {
            let (_, _, files) =
                run_in_new_directory(shell, &template.render(&place(name, name)), programs.path());
            assert!(
                files.iter().all(|(name, _)| name != "pwned"),
                "{} runs the name on {reader}",
                shell.name
            );
        }
    }
}
