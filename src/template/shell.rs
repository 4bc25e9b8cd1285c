//! `--shell`: a template with a constant script. Names reach the shell only as positional parameters, so that no
//! name is ever shell text.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use shlex::bytes::Shlex;

use super::argv::{ArgvWord, Template};
use super::error::TemplateError;
use super::lexer::{self, Lexed};
use super::placeholder::{Token, Vocabulary};

impl Template {
    /// Reads a shell command line; the template is `/bin/sh -c SCRIPT sh PATH [OTHERS...]`.
    ///
    /// - `$1` is always the path. A placeholder outside of quotes becomes `"${1}"`, and other tokens than `{}` the
    ///   parameters that follow, in the order of their first use. Nothing is appended.
    /// - A doubled placeholder is its text, `\{}` is the text `{}` because the shell reads it so, and comments stay as
    ///   they are.
    /// - A placeholder in quotes, `$(...)`, backticks, `${...}` or `$((...))` is an error, as is one after `<<` or after
    ///   something that not all shells read alike, and one that is plainly read as code: an operand of `eval`, `trap` or
    ///   `alias`, the script of `sh -c`, a name for `read`. What goes through a variable first (`p={}; eval "$p"`), or
    ///   into another program's language (awk, Python), can't be seen here: hand names over as arguments. `find -exec`
    ///   and `xargs -I` have a `{}` of their own: `{{}}`.
    /// - A placeholder after a function definition, `shift` or `set --` is an error, since `$1` may be another there.
    /// - A script without placeholders is passed on, whatever it is.
    ///
    /// # Errors
    /// The above; a script that is blank, has a NUL byte, or placeholders and something that is never closed; a product that
    /// is not declared.
    pub fn from_shell(script: &OsStr, names: &Vocabulary) -> Result<Template, TemplateError> {
        read(script, names, ArgvWord::from(Token::Path))
    }

    /// Reads the shell command line of a worker, which is started before it is given files: `$1` is empty.
    ///
    /// # Errors
    /// Those of [`Template::from_shell`]; a placeholder that stands for something of a file.
    pub fn of_worker_in_shell(script: &OsStr, names: &Vocabulary) -> Result<Template, TemplateError> {
        let template = read(script, names, ArgvWord::Literal(OsString::new()))?;
        match template.tokens.iter().flatten().find(|token| token.is_of_a_file()) {
            Some(token) => Err(TemplateError::FileOfWorker { token: names.written(*token) }),
            None => Ok(template),
        }
    }
}

fn read(script: &OsStr, names: &Vocabulary, path: ArgvWord) -> Result<Template, TemplateError> {
    let source = script.as_bytes();
    if source.contains(&0) {
        return Err(TemplateError::NulInScript);
    }
    if source.iter().all(u8::is_ascii_whitespace) {
        return Err(TemplateError::EmptyScript);
    }
    names.check(source)?;
    let Lexed { mut script, others, tokens } = lexer::lex(source, names)?;
    tokens.iter().flatten().try_for_each(|token| names.check_token(*token))?;
    if matches!(script.first(), Some(b'-' | b'+')) {
        // Else the shell would take it for an option.
        script.insert(0, b' ');
    }
    let literal = |text: &str| ArgvWord::Literal(OsString::from(text));
    let mut argv = vec![literal("/bin/sh"), literal("-c"), ArgvWord::Literal(OsString::from_vec(script))];
    argv.extend([literal("sh"), path]);
    argv.extend(others.into_iter().map(ArgvWord::from));
    Ok(Template { argv, tokens, literal: literals_in(source, names) })
}

/// The words of a script as far as they say by themselves what they are, such as the names of files.
fn literals_in(script: &[u8], names: &Vocabulary) -> Vec<OsString> {
    let mut words = Vec::new();
    for word in Shlex::new(script) {
        let parts = word.split(|byte| b";|&()<>\n".contains(byte));
        let plain = parts.filter(|part| !part.is_empty() && !part.iter().any(|byte| b"$`".contains(byte)));
        let parsed = plain.map(|part| ArgvWord::parse(part, names));
        words.extend(parsed.filter_map(|word| word.literal().map(OsStr::to_os_string)));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::TaskPlace;
    use crate::template::error::{At, TokenPlace};

    fn script(source: &str) -> String {
        let place = TaskPlace {
            path: OsStr::new("p"),
            rel: OsStr::new("r"),
            index: 0,
            slot: 1,
            replica: 1,
            outs: &[],
            row: None,
        };
        let argv = Template::from_shell(OsStr::new(source), &Vocabulary::default())
            .unwrap_or_else(|e| panic!("{source:?}: {e}"))
            .render(&place);
        argv[2].to_str().unwrap().to_owned()
    }

    fn error(source: &str) -> TemplateError {
        Template::from_shell(OsStr::new(source), &Vocabulary::default()).expect_err(source)
    }

    #[test]
    fn a_workers_script_gets_no_path_and_what_is_of_a_file_is_refused() {
        let of_worker =
            |script: &str| Template::of_worker_in_shell(OsStr::new(script), &Vocabulary::default());
        let place = TaskPlace {
            path: OsStr::new("p"),
            rel: OsStr::new("r"),
            index: 0,
            slot: 3,
            replica: 1,
            outs: &[],
            row: None,
        };
        let argv = of_worker("exec w {slot}").unwrap().render(&place);
        assert_eq!(argv[2..], ["exec w \"${2}\"", "sh", "", "3"]);
        for script in ["w {}", "w {/}", "w {index}", "w --log=$LOGS/{/.}.log", "w {/.};# it's"] {
            assert!(matches!(of_worker(script), Err(TemplateError::FileOfWorker { .. })), "{script}");
        }
    }

    #[test]
    fn a_placeholder_outside_of_quotes_is_a_quoted_parameter() {
        for (source, expected) in [
            ("wc -c {}", r#"wc -c "${1}""#),
            ("{} -x", r#""${1}" -x"#),
            ("f {/} {index} {/} {}", r#"f "${2}" "${3}" "${2}" "${1}""#),
            ("f a{}b{/}.txt > {/.}.log", r#"f a"${1}"b"${2}".txt > "${3}".log"#),
            ("x=$(f \"$1\"); g {}", r#"x=$(f "$1"); g "${1}""#),
            (r#"g "a $(f "$(h a)" (b) '"') b" '$(' {}"#, r#"g "a $(f "$(h a)" (b) '"') b" '$(' "${1}""#),
            ("x=$( (f)# it's )\n); g {}", "x=$( (f)# it's )\n); g \"${1}\""),
            ("x=$(f # it's )\n); g {}", "x=$(f # it's )\n); g \"${1}\""),
            ("p={}; (f {}) | { g {}; }", r#"p="${1}"; (f "${1}") | { g "${1}"; }"#),
            (
                "case {} in (a) f {};; b) g;; {}) h;; esac",
                r#"case "${1}" in (a) f "${1}";; b) g;; "${1}") h;; esac"#,
            ),
            ("for f in {}; do g \"$f\"; done", "for f in \"${1}\"; do g \"$f\"; done"),
            ("f '{{}}' \"{{/}}\" {{:}} {{{}", "f '{}' \"{/}\" {:} {{\"${1}\""),
            (r"f \{} \\{} \'{}\'", r#"f \{} \\"${1}" \'"${1}"\'"#),
            ("f {} # don't {} it\ng {}", "f \"${1}\" # don't {} it\ng \"${1}\""),
            ("f a#{} $#{} ${#x} {}", r#"f a#"${1}" $#"${1}" ${#x} "${1}""#),
            ("f \"${x:-a}\" ${y%.fits} ${1##*/} {}", "f \"${x:-a}\" ${y%.fits} ${1##*/} \"${1}\""),
            ("f $(( (1+2) * $x )) `date +%s` {}", "f $(( (1+2) * $x )) `date +%s` \"${1}\""),
            ("f \"`g \"a b\"`\" {}", "f \"`g \"a b\"`\" \"${1}\""),
            ("f \\\n  {}", "f \\\n  \"${1}\""),
            ("f {} <<E\nit's $1 \"\nE\ng", "f \"${1}\" <<E\nit's $1 \"\nE\ng"),
            ("f {} $'a\\'b' `g '\\`'`", "f \"${1}\" $'a\\'b' `g '\\`'`"),
            ("p={}; while f; do shift; done", "p=\"${1}\"; while f; do shift; done"),
            ("cat part[0-9].txt x[!a] > all; f {}[1]", "cat part[0-9].txt x[!a] > all; f \"${1}\"[1]"),
            ("grep function {}; f for {} while", "grep function \"${1}\"; f for \"${1}\" while"),
            ("a[1]={}; grep 'NAXIS[12]' {}", "a[1]=\"${1}\"; grep 'NAXIS[12]' \"${1}\""),
            ("trap 'rm x' EXIT; eval \"$(f)\"; g {}", "trap 'rm x' EXIT; eval \"$(f)\"; g \"${1}\""),
            ("bash -euo pipefail -c 'f \"$1\"' bash {}", "bash -euo pipefail -c 'f \"$1\"' bash \"${1}\""),
            ("f >&2; f 10>&11|g <&-;f <&3>&- {}", "f >&2; f 10>&11|g <&-;f <&3>&- \"${1}\""),
            (
                "for b in g r; do an.py {} $b; done; cat > x <<E\ndataset 1, redshift, offset 2\nE",
                "for b in g r; do an.py \"${1}\" $b; done; cat > x <<E\ndataset 1, redshift, offset 2\nE",
            ),
            ("f 2>&1 >{} <{} >>{}", "f 2>&1 >\"${1}\" <\"${1}\" >>\"${1}\""),
            ("set -eu -o pipefail; f {}", "set -eu -o pipefail; f \"${1}\""),
            (
                "while read -r x; do f {} \"$x\"; done < list",
                "while read -r x; do f \"${1}\" \"$x\"; done < list",
            ),
            ("p={}; f() { g \"$p\"; }; f", "p=\"${1}\"; f() { g \"$p\"; }; f"),
            ("set -- {}; f \"$@\"", "set -- \"${1}\"; f \"$@\""),
            ("sh -c 'f \"$1\"' sh {}", "sh -c 'f \"$1\"' sh \"${1}\""),
            (
                "find {} -exec sh -c 'f \"$1\"' sh '{{}}' \\;",
                "find \"${1}\" -exec sh -c 'f \"$1\"' sh '{}' \\;",
            ),
            ("sh run.sh -c {}; bash {}", "sh run.sh -c \"${1}\"; bash \"${1}\""),
            ("export p={}; echo eval {}", "export p=\"${1}\"; echo eval \"${1}\""),
            ("f ${{index}} {}", "f ${index} \"${1}\""),
            ("-x {}", " -x \"${1}\""),
        ] {
            assert_eq!(script(source), expected, "{source:?}");
        }
    }

    #[test]
    fn scripts_without_placeholders_are_passed_on() {
        for source in [
            "f \"$1\"",
            "f $'a\\'b'",
            "x=$(case $1 in a) echo b;; esac); f \"$x\"",
            "f() { shift; g \"$@\"; }; f x \"$1\"",
            "[[ $1 == *.fits ]] && (( x = 1 << 2 ))",
            "a=(1 2 '3)'); f \"${a[@]}\"",
            "eval \"$1\"",
            "f \"${1%\"${1##*/}\"}\"",
            "f 'a",
            "f <<E\n$(g \"\nE",
            "f $'a\\' # $1",
            "f `g '\\`'`; (h",
        ] {
            assert_eq!(script(source), source);
        }
    }

    #[test]
    fn the_path_is_always_the_first_parameter() {
        let place = TaskPlace {
            path: OsStr::new("/d/a.fits"),
            rel: OsStr::new("a.fits"),
            index: 4,
            slot: 1,
            replica: 2,
            outs: &[],
            row: None,
        };
        let template =
            Template::from_shell(OsStr::new("f {/.} {index} {/.}"), &Vocabulary::default()).unwrap();
        let argv = template.render(&place);
        assert_eq!(argv[..2], ["/bin/sh", "-c"]);
        assert_eq!(argv[3..], ["sh", "/d/a.fits", "a", "4"]);
        assert_eq!(template.program(), Some(OsStr::new("/bin/sh")));
    }

    #[test]
    fn words_of_the_script_are_listed_without_quotes() {
        let source = "python3 'my script.py' --cfg=\"a.toml\" {} < in.txt; f $x \"b$x\" g.sh|h";
        let template = Template::from_shell(OsStr::new(source), &Vocabulary::default()).unwrap();
        let words = ["python3", "my script.py", "--cfg=a.toml", "in.txt", "f", "g.sh", "h"];
        assert_eq!(template.words(), words);
    }

    fn place(source: &str) -> TokenPlace {
        match error(source) {
            TemplateError::Misplaced { place, .. } => place,
            other => panic!("{source:?}: {other}"),
        }
    }

    #[test]
    fn a_placeholder_in_quotes_or_expansions_is_an_error() {
        for (source, expected) in [
            ("f 'a {}'", TokenPlace::SingleQuotes),
            ("f \"a {}\"", TokenPlace::DoubleQuotes),
            ("f \"$(g \"{}\")\"", TokenPlace::DoubleQuotes),
            ("f $(g {})", TokenPlace::Substitution),
            ("f \"a $(g (h) {})\"", TokenPlace::Substitution),
            ("f `g {}`", TokenPlace::Backticks),
            ("f \"`g {}`\"", TokenPlace::Backticks),
            ("f ${x:-{}}", TokenPlace::Parameter),
            ("f $(( {index} + 1 ))", TokenPlace::Arithmetic),
            ("f $(( (1 + {index}) ))", TokenPlace::Arithmetic),
        ] {
            assert_eq!(place(source), expected, "{source:?}");
        }
    }

    #[test]
    fn a_placeholder_after_a_here_document_began_is_an_error() {
        for source in [
            "f <<E\n{}\nE\n",
            "f <<'E'\nd = {}\nE\n",
            "f <<E\n$(g {})\nE\n",
            "f <<{}\n{}\n",
            "f <<-E | g {}\nE\n",
            "f <<E\na\nE\ng {}",
            "f <<E\n# {}\nE\n",
            "f $(g <<E\n{}\nE\n)",
            "f <<< {}",
        ] {
            assert_eq!(place(source), TokenPlace::HereDocument, "{source:?}");
        }
    }

    #[test]
    fn an_error_says_where_and_what_to_write() {
        let found = error("f {}\necho \"é {/}\"");
        let at = At { line: 2, column: 9, piece: "echo \"é {/}".to_owned() };
        let place = TokenPlace::DoubleQuotes;
        assert_eq!(found, TemplateError::Misplaced { token: "{/}".to_owned(), place, at });
        insta::assert_snapshot!(found, @r#"{/} can't be used inside double quotes (line 2, column 9 of the shell command: echo "é {/}). Write b={/} at the beginning and "$b" there; within these quotes $b is enough. The text {/} is written {{/}}"#);
        insta::assert_snapshot!(error("echo \"file {}\""), @r#"{} can't be used inside double quotes (line 1, column 12 of the shell command: echo "file {}). Write "$1" there; within these quotes $1 is enough. The text {} is written {{}}"#);
        insta::assert_snapshot!(error("awk '/{}/'"), @r#"{} can't be used inside single quotes (line 1, column 7 of the shell command: awk '/{}). Write "$1" there, outside of the quotes; a program in the quotes takes it as an argument after them: sh -c '... "$1" ...' sh {}. The text {} is written {{}}"#);
        insta::assert_snapshot!(error("b=$(basename {} .fits)"), @r#"{} can't be used inside $(...) (line 1, column 14 of the shell command: b=$(basename {}). Write "$1" there. The text {} is written {{}}"#);
        insta::assert_snapshot!(error("b=`basename {/}`"), @r#"{/} can't be used inside backticks (line 1, column 13 of the shell command: b=`basename {/}). Write b={/} at the beginning and "$b" there. The text {/} is written {{/}}"#);
        insta::assert_snapshot!(error("cat <<E\n{}\nE"), @r#"{} can't be used after << (line 2, column 1 of the shell command: {}). Write "$1" there; $1 is enough in the text, if its end word has no quotes. The text {} is written {{}}"#);
        insta::assert_snapshot!(error("echo ${index}"), @r#"{index} can't be used right after a $ (line 1, column 7 of the shell command: echo ${index}). Write {index} without the $; a variable is written $name. The text {index} is written {{index}}"#);
        insta::assert_snapshot!(error("sh -c {}"), @r#"{} can't be used as the script of sh (line 1, column 7 of the shell command: sh -c {}). A file's name could run commands. Pass it as an argument: sh -c '... "$1" ...' sh {}. The text {} is written {{}}"#);
        insta::assert_snapshot!(error("f() { g {}; }"), @r#"{} can't be used where $1 may have another value, because of a function definition (line 1, column 9 of the shell command: f() { g {}). Write p={} at the beginning and "$p" there. The text {} is written {{}}"#);
        insta::assert_snapshot!(error("echo {} 'a"), @r#"the shell command ends inside single quotes (line 1, column 9 of the shell command: echo {} 'a). Quotes do not survive a launch such as `canfar create`: if that took them away, put the command into a job file (shell = '...')"#);
        insta::assert_snapshot!(error("echo $'a' {}"), @r#"{} can't be used after something that shells may interpret differently (line 1, column 6 of the shell command: echo $'). Write "$1" there. The text {} is written {{}}"#);
    }

    #[test]
    fn a_placeholder_after_a_dollar_sign_is_an_error() {
        for source in ["f ${}", "f \"${/}\"", "f $(g ${index})", "f ${slot}"] {
            assert_eq!(place(source), TokenPlace::Dollar, "{source:?}");
        }
    }

    #[test]
    fn what_is_never_closed_is_an_error_in_a_script_with_placeholders() {
        for (source, expected) in [
            ("f {} 'a", TokenPlace::SingleQuotes),
            ("f {} \"a", TokenPlace::DoubleQuotes),
            ("f {} `a", TokenPlace::Backticks),
            ("f {} $(a", TokenPlace::Substitution),
            ("f {} ${a", TokenPlace::Parameter),
            ("f {} $((1 + 2", TokenPlace::Arithmetic),
        ] {
            match error(source) {
                TemplateError::Unterminated { place, .. } => {
                    assert_eq!(place, expected, "{source:?}");
                }
                other => panic!("{source:?}: {other}"),
            }
        }
    }

    #[test]
    fn a_placeholder_that_is_plainly_read_as_code_is_an_error() {
        for source in [
            "eval echo {}",
            "x=1 command -p eval {}",
            "if true; then \\eval {}; fi",
            "trap {} EXIT",
            "alias a={}",
            "sh -c {}",
            "nice /bin/bash -o pipefail -ec {}",
            "find . -exec sh -c {} \\;",
            "f | xargs sh -c a{}b sh",
            "let {}",
            "[[ {} -eq 1 ]]",
            "[ -v {} ]",
            "printf -v {} a",
            "read {}",
            "export {}",
            "unset {}",
            "a[{}]=1",
            "exec {a[{}]}>f",
            "f >&{}",
            "RANDOM={}",
            "PS4={} f",
            "BASH_ENV={} bash run.sh",
            "$maybe eval {}",
            "$SHELL -c {}",
            "\"${SHELL}\" -c {}",
            "bash -oo a b -c {}",
            "bash -coo a b {}",
            "timeout 9 sh -c {}",
            "printf -v{} a",
            "a[1 + {}]=1",
            "a[b[1] + {}]=1",
            "a[${x%]} + {}]=1",
            "a[\"]\" + {}]=1",
            "a[$i]={}",
            "[[ a && {} -eq 1 ]]",
            "[[ a ]]; f {}",
            "((a = {}))",
            "f $[{} + 1]",
            "ssh host wc {}",
            "f >& all.log; g {}",
            "eval >&-{}",
            "eval >&1{}",
            "eval <&-\"\"{}",
            "f x[$i]; g {}",
            "f x[[:digit:]]; g {}",
        ] {
            let is_code = matches!(place(source), TokenPlace::Code(_) | TokenPlace::Script(_));
            assert!(is_code, "{source:?}: {}", error(source));
        }
        assert_eq!(place("sh -c {}"), TokenPlace::Script("sh"));
    }

    #[test]
    fn a_placeholder_where_the_parameters_may_have_changed_is_an_error() {
        for (source, expected) in [
            ("f() { g {}; }", "a function definition"),
            ("f () (g {})", "a function definition"),
            ("f ( ) { g {}; }", "a function definition"),
            ("f ( \\\n) { g {}; }", "a function definition"),
            ("function f { g {}; }", "a function definition"),
            ("shift; f {}", "`shift`"),
            ("\\shift; f {}", "`shift`"),
            ("set -- $x; f {}", "`set`"),
            ("set -e a; f {}", "`set`"),
            ("set -o $x; f {}", "`set`"),
            ("while true; do f {}; shift; done", "`shift`"),
            ("while true; do f {}; cat <<E\na\nE\nshift; done", "`shift` or `set`"),
            ("p={}; until f {}; do set -- $x; done", "`set`"),
        ] {
            assert_eq!(place(source), TokenPlace::Changed(expected), "{source:?}");
        }
    }

    #[test]
    fn a_placeholder_after_what_shells_read_differently_is_an_error() {
        for source in [
            "f $'a\\'b' {}",
            "f $'a\\' # {}",
            "f `g '\\`'` {}",
            "f `g # a\n` {}",
            "f `g 'a` '`' {}",
            "f `g \"`\" {}",
            "f `g ${x%`} {}",
            "f `g $(h` ) {}",
            "f $((g) | (h)) {}",
            "f $((1 + '2')) {}",
            "x=$(case a in a) f;; esac) {}",
            "a=(1 2); f {}",
            "f <(g) {}",
            "f \"${x:-'}'}\" {}",
            "f ${x:-{a} {}",
            "f ${x:-{{}}} {}",
            "f ${ g; } {}",
            "f <\\\n<E {}\n'\nE\n",
            "f $\\\n(g {})",
            "f \"$\\\n(g \" {}",
            "f $(\\\n(1) {}",
            "f $((1 << 2)) {}",
            "f `cat <<E` {}",
        ] {
            assert!(matches!(place(source), TokenPlace::Unclear), "{source:?}: {}", error(source));
        }
        let deep = "$(".repeat(100_000) + " {}";
        assert_eq!(place(&deep), TokenPlace::Substitution);
    }

    #[test]
    fn a_script_that_is_blank_or_has_a_nul_byte_is_an_error() {
        assert_eq!(error(" \n"), TemplateError::EmptyScript);
        assert_eq!(error("f \0"), TemplateError::NulInScript);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_to_its_end(source in r#"[ \n{}/'"`\\$()<>#;&=\-Ea1]{0,80}"#) {
            if let Ok(template) = Template::from_shell(OsStr::new(&source), &Vocabulary::default()) {
                let place = TaskPlace { path: OsStr::new("p"), rel: OsStr::new("r"), index: 0, slot: 1, replica: 1, outs: &[], row: None };
                let argv = template.render(&place);
                let parameters = (1..argv.len() - 3).filter(|n| argv[2].to_string_lossy().contains(&format!("\"${{{n}}}\"")));
                let unused_path = usize::from(!argv[2].to_string_lossy().contains("\"${1}\""));
                proptest::prop_assert_eq!(parameters.count() + unused_path, argv.len() - 4);
            }
        }
    }
}
