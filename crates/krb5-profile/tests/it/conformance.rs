//! Single files: what each line means.

use krb5_profile::{Child, ConfigError, FinalRule, MemoryFiles, Profile};

const RULES: [FinalRule; 2] = [FinalRule::Before1_22, FinalRule::Since1_22];

fn parse(text: &[u8], rule: FinalRule) -> Result<Profile, ConfigError> {
    Profile::parse("krb5.conf", text, rule)
}

/// The value of `f` in `[a]`, after the line.
#[test]
fn values() {
    for (line, expected) in [
        ("f=x=y", "x=y"),
        (" f = \"x\" y", "x"),
        (r#" f = "a\nb\tc\bd\\e\"g\q""#, "a\nb\tc\u{8}d\\e\"gq"),
        (" f = \"x y  ", "x y  "),
        (" f = x # y", "x # y"),
        (" f = { g = 1 }", "{ g = 1 }"),
        (" f = { # x", "{ # x"),
        (" f = {x", "{x"),
        (" f = \"\"", ""),
        ("f*g = 1", "1"),
        ("f = x \t\r\r", "x"),
        ("\u{b}f\u{c}=\ty", "y"),
    ] {
        for rule in RULES {
            for end in ["", "\n", "\r\n"] {
                let profile = parse(format!("[a]\n{line}{end}").as_bytes(), rule).unwrap();
                assert_eq!(profile.value(["a", "f"]), Some(expected.as_bytes()), "{line:?}");
            }
        }
    }
}

#[test]
fn mistakes_name_the_line() {
    type Expected = fn(&ConfigError) -> bool;
    let relation: Expected = |error| matches!(error, ConfigError::RelationSyntax(_));
    let section: Expected = |error| matches!(error, ConfigError::SectionSyntax(_));
    for (lines, line, code, expected) in [
        ("foo", 2, 15, relation),
        ("= foo", 2, 15, relation),
        (" f o = x", 2, 15, relation),
        ("{", 2, 15, relation),
        (" include /x", 2, 15, relation),
        ("module /x:y", 2, 15, relation),
        ("\n\n[x] y", 4, 14, section),
        ("[x]]", 2, 14, section),
        ("[x", 2, 14, section),
        ("[x] *", 2, 14, section),
        ("[x] # y", 2, 14, section),
        ("f = {\n[b]", 3, 13, |error| {
            matches!(error, ConfigError::SectionNotTop(_))
        }),
        ("}", 2, 16, |error| {
            matches!(error, ConfigError::ExtraClosingBrace(_))
        }),
        ("f =\n\n{", 3, 17, |error| {
            matches!(error, ConfigError::MissingOpeningBrace(_))
        }),
        ("f =\n# c\n{", 3, 17, |error| {
            matches!(error, ConfigError::MissingOpeningBrace(_))
        }),
    ] {
        for rule in RULES {
            let error = parse(format!("[a]\n{lines}\n").as_bytes(), rule).unwrap_err();
            assert!(expected(&error), "{lines:?}: {error:?}");
            assert_eq!(error.position().map(|at| at.line()), Some(line), "{lines:?}");
            assert_eq!(error.code(), Some(-1_429_577_728 + code), "{lines:?}");
            assert!(
                error.to_string().starts_with(&format!("krb5.conf:{line}: ")),
                "{error}"
            );
        }
    }
}

#[test]
fn subsections() {
    for (lines, present, absent) in [
        (" f =\n { g=1\n h=2\n }", ["f", "h"], Some(["f", "g"])),
        (" f = {\n g = 1\n } junk\n h = 2", ["f", "g"], Some(["f", "h"])),
        (" f = {\n g = 1", ["f", "g"], None),
        (" f = {\n g = 1\n }\n f = {\n h = 1\n }", ["f", "h"], None),
    ] {
        for rule in RULES {
            let profile = parse(format!("[a]\n{lines}").as_bytes(), rule).unwrap();
            assert!(
                profile.value(["a", present[0], present[1]]).is_some(),
                "{lines:?}"
            );
            if let Some(absent) = absent {
                assert_eq!(profile.value(["a", absent[0], absent[1]]), None, "{lines:?}");
            }
        }
    }
    // At the end of the file the brace may stay away.
    let profile = parse(b"[a]\nf =", FinalRule::Since1_22).unwrap();
    assert_eq!(
        profile
            .subsections(["a"])
            .iter()
            .map(|section| section.name())
            .collect::<Vec<_>>(),
        [b"f"]
    );
    // A relation with the name of an opening brace, and one beside a subsection of its name.
    let profile = parse(b"[a]\n {=1\n f = x\n f = {\n }\n", FinalRule::Since1_22).unwrap();
    assert_eq!(profile.value(["a", "{"]), Some(&b"1"[..]));
    assert_eq!(profile.value(["a", "f"]), Some(&b"x"[..]));
    assert_eq!(profile.subsections(["a"]).len(), 1);
}

#[test]
fn only_a_mark_without_a_blank_is_final() {
    for (lines, is_final) in [
        ("f = {\n}*", true),
        ("f = {\n} *", false),
        ("f* = {\n}", true),
        ("f =\n{\n}*", true),
    ] {
        let profile = parse(format!("[a]\n{lines}").as_bytes(), FinalRule::Before1_22).unwrap();
        assert_eq!(profile.subsections(["a"])[0].is_final(), is_final, "{lines:?}");
    }
}

#[test]
fn what_stands_before_the_first_header_is_ignored() {
    for (text, expected) in [
        ("free text = {\n}}\n [a]\n f = 0\n[a]\n f = 1\n", Some(&b"1"[..])),
        ("\u{feff}[a]\nf = 1\n", None),
        (" [a]\nf = 1\n", None),
        ("", None),
    ] {
        let profile = parse(text.as_bytes(), FinalRule::Before1_22).unwrap();
        assert_eq!(profile.value(["a", "f"]), expected, "{text:?}");
    }
    let module = parse(b"text\nmodule /x.so:y\n[a]\n", FinalRule::Before1_22);
    assert!(matches!(module, Err(ConfigError::Module(at)) if at.line() == 2));
}

#[test]
fn long_lines_are_cut() {
    let mut text = b"[a]\n#".to_vec();
    text.resize(4 + krb5_profile::MAX_LINE, b'x');
    text.extend_from_slice(b"evil = 1\n");
    let profile = parse(&text, FinalRule::Since1_22).unwrap();
    let evil = profile.relation(["a", "evil"]).unwrap();
    assert_eq!((evil.value(), evil.position().line()), (&b"1"[..], 2));

    let text = [b"[a]\nf = ".to_vec(), vec![b'x'; 3000], b"\n".to_vec()].concat();
    assert!(
        matches!(parse(&text, FinalRule::Since1_22), Err(ConfigError::RelationSyntax(at)) if at.line() == 2)
    );
}

#[test]
fn listings_are_sorted_and_values_keep_their_order() {
    let text = b"[b]\n[a]\n z = 1\n b = {\n }\n a = 2\n z = 3\n a.b = 4\n [A]\n";
    let profile = parse(text, FinalRule::Since1_22).unwrap();
    let none: [&str; 0] = [];
    let names: Vec<_> = profile
        .subsections(none)
        .iter()
        .map(|section| section.name())
        .collect();
    assert_eq!(names, [b"A", b"a", b"b"]);
    assert_eq!(profile.relation_names(["a"]), [&b"a"[..], b"a.b", b"z"]);
    let values: Vec<_> = profile
        .relations(["a", "z"])
        .iter()
        .map(|relation| relation.value())
        .collect();
    assert_eq!(values, [b"1", b"3"]);
}

#[test]
fn children_come_in_the_order_of_the_iterator() {
    let one = "[s]\nb = 1\nb = {\n x = 1\n}\nb = 2\na = 3\nb = {\n y = 2\n}\nc = {\n}\n";
    let files = MemoryFiles::from([("one", one), ("two", "[s]\nb = {\n}\na = 4\n[r]\n")]);
    let profile = Profile::load(["one", "two"], &files, FinalRule::Before1_22).unwrap();
    let shown: Vec<String> = profile
        .children(["s"])
        .iter()
        .map(|child| match child {
            Child::Relation(relation) => relation.to_string(),
            Child::Section(section) => format!("{}{{}}", krb5_profile::text(section.name())),
        })
        .collect();
    assert_eq!(shown, ["a = 3", "b = 1", "b{}", "b = 2", "c{}", "a = 4", "b{}"]);
    let top: [&str; 0] = [];
    let names: Vec<_> = profile.children(top).iter().map(Child::name).collect();
    assert_eq!(names, [b"s", b"r", b"s"]);
}
